/*
 * limit - the memory= of what a worker runs, as its soft RLIMIT_DATA: what the worker had at its start does not count,
 * shared memory never does.  An allocation over it fails, as if the machine had no more; what is started inherits it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include "client/inner.h"
#include "client/serve.h"

#define OURS (UINT64_C(2) << 20)	/* bytes for the runtime: its tables, the service thread's stack */

static void
set(struct client *c, uint64_t soft)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_DATA, &r) < 0)
		return;
	if (!c->data_known) {
		c->data_soft = r.rlim_cur;
		c->data_known = true;
	}
	r.rlim_cur = soft < c->data_soft ? soft : c->data_soft;	/* never beyond what it was */
	setrlimit(RLIMIT_DATA, &r);
}

static uint64_t
data_bytes(void)			/* as RLIMIT_DATA counts, and the stack; 0: not known */
{
	unsigned long all, resident, shared, text, lib, data = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);	/* no stdio: there may be no memory for it */
	char s[160];
	ssize_t n = fd < 0 ? -1 : read(fd, s, sizeof s - 1);

	if (n > 0) {
		s[n] = '\0';
		if (sscanf(s, "%lu %lu %lu %lu %lu %lu", &all, &resident, &shared, &text, &lib, &data) != 6)
			data = 0;
	}
	if (fd >= 0)
		close(fd);
	return (uint64_t)data * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
limit_start(struct client *c)
{
	uint64_t data = data_bytes();

	c->data_base = data ? data + OURS : 0;
}

void
limit_memory(struct client *c, uint64_t bytes)
{
	if (!c->worker || c->data_base == 0 || bytes == c->limited)
		return;
	__atomic_store_n(&c->limited, bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&c->newly_limited, bytes != 0, __ATOMIC_RELAXED);
	set(c, bytes ? c->data_base + bytes : RLIM_INFINITY);
}

bool
serve_limited(struct client *c)
{
	return __atomic_load_n(&c->newly_limited, __ATOMIC_RELAXED) &&
	    __atomic_exchange_n(&c->newly_limited, false, __ATOMIC_RELAXED);
}

uint64_t
serve_limit(struct client *c, bool on)
{
	uint64_t bytes;

	lock_take(&c->lock);
	if ((bytes = c->limited))
		set(c, on ? c->data_base + bytes : RLIM_INFINITY);
	lock_drop(&c->lock);
	return bytes;
}

uint64_t
serve_overdraw(struct client *c, bool on)
{
	uint64_t bytes = __atomic_load_n(&c->limited, __ATOMIC_RELAXED), top = c->data_base + bytes, now, soft;

	if (bytes == 0)
		return 0;
	now = data_bytes();
	if (on)
		soft = (now > top ? now : top) + bytes / 8;
	else
		soft = now > top ? now + bytes / 16 : top;
	set(c, soft < top + bytes / 2 ? soft : top + bytes / 2);
	return bytes;
}
