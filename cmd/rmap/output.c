/* output - what items wrote, written on: gathered for stdout, at once for stderr and after what stdout still holds. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "rmap.h"

enum { GATHER = 64 << 10 };

static struct buf pending;		/* for stdout */

static void
put(struct run *r, int fd, const unsigned char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k >= 0) {
			p += k;
			n -= (size_t)k;
		} else if (errno == EINTR || errno == EAGAIN) {
			if (run_signal)
				run_end(r, run_signal);
			if (errno == EAGAIN)
				client_nap(r->c, 0);	/* somebody made it non-blocking; nothing better than to try again */
		} else if (errno == EPIPE && fd == STDOUT_FILENO) {
			run_end(r, SIGPIPE);
		} else if (fd == STDOUT_FILENO) {
			int e = -errno;

			warn(e, "cannot write to stdout");
			run_end(r, 0);
		} else {
			return;			/* stderr is gone: nobody to tell */
		}
	}
}

void
out_flush(struct run *r)
{
	size_t n = pending.len;

	if (n)
		progress_erase();
	pending.len = 0;
	put(r, STDOUT_FILENO, pending.data, n);
}

void
out_write(struct run *r, int fd, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (fd != STDOUT_FILENO) {
		out_flush(r);
		progress_erase();
		put(r, fd, p, n);
		return;
	}
	if (pending.len + n > GATHER)
		out_flush(r);
	if (n >= GATHER || buf_add(&pending, p, n) < 0)
		put(r, fd, p, n);
}

void
out_tagged(struct run *r, int fd, const char *tag, const void *p, size_t n)
{
	const char *s = p, *end = s + n, *e;

	if (!tag) {
		out_write(r, fd, p, n);
		return;
	}
	for (; s < end; s = e) {
		struct buf b = BUF_INIT;

		e = memchr(s, '\n', (size_t)(end - s));
		e = e ? e + 1 : end;
		if (buf_add(&b, tag, strlen(tag)) == 0 && buf_add(&b, "\t", 1) == 0 && buf_add(&b, s, (size_t)(e - s)) == 0 &&
		    (e[-1] == '\n' || buf_add(&b, "\n", 1) == 0))
			out_write(r, fd, b.data, b.len);
		buf_release(&b);
	}
}
