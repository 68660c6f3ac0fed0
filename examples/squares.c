/*
 * squares.c - tasks in C: this file is the program and the shared object that holds its task, compiled twice
 *
 *	cc -shared -fPIC -o squares.so squares.c $(pkg-config --cflags rota)
 *	cc -o squares squares.c $(pkg-config --cflags --libs rota)
 */
#include <inttypes.h>
#include <rota.h>
#include <stdio.h>

/* the task: runs in a worker */
int
square(struct rota_ctx *ctx, const struct rota_value *args, size_t n, struct rota_value *out)
{
	int64_t x;

	if (n != 1 || rota_get_int(&args[0], &x) < 0)
		return rota_fail(ctx, ROTA_EVALUE, "square takes an integer");
	*out = rota_int(x * x);
	return 0;
}

int
main(void)
{
	struct rota_ref *ref[8], *bad;
	struct rota_value v;
	struct rota_ctx *ctx;
	struct rota_fn *fn;

	if (rota_init(&ctx, NULL) < 0 || rota_cfunc(ctx, "squares.so", "square", NULL, &fn) < 0) {
		fprintf(stderr, "squares: %s\n", rota_why());
		return 125;
	}
	for (int i = 0; i < 8; i++) {
		v = rota_int(i + 1);
		if (rota_submit(ctx, fn, &v, 1, &ref[i]) < 0)		/* returns at once */
			return 1;
	}
	for (int i = 0; i < 8; i++) {
		if (rota_get(ctx, ref[i], &v, ROTA_FOREVER) < 0)
			return 1;
		printf("%" PRId64 "%c", v.i, i < 7 ? ' ' : '\n');
		rota_release(ctx, ref[i]);
	}
	v = rota_text("eight");
	rota_submit(ctx, fn, &v, 1, &bad);
	if (rota_get(ctx, bad, &v, ROTA_FOREVER) == ROTA_EVALUE)
		printf("failed: %.*s\n", (int)v.n, v.s);
	rota_release(ctx, bad);
	rota_fn_free(ctx, fn);
	rota_close(ctx);
	return 0;
}
/*> 1 4 9 16 25 36 49 64 */
/*> failed: square takes an integer */
