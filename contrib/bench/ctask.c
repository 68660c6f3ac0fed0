/* ctask - C tasks through librota, one by one and pipelined: a program, and the shared object with its task */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "capi/rota.h"

enum { AHEAD = 1000 };

int	add1(struct rota_ctx *, const struct rota_value *, size_t, struct rota_value *);

int
add1(struct rota_ctx *ctx, const struct rota_value *args, size_t n, struct rota_value *out)
{
	(void)ctx, (void)n;
	*out = rota_int(args[0].i + 1);
	return 0;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
check(int e)
{
	if (e < 0) {
		fprintf(stderr, "ctask: %s\n", rota_why());
		exit(1);
	}
}

static void
one(struct rota_ctx *ctx, struct rota_fn *fn, int64_t i)
{
	struct rota_value v = rota_int(i);
	struct rota_ref *r;

	check(rota_submit(ctx, fn, &v, 1, &r));
	check(rota_get(ctx, r, &v, ROTA_FOREVER));
	if (v.i != i + 1)
		check(-1);
	rota_release(ctx, r);
}

/* n tasks, AHEAD of them under way */
static void
many(struct rota_ctx *ctx, struct rota_fn *fn, int64_t n)
{
	static struct rota_ref *ring[AHEAD];

	for (int64_t i = 0; i < n + AHEAD; i++) {
		struct rota_ref **r = &ring[i % AHEAD];
		struct rota_value v;

		if (i >= AHEAD) {
			check(rota_get(ctx, *r, &v, ROTA_FOREVER));
			if (v.i != i - AHEAD + 1)
				check(-1);
			rota_release(ctx, *r);
		}
		if (i < n) {
			v = rota_int(i);
			check(rota_submit(ctx, fn, &v, 1, r));
		}
	}
}

int
main(int argc, char *argv[])
{
	const char *o = getenv("O");
	struct rota_ctx *ctx;
	struct rota_fn *fn;
	char path[4096];
	int64_t n = argc > 1 ? atoll(argv[1]) : 1000000;
	double t;

	snprintf(path, sizeof path, "%s/contrib/bench/ctask.so", o ? o : "build");
	check(rota_init(&ctx, NULL));
	check(rota_cfunc(ctx, path, "add1", NULL, &fn));
	many(ctx, fn, n / 10);
	for (int64_t i = 0; i < n / 10; i++)
		one(ctx, fn, i);
	t = now();
	for (int64_t i = 0; i < n; i++)
		one(ctx, fn, i);
	printf("c-sync %.0f\n", (double)n / (now() - t));
	t = now();
	many(ctx, fn, 4 * n);
	printf("c-pipelined %.0f\n", 4 * (double)n / (now() - t));
	rota_close(ctx);
	return 0;
}
