/*
 * counter.c - an actor in C: a class is an array of methods; the program, and the shared object that holds the class
 *
 *	cc -shared -fPIC -o counter.so counter.c $(pkg-config --cflags rota)
 *	cc -o counter counter.c $(pkg-config --cflags --libs rota)
 */
#include <inttypes.h>
#include <rota.h>
#include <stdio.h>
#include <stdlib.h>

static int
new(struct rota_ctx *ctx, const struct rota_value *args, size_t n, struct rota_value *out)
{
	int64_t *sum = malloc(sizeof *sum);

	(void)out;
	if (!sum || n != 1 || rota_get_int(&args[0], sum) < 0)
		return rota_fail(ctx, ROTA_EVALUE, "a number to begin with is expected");
	rota_set_self(ctx, sum);			/* the actor's own: it ends with its process */
	return 0;
}

static int
add(struct rota_ctx *ctx, const struct rota_value *args, size_t n, struct rota_value *out)
{
	int64_t *sum = rota_self(ctx), k = 1;

	if (n > 0 && rota_get_int(&args[0], &k) < 0)
		return rota_fail(ctx, ROTA_EVALUE, "add takes an integer");
	*out = rota_int(*sum += k);
	return 0;
}

const struct rota_method counter[] = { { "new", new }, { "add", add }, { NULL, NULL } };

int
main(void)
{
	struct rota_value v = rota_int(40);
	struct rota_actor *a;
	struct rota_ctx *ctx;
	struct rota_ref *first, *second;

	if (rota_init(&ctx, NULL) < 0 || rota_actor_new(ctx, "counter.so", "counter", &v, 1, NULL, &a) < 0 ||
	    rota_call(ctx, a, "add", NULL, 0, &first) < 0 || rota_call(ctx, a, "add", NULL, 0, &second) < 0 ||
	    rota_get(ctx, second, &v, ROTA_FOREVER) < 0) {		/* calls run in order */
		fprintf(stderr, "counter: %s\n", rota_why());
		return 1;
	}
	printf("%" PRId64 "\n", v.i);
	rota_actor_release(ctx, a);
	rota_close(ctx);
	return 0;
}
/*> 42 */
