/* capi_threads.c - 8 threads in one context at once: submitting, waiting, reading what others read, actors, wait sets */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include "capi_node.h"

enum { THREADS = 8, ROUNDS = 40, AHEAD = 32 };

static struct rota_ctx *ctx;
static struct rota_fn *add1, *total, *fill, *fails, *sleeps;
static struct rota_actor *sum;
static struct rota_ref *shared;			/* all wait for it, all read it */
static pthread_barrier_t together;
static _Atomic int bad;

#define need(x) need_at(!!(x), __LINE__, #x)
static void
need_at(bool good, int line, const char *expr)
{
	if (!good && atomic_fetch_add(&bad, 1) < 10)
		printf("# line %d: %s: %s\n", line, expr, rota_why());
}

static void
pipelined(int64_t base)
{
	struct rota_ref *r[AHEAD];
	struct rota_value v;

	for (int i = 0; i < AHEAD; i++) {
		v = rota_int(base + i);
		need(rota_submit(ctx, add1, &v, 1, &r[i]) == 0);
	}
	for (int i = 0; i < AHEAD; i++) {
		need(rota_get(ctx, r[i], &v, ROTA_FOREVER) == 0 && v.i == base + i + 1);
		rota_release(ctx, r[i]);
	}
}

static void
one_by_one(int64_t base)
{
	for (int i = 0; i < 8; i++) {
		struct rota_value v = rota_int(base + i);
		struct rota_ref *r;

		need(rota_submit(ctx, add1, &v, 1, &r) == 0 && rota_get(ctx, r, &v, ROTA_FOREVER) == 0 && v.i == base + i + 1);
		rota_release(ctx, r);
	}
}

static void
large(int me)
{
	unsigned char *p = malloc(200000);
	struct rota_value v, w[2];
	struct rota_ref *r, *t;

	memset(p, me + 1, 200000);
	v = rota_string(p, 200000);
	need(rota_put(ctx, &v, &r) == 0);
	free(p);
	v = rota_refv(r);
	need(rota_submit(ctx, total, &v, 1, &t) == 0 && rota_get(ctx, t, &v, ROTA_FOREVER) == 0 && v.i == 200000 * (me + 1));
	rota_release(ctx, t);
	rota_release(ctx, r);
	w[0] = rota_int(100000 + me);
	w[1] = rota_int('a' + me);
	need(rota_submit(ctx, fill, w, 2, &t) == 0 && rota_get(ctx, t, &v, ROTA_FOREVER) == 0 && v.n == 100000u + (unsigned)me &&
	    v.s[v.n - 1] == 'a' + me);
	rota_release(ctx, t);
}

static void
chain(int me)
{
	struct rota_value v = rota_int(me);
	struct rota_ref *r, *t;

	need(rota_submit(ctx, add1, &v, 1, &r) == 0);
	for (int i = 0; i < 10; i++) {
		v = rota_refv(r);
		need(rota_submit(ctx, add1, &v, 1, &t) == 0);
		rota_release(ctx, r);
		r = t;
	}
	need(rota_get(ctx, r, &v, ROTA_FOREVER) == 0 && v.i == me + 11);
	rota_release(ctx, r);
}

static void
set(int64_t base)
{
	struct rota_waitset *w = rota_waitset_new(ctx);
	struct rota_ref *r;
	struct rota_value v;
	uint64_t tag, seen = 0;
	int e;

	for (int i = 0; i < AHEAD; i++) {
		v = rota_int(base + i);
		need(rota_submit(ctx, add1, &v, 1, &r) == 0 && rota_waitset_add(ctx, w, r, (uint64_t)i) == 0);
		rota_release(ctx, r);
	}
	while ((e = rota_waitset_next(ctx, w, ROTA_FOREVER, &r, &tag)) == 0) {
		need(rota_get(ctx, r, &v, 0) == 0 && v.i == base + (int64_t)tag + 1);
		seen |= UINT64_C(1) << tag;
		rota_release(ctx, r);
	}
	need(e == ROTA_ENOTFOUND && seen == (UINT64_C(1) << AHEAD) - 1);
	rota_waitset_free(ctx, w);
}

static void
failing(void)
{
	struct rota_value v = rota_int(0);
	struct rota_ref *r;

	need(rota_submit(ctx, fails, &v, 1, &r) == 0 && rota_get(ctx, r, &v, ROTA_FOREVER) == ROTA_ENOTFOUND && strstr(rota_why(), "no luck"));
	rota_release(ctx, r);
}

static void
called(void)
{
	struct rota_value v = rota_int(1), w;
	struct rota_ref *r[AHEAD];
	int64_t before = -1;

	for (int i = 0; i < AHEAD; i++)
		need(rota_call(ctx, sum, "add", &v, 1, &r[i]) == 0);
	for (int i = 0; i < AHEAD; i++) {	/* in the order of the calls */
		need(rota_get(ctx, r[i], &w, ROTA_FOREVER) == 0 && w.i > before);
		before = w.i;
		rota_release(ctx, r[i]);
	}
}

static void
filled(int me)
{
	uint64_t shape[1] = { 30000 };
	struct rota_value v = rota_buffer(ROTA_U8, 1, shape, NULL);
	struct rota_ref *r, *t;
	void *p;

	need(rota_create(ctx, &v, &p, 1, &r) == 0);
	v = rota_refv(r);
	need(rota_submit(ctx, total, &v, 1, &t) == 0);		/* it runs once that is there */
	memset(p, me, 30000);
	need(rota_seal(ctx, r) == 0 && rota_get(ctx, t, &v, ROTA_FOREVER) == 0 && v.i == 30000 * me);
	rota_release(ctx, r);
	rota_release(ctx, t);
}

static void *
work(void *arg)
{
	int me = (int)(intptr_t)arg;
	struct rota_value v;

	pthread_barrier_wait(&together);
	need(rota_get(ctx, shared, &v, ROTA_FOREVER) == 0 && v.type == ROTA_NIL);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t base = (int64_t)me << 32 | (int64_t)i << 8;

		pipelined(base);
		one_by_one(base);
		if (i % 8 == me) {
			large(me);
			chain(me);
			filled(me);
		}
		set(base);
		failing();
		called();
	}
	return NULL;
}

/* one makes ready what another one sleeps for */
static void *
seals(void *arg)
{
	struct rota_ref **r = arg;

	for (int i = 0; i < 20; i++) {
		pthread_barrier_wait(&together);
		need(rota_seal(ctx, r[i]) == 0);
	}
	return NULL;
}

static void
handed(void)
{
	uint64_t shape[1] = { 64 };
	struct rota_value v = rota_buffer(ROTA_U8, 1, shape, NULL), w;
	struct rota_ref *r[20];
	pthread_t t;
	void *p;

	pthread_barrier_init(&together, NULL, 2);
	for (int i = 0; i < 20; i++) {
		need(rota_create(ctx, &v, &p, 1, &r[i]) == 0);
		memset(p, i, 64);
	}
	pthread_create(&t, NULL, seals, r);
	for (int i = 0; i < 20; i++) {
		pthread_barrier_wait(&together);
		need(rota_get(ctx, r[i], &w, ROTA_FOREVER) == 0 && ((const char *)w.p)[63] == i);
		rota_release(ctx, r[i]);
	}
	pthread_join(t, NULL);
	pthread_barrier_destroy(&together);
}

/* an event loop: poll on the descriptor, beside threads that wait in other ways */
static void *
other(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++)
		one_by_one(i);
	return NULL;
}

static void
polled(void)
{
	struct rota_waitset *s = rota_waitset_new(ctx);
	struct pollfd p = { .fd = rota_fd(ctx), .events = POLLIN };
	struct rota_value v;
	struct rota_ref *r;
	uint64_t tag, seen = 0;
	pthread_t t;
	int have = 0, e;

	need(p.fd >= 0 && rota_fd(ctx) == p.fd);
	rota_fd_clear(ctx);
	need(poll(&p, 1, 0) == 0);
	pthread_create(&t, NULL, other, NULL);
	for (int i = 0; i < 50; i++) {
		v = rota_int(i);
		need(rota_submit(ctx, add1, &v, 1, &r) == 0 && rota_waitset_add(ctx, s, r, (uint64_t)i) == 0);
		rota_release(ctx, r);
	}
	while (have < 50 && poll(&p, 1, 20000) == 1) {
		rota_fd_clear(ctx);
		while ((e = rota_waitset_next(ctx, s, 0, &r, &tag)) == 0) {
			need(rota_get(ctx, r, &v, 0) == 0 && v.i == (int64_t)tag + 1);
			seen |= UINT64_C(1) << tag;
			rota_release(ctx, r);
			have++;
		}
		need(e == -ETIMEDOUT || e == ROTA_ENOTFOUND);
	}
	need(seen == (UINT64_C(1) << 50) - 1);
	pthread_join(t, NULL);
	rota_waitset_free(ctx, s);
}

int
main(void)
{
	struct rota_value v = rota_float(.02), w;
	pthread_t t[THREADS];
	struct rota_ref *r;

	ctx = node_begin(2);
	add1 = node_fn(ctx, "add1");
	total = node_fn(ctx, "total");
	fill = node_fn(ctx, "fill");
	fails = node_fn(ctx, "fails");
	sleeps = node_fn(ctx, "sleeps");
	ok(rota_actor_new(ctx, node_so, "counter", NULL, 0, NULL, &sum) == 0);
	pthread_barrier_init(&together, NULL, THREADS);
	ok(rota_submit(ctx, sleeps, &v, 1, &shared) == 0);
	for (intptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, work, (void *)i) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&together);
	rota_release(ctx, shared);
	ok(bad == 0);
	v = rota_int(0);
	ok(rota_call(ctx, sum, "add", &v, 1, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == 0 && w.i == THREADS * ROUNDS * AHEAD);
	rota_release(ctx, r);
	handed();
	ok(bad == 0);
	polled();
	ok(bad == 0);
	rota_actor_release(ctx, sum);
	rota_fn_free(ctx, add1);
	rota_fn_free(ctx, total);
	rota_fn_free(ctx, fill);
	rota_fn_free(ctx, fails);
	rota_fn_free(ctx, sleeps);
	rota_close(ctx);
	return tap_done();
}
