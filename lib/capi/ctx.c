/*
 * ctx - joining and leaving, errors.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/version.h"
#include "capi/inner.h"
#include "client/crowd.h"

static_assert(ROTA_ENOTFOUND == (int)ERR_NOTFOUND && ROTA_EPROTO == (int)ERR_PROTO && ROTA_ECLOSED == (int)ERR_CLOSED &&
    ROTA_ETASK == (int)ERR_TASK && ROTA_ETIMEOUT == (int)ERR_TIMEOUT && ROTA_ECANCELLED == (int)ERR_CANCELLED &&
    ROTA_ECRASHED == (int)ERR_CRASHED && ROTA_EACTOR == (int)ERR_ACTOR_DIED && ROTA_EOOM == (int)ERR_OOM &&
    ROTA_ELOST == (int)ERR_LOST && ROTA_EINFEASIBLE == (int)ERR_INFEASIBLE && ROTA_EENV == (int)ERR_ENV &&
    ROTA_ENOCLUSTER == (int)ERR_NO_CLUSTER && ROTA_EFULL == (int)ERR_FULL && ROTA_EVALUE == (int)ERR_VALUE &&
    ROTA_EPENDING == (int)ERR_PENDING,
    "rota.h has the numbers of base/err.h");

struct client *capi_client;
static struct rota_ctx *joined;
static struct lock joining;

char *
capi_why(void)
{
	static _Thread_local char why[CAPI_WHY];

	return why;
}

int
capi_say(int e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(capi_why(), CAPI_WHY, fmt, ap);
	va_end(ap);
	return e;
}

int
capi_failed(struct rota_ctx *x, int e)
{
	const char *text = NULL;

	if (e >= 0)
		return e;
	if (e == ERR_FULL)
		text = client_full(x->c);
	else if (e == ERR_NO_CLUSTER)
		text = client_lost(x->c);
	return capi_say(e, "%s", text && *text ? text : err_str(e));
}

uint64_t
capi_deadline(int64_t timeout)
{
	return timeout < 0 ? WAIT_FOREVER : clock_ns() + (uint64_t)timeout;
}

const char *
rota_why(void)
{
	return capi_why();
}

const char *
rota_strerror(int code)
{
	return err_str(code);
}

const char *
rota_version(void)
{
	return ROTA_VERSION;
}

static int
join(struct rota_ctx **out, const struct rota_options *o)
{
	struct client_opts co = { .address = o->address, .namespace = o->space, .name = o->name ? o->name :
	    program_invocation_short_name, .may_start = !o->attach, .err = -1, .store = o->store, .cpus = o->cpus };
	struct rota_ctx *x = calloc(1, sizeof *x);
	int e;

	if (!x)
		return -ENOMEM;
	if ((e = client_open(&x->c, &co, capi_why(), CAPI_WHY)) < 0) {
		free(x);
		return e;
	}
	if ((e = client_crowd(x->c)) < 0) {
		client_close(x->c);
		free(x);
		return e;
	}
	x->users = 1;
	capi_client = x->c;
	*out = joined = x;
	return 0;
}

int
rota_init(struct rota_ctx **out, const struct rota_options *o)
{
	static const struct rota_options none;
	int e = 0;

	lock_take(&joining);
	if (joined) {
		joined->users++;
		*out = joined;
	} else if (capi_client) {
		e = capi_say(-EBUSY, "rota_init in a task: it has a context already");
	} else {
		e = join(out, o ? o : &none);
	}
	lock_drop(&joining);
	return e;
}

static void
methods_free(struct rota_ctx *x)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&x->methods, &it)) {
		struct method *m = it.val, *next;

		for (; m; m = next) {
			next = m->next;
			free(m);
		}
	}
	map_release(&x->methods);
}

void
rota_close(struct rota_ctx *x)
{
	if (!x || x->run)
		return;
	lock_take(&joining);
	if (--x->users == 0) {
		client_fd_end(x->c);
		client_close(x->c);
		methods_free(x);
		free(x);
		joined = NULL;
		capi_client = NULL;
	}
	lock_drop(&joining);
}

int
rota_fd(struct rota_ctx *x)
{
	return x->run ? capi_say(-EINVAL, "a task has no event loop to live in") : capi_failed(x, client_fd(x->c));
}

void
rota_fd_clear(struct rota_ctx *x)
{
	if (!x->run)
		client_fd_clear(x->c);
}
