/*
 * build - a value piece by piece, encoded as it comes.
 */
#include <stdlib.h>
#include "capi/inner.h"
#include "wire/val.h"

struct rota_builder {
	struct cenc e;
	int failed;			/* the first error: rota_built tells it */
};

struct rota_builder *
rota_builder_new(struct rota_ctx *x)
{
	struct rota_builder *b = calloc(1, sizeof *b);

	if (b) {
		b->e.x = x;
		b->e.whole = true;
	}
	return b;
}

static int
done(struct rota_builder *b, int e)
{
	if (e < 0 && b->failed == 0)
		b->failed = e;
	return e;
}

int
rota_build(struct rota_builder *b, const struct rota_value *v)
{
	return done(b, cenc_value(&b->e, v, 1));
}

int
rota_build_array(struct rota_builder *b, size_t n)
{
	return done(b, n > MP_MAX_LEN ? ERR_VALUE : mp_put_array(&b->e.b, n));
}

int
rota_build_map(struct rota_builder *b, size_t pairs)
{
	return done(b, pairs > MP_MAX_LEN ? ERR_VALUE : mp_put_map(&b->e.b, pairs));
}

int
rota_built(struct rota_builder *b, struct rota_value *v)
{
	struct mp m = mp_read(b->e.b.data, b->e.b.len);

	if (b->failed)
		return b->failed;
	if (val_check(b->e.b.data, b->e.b.len, 1, 0) < 0)
		return capi_say(ROTA_EPROTO, "what was built is not one whole value");
	return cread_value(&m, v, FORM_REF, NULL);
}

void
rota_builder_reset(struct rota_builder *b)
{
	b->e.b.len = 0;
	b->e.flags = b->e.nseg = 0;
	b->failed = 0;
}

void
rota_builder_free(struct rota_builder *b)
{
	if (b) {
		cenc_release(&b->e);
		free(b);
	}
}
