/* capi_so.h - the tasks and the actor that capi_*.c load: compiled as a shared object by capi_node.h */
#include <rota.h>
#include <stdlib.h>
#include <unistd.h>

#define TASK(name) \
	int name(struct rota_ctx *, const struct rota_value *, size_t, struct rota_value *); \
	int name(struct rota_ctx *ctx, const struct rota_value *args, size_t n, struct rota_value *out)

TASK(add1)
{
	(void)ctx, (void)n;
	*out = rota_int(args[0].i + 1);
	return 0;
}

TASK(echo)
{
	(void)ctx;
	*out = n ? args[0] : rota_nil();
	return 0;
}

TASK(count)				/* how many arguments */
{
	(void)ctx, (void)args;
	*out = rota_int((int64_t)n);
	return 0;
}

TASK(total)				/* of a u8 buffer, a string, or an array of integers */
{
	struct rota_value v;
	struct rota_iter it;
	int64_t sum = 0;
	int e = 0;

	(void)n;
	if (args[0].type == ROTA_BUFFER || args[0].type == ROTA_STRING) {
		for (size_t i = 0; i < args[0].n; i++)
			sum += ((const unsigned char *)args[0].p)[i];
	} else {
		if ((e = rota_iter(&it, &args[0])) < 0)
			return rota_fail(ctx, e, "total: %s", rota_why());
		while ((e = rota_next(&it, &v)) > 0)
			sum += v.i;
	}
	*out = rota_int(sum);
	return e;
}

TASK(fill)				/* n bytes of a value */
{
	unsigned char *p = rota_alloc(ctx, (size_t)args[0].i + 1);

	(void)n;
	memset(p, (int)args[1].i, (size_t)args[0].i);
	*out = rota_string(p, (size_t)args[0].i);
	return 0;
}

TASK(three)
{
	struct rota_value *v = rota_alloc(ctx, 3 * sizeof *v);

	(void)n;
	for (int i = 0; i < 3; i++)
		v[i] = rota_int(args[0].i * (i + 1));
	*out = rota_array(v, 3);
	return 0;
}

TASK(fails)
{
	(void)n, (void)out;
	return args[0].i == 0 ? rota_fail(ctx, ROTA_ENOTFOUND, "no %s here: task %s, attempt %u", "luck", rota_task_name(ctx),
	    rota_attempt(ctx)) : (int)args[0].i;
}

TASK(dies)
{
	(void)ctx, (void)args, (void)n, (void)out;
	abort();
}

TASK(sleeps)				/* seconds */
{
	(void)ctx, (void)n;
	*out = rota_nil();
	return usleep((useconds_t)(args[0].d * 1e6)) != 0;
}

TASK(waits)				/* for what never comes; until it is told to end */
{
	uint64_t shape[1] = { 2000 };
	struct rota_value v = rota_buffer(ROTA_U8, 1, shape, NULL);
	struct rota_ref *r;
	void *p;
	int e;

	(void)args, (void)n, (void)out;
	if ((e = rota_create(ctx, &v, &p, 1, &r)) < 0)
		return rota_fail(ctx, e, "%s", rota_why());
	e = rota_get(ctx, r, &v, ROTA_FOREVER);
	rota_abort(ctx, r);
	return e == ROTA_ECANCELLED && rota_cancelled(ctx) == e ? e : 99;
}

TASK(nested)				/* fib, the path of this object: tasks that submit tasks and wait for them */
{
	struct rota_value v[2] = { rota_int(args[0].i - 1), args[1] }, a, b;
	struct rota_ref *r[2];
	struct rota_fn *fn;
	char path[4096] = { 0 };
	int e;

	(void)n;
	if (args[0].i < 2) {
		*out = args[0];
		return 0;
	}
	memcpy(path, args[1].s, args[1].n);
	if ((e = rota_cfunc(ctx, path, "nested", NULL, &fn)) < 0 || (e = rota_submit(ctx, fn, v, 2, &r[0])) < 0)
		return rota_fail(ctx, e, "%s", rota_why());
	v[0].i--;
	if ((e = rota_submit(ctx, fn, v, 2, &r[1])) < 0 || (e = rota_get(ctx, r[0], &a, ROTA_FOREVER)) < 0 ||
	    (e = rota_get(ctx, r[1], &b, ROTA_FOREVER)) < 0)
		return rota_fail(ctx, e, "%s", rota_why());
	*out = rota_int(a.i + b.i);
	rota_release(ctx, r[0]);
	rota_release(ctx, r[1]);
	rota_fn_free(ctx, fn);
	return 0;
}

TASK(inside)				/* an array with a reference: what that refers to, borrowed from it */
{
	struct rota_value v;
	struct rota_ref *r;
	int e;

	(void)n;
	if ((e = rota_at(&args[0], 0, &v)) < 0 || (e = rota_ref_of(ctx, &v, &r)) < 0 ||
	    (e = rota_get(ctx, r, out, ROTA_FOREVER)) < 0)
		return rota_fail(ctx, e, "%s", rota_why());
	rota_defer(ctx, r);
	return 0;
}

TASK(makes)				/* an array with a reference that this task owns */
{
	struct rota_value *v = rota_alloc(ctx, sizeof *v), s = rota_text("made in a task");
	struct rota_ref *r;
	int e;

	(void)args, (void)n;
	if ((e = rota_put(ctx, &s, &r)) < 0)
		return rota_fail(ctx, e, "%s", rota_why());
	rota_defer(ctx, r);
	*v = rota_refv(r);
	*out = rota_array(v, 1);
	return 0;
}

/* --- an actor ------------------------------------------------------------------------------------------------ */

TASK(counter_new)
{
	int64_t *sum = malloc(sizeof *sum);

	if (n > 1)
		return rota_fail(ctx, ROTA_EVALUE, "one number at most");
	*sum = n ? args[0].i : 0;
	rota_set_self(ctx, sum);
	(void)out;
	return 0;
}

TASK(counter_add)
{
	int64_t *sum = rota_self(ctx);

	(void)n;
	*out = rota_int(*sum += args[0].i);
	return 0;
}

TASK(counter_die)
{
	(void)ctx, (void)args, (void)n, (void)out;
	_exit(3);
}

extern const struct rota_method counter[];
const struct rota_method counter[] = { { "new", counter_new }, { "add", counter_add }, { "die", counter_die },
    { "echo", echo }, { NULL, NULL } };
