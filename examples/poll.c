/*
 * poll.c - tasks in a program with an event loop of its own: results come through a descriptor
 *	cc -shared -fPIC -o poll.so poll.c $(pkg-config --cflags rota)
 *	cc -o poll poll.c $(pkg-config --cflags --libs rota)
 */
#include <poll.h>
#include <rota.h>
#include <stdio.h>
/* sums a vector that lies in shared memory: nothing is copied */
int
sum(struct rota_ctx *ctx, const struct rota_value *args, size_t n, struct rota_value *out)
{
	double s = 0;

	if (n != 1 || args[0].type != ROTA_BUFFER || args[0].dtype != ROTA_F64)
		return rota_fail(ctx, ROTA_EVALUE, "sum takes a vector");
	for (uint64_t i = 0; i < rota_shape(&args[0], 0); i++)
		s += ((const double *)args[0].p)[i];
	*out = rota_float(s);
	return 0;
}

int
main(void)
{
	uint64_t shape[1] = { 100000 };
	struct pollfd p = { .events = POLLIN };
	struct rota_ref *vec, *r;
	struct rota_waitset *set;
	struct rota_ctx *ctx;
	struct rota_fn *fn;
	struct rota_value v;
	void *x;
	double total = 0;

	if (rota_init(&ctx, NULL) < 0 || rota_cfunc(ctx, "poll.so", "sum", NULL, &fn) < 0 || (p.fd = rota_fd(ctx)) < 0 ||
	    !(set = rota_waitset_new(ctx)))
		return 1;
	for (int k = 0; k < 4; k++) {
		v = rota_buffer(ROTA_F64, 1, shape, NULL);
		rota_create(ctx, &v, &x, 1, &vec);		/* filled in place */
		for (uint64_t i = 0; i < shape[0]; i++)
			((double *)x)[i] = k;
		rota_seal(ctx, vec);
		v = rota_refv(vec);
		rota_submit(ctx, fn, &v, 1, &r);
		rota_waitset_add(ctx, set, r, 0);
		rota_release(ctx, r);
		rota_release(ctx, vec);
	}
	for (int left = 4; left > 0 && poll(&p, 1, -1) > 0;) {	/* with the program's other descriptors */
		rota_fd_clear(ctx);
		for (; rota_waitset_next(ctx, set, 0, &r, NULL) == 0; left--, rota_release(ctx, r))
			if (rota_get(ctx, r, &v, 0) == 0)
				total += v.d;
	}
	printf("%.0f\n", total);
}
/*> 600000 */
