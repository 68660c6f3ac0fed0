/*
 * task - C functions as tasks: naming them, submitting.
 */
#include <assert.h>
#include "capi/cfn.h"
#include "capi/inner.h"

static_assert(ROTA_FORCE == CANCEL_FORCE && ROTA_ALONE == CANCEL_ALONE, "rota.h has the numbers of client.h");

void
rota_task_defaults(struct rota_task_options *o)
{
	memset(o, 0, sizeof *o);
	o->cpus = 1;
	o->retries = 3;
}

static int
options(struct task_opts *t, const struct rota_task_options *o)
{
	task_opts_init(t);
	if (!o)
		return 0;
	if (!(o->cpus >= 0 && o->cpus < 1e6) || !(o->gpus >= 0 && o->gpus < 1e6) || o->returns > 255 || o->timeout < 0 ||
	    o->priority < INT8_MIN || o->priority > INT8_MAX)
		return capi_say(-EINVAL, "an option of a task is out of its range");
	t->cpus = (uint32_t)(o->cpus * 1000 + .5);
	t->gpus = (uint32_t)(o->gpus * 1000 + .5);
	t->memory = o->memory;
	t->retries = o->retries;
	t->returns = o->returns;
	t->timeout = (uint64_t)o->timeout;
	t->priority = (int8_t)o->priority;
	return 0;
}

int
rota_cfunc(struct rota_ctx *x, const char *path, const char *symbol, const struct rota_task_options *o, struct rota_fn **out)
{
	struct buf b = BUF_INIT;
	struct task_opts t;
	struct cfn f;
	struct fn *fn;
	int e;

	if ((e = options(&t, o)) < 0 || (e = cfn_find(&f, path, symbol, capi_why(), CAPI_WHY)) < 0)
		return e;
	if ((e = cfn_put(&b, &f)) == 0)
		e = client_fn(x->c, FN_C, b.data, b.len, o && o->name ? o->name : symbol, &t, &fn);
	buf_release(&b);
	if (e < 0)
		return capi_failed(x, e);
	*out = (struct rota_fn *)(void *)fn;
	return 0;
}

void
rota_fn_free(struct rota_ctx *x, struct rota_fn *fn)
{
	if (fn)
		client_fn_free(x->c, (struct fn *)(void *)fn);
}

static int
submit(struct rota_ctx *x, struct fn *fn, const struct payload *p, struct rec **r)
{
	int e;

	while ((e = client_submit(x->c, fn, p, r)) == -EAGAIN && (e = capi_room(x)) == 0)
		;
	return e;
}

static int
submit_slow(struct rota_ctx *x, struct fn *fn, const struct rota_value *args, size_t n, struct rec **r)
{
	struct cenc c = { .x = x, .top = true };
	struct payload p;
	int e = cenc_values(&c, args, n);

	if (e == 0) {
		cenc_payload(&c, &p);
		if ((e = submit(x, fn, &p, r)) < 0)
			capi_failed(x, e);
	}
	cenc_release(&c);
	return e;
}

int
rota_submit(struct rota_ctx *x, struct rota_fn *fn, const struct rota_value *args, size_t n, struct rota_ref **out)
{
	unsigned char small[CENC_SMALL];
	int len = cenc_small(small, args, n), e;

	if (len < 0)
		return submit_slow(x, (struct fn *)(void *)fn, args, n, (struct rec **)(void *)out);
	while ((e = client_submit_small(x->c, (struct fn *)(void *)fn, small, (unsigned)len, (unsigned)n,
	    (struct rec **)(void *)out)) == -EAGAIN && (e = capi_room(x)) == 0)
		;
	return e < 0 ? capi_failed(x, e) : 0;
}

int
rota_cancel(struct rota_ctx *x, struct rota_ref *r, unsigned how)
{
	int e = client_cancel(x->c, (struct rec *)(void *)r, how & (CANCEL_FORCE|CANCEL_ALONE));

	return e == ERR_VALUE ? capi_say(e, "no task of this program makes that") : capi_failed(x, e);
}
