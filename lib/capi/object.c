/*
 * object - storing, filling in place, waiting, reading.
 */
#include <stdlib.h>
#include "capi/inner.h"
#include "capi/run.h"
#include "client/crowd.h"
#include "client/serve.h"

#define PATIENCE_NS 1000000

/* --- making ------------------------------------------------------------------------------------------------------ */

int
rota_put(struct rota_ctx *x, const struct rota_value *v, struct rota_ref **out)
{
	unsigned char small[CENC_SMALL];
	int n = cenc_small(small, v, 1), e;
	struct payload p = { small, (size_t)n, 1, 0, NULL, 0 };
	struct rec *r;

	if (n >= 0) {
		e = client_put(x->c, &p, &r);
	} else {
		struct cenc c = { .x = x };

		if ((e = cenc_values(&c, v, 1)) == 0) {
			cenc_payload(&c, &p);
			e = client_put(x->c, &p, &r);
		}
		cenc_release(&c);
		if (e == ERR_VALUE)
			return e;
	}
	if (e < 0)
		return capi_failed(x, e);
	*out = ref_of(r);
	return 0;
}

int
rota_create(struct rota_ctx *x, const struct rota_value *v, void **data, size_t n, struct rota_ref **out)
{
	struct cenc c = { .x = x, .fill = true };
	const struct arena *a = client_arena(x->c);
	uint64_t sizes[CAPI_SEGS];
	size_t fill = 0;
	struct obj o;
	struct rec *r;
	int e = cenc_values(&c, v, 1);

	for (unsigned i = 0; e == 0 && i < c.nseg; i++) {
		sizes[i] = c.seg[i].n;
		fill += c.seg[i].p == NULL;
	}
	if (e == 0 && (fill != n || n == 0))
		e = capi_say(ROTA_EVALUE, "%zu buffers to be filled, not %zu", fill, n);
	if (e == 0 && c.flags & PAYLOAD_REFS)
		e = capi_say(ROTA_EVALUE, "an object that is filled in place holds no references");
	if (e == 0 && (e = client_create(x->c, sizes, c.nseg, c.b.len, &o, &r)) < 0)
		capi_failed(x, e);
	if (e == 0) {
		memcpy(o.head, c.b.data, c.b.len);
		for (unsigned i = 0, k = 0; i < c.nseg; i++) {
			if (c.seg[i].p)
				memcpy(obj_buf(a, &o, i, NULL), c.seg[i].p, c.seg[i].n);
			else
				data[k++] = obj_buf(a, &o, i, NULL);
		}
		*out = ref_of(r);
	}
	cenc_release(&c);
	return e;
}

int
rota_seal(struct rota_ctx *x, struct rota_ref *r)
{
	if (client_ready(x->c, rec_of(r)))
		return capi_say(-EINVAL, "the object is sealed already");
	client_seal(x->c, rec_of(r), 1, 0);
	return 0;
}

void
rota_abort(struct rota_ctx *x, struct rota_ref *r)
{
	client_abort(x->c, rec_of(r));
}

/* --- waiting and reading ------------------------------------------------------------------------------------------- */

/*
 * In a task: what is not there within PATIENCE_NS makes the worker a blocked one, so that its CPUs are used meanwhile.
 * The deadline of the first, short wait; 0: no second one.
 */
static uint64_t
patience(const struct rota_ctx *x, uint64_t deadline)
{
	uint64_t soon;

	if (!x->run || deadline <= (soon = capi_deadline(PATIENCE_NS)))
		return 0;
	return soon;
}

/* a wait was interrupted: in a task by the signal that says that it is to end, or by one that means nothing */
static bool
go_on(struct rota_ctx *x, int *e)
{
	if (*e != -EINTR || !x->run)
		return false;
	*e = rota_cancelled(x);
	return *e == 0;
}

static int
await(struct rota_ctx *x, struct rec *r, int64_t timeout)
{
	uint64_t deadline = capi_deadline(timeout), soon;
	int e;

	if (x->run && timeout)
		crun_own(x->run, r);
	soon = patience(x, deadline);
	do
		e = client_await(x->c, r, soon ? soon : deadline);
	while (go_on(x, &e));
	if (e != -ETIMEDOUT || !soon)
		return e;
	serve_block(x->c, true);
	do
		e = client_await(x->c, r, deadline);
	while (go_on(x, &e));
	serve_block(x->c, false);
	return e;
}

static int
fetch(struct rota_ctx *x, struct rec *r, int64_t timeout, struct value *v)
{
	int e = rec_is_ready(r) ? 0 : await(x, r, timeout);

	return e < 0 ? e : client_value(x->c, r, v);
}

int
capi_room(struct rota_ctx *x)
{
	int e;

	if (x->run)
		serve_block(x->c, true);
	do
		e = client_room(x->c, WAIT_FOREVER);
	while (x->run ? go_on(x, &e) : e == -EINTR);
	if (x->run)
		serve_block(x->c, false);
	return e;
}

static int
next(struct rota_ctx *x, struct waitset *w, uint64_t deadline, struct rec **r, uint64_t *tag)
{
	uint64_t soon = patience(x, deadline);
	int e;

	do
		e = waitset_next(x->c, w, soon ? soon : deadline, r, tag);
	while (go_on(x, &e));
	if (e != -ETIMEDOUT || !soon)
		return e;
	serve_block(x->c, true);
	do
		e = waitset_next(x->c, w, deadline, r, tag);
	while (go_on(x, &e));
	serve_block(x->c, false);
	return e;
}

static int
gone(struct rota_ctx *x, int e)
{
	return e == ERR_LOST ? capi_say(e, "the object is gone: its owner died, or the node lost it") : capi_failed(x, e);
}

int
rota_get_all(struct rota_ctx *x, struct rota_ref *ref, struct rota_value *v, size_t n, int64_t timeout)
{
	struct rec *r = rec_of(ref);
	struct value b;
	struct mp m;
	int e;

	if ((e = fetch(x, r, timeout, &b)) < 0)
		return e == -ETIMEDOUT || e == -EINTR ? e : gone(x, e);
	m = mp_read(b.p, b.n);
	for (size_t i = 0; i < n && i < b.nvals; i++)
		if ((e = cread_value(&m, &v[i], FORM_REF, b.arena ? r : NULL)) < 0)
			return capi_failed(x, e);
		else if (v[i].type == ROTA_OTHER && cread_is_slice(&v[i])) {
			struct rec *whole;

			if ((e = cread_slice(x, &v[i], false, &whole)) < 0)
				return e;
			client_leave(x->c, whole);	/* the slice holds it */
		}
	if (b.error && n) {
		e = v->type == ROTA_ERROR ? v->code : ROTA_ETASK;
		return capi_say(e, "%.*s", v->type == ROTA_ERROR ? (int)v->n : 0, v->type == ROTA_ERROR ? v->s : "");
	}
	return (int)b.nvals;
}

int
rota_get(struct rota_ctx *x, struct rota_ref *r, struct rota_value *v, int64_t timeout)
{
	int n = client_peek(rec_of(r));

	if (n < 0 && !rec_is_ready(rec_of(r))) {
		if ((n = await(x, rec_of(r), timeout)) < 0)
			return n == -ETIMEDOUT || n == -EINTR ? n : gone(x, n);
		n = client_peek(rec_of(r));
	}
	if (n > 0 && cread_plain(rec_of(r)->inl, (unsigned)n, v))
		return 0;
	n = rota_get_all(x, r, v, 1, timeout);
	if (n == 0)
		*v = rota_nil();
	return n < 0 ? n : 0;
}

int
rota_ready(struct rota_ctx *x, struct rota_ref *r)
{
	return client_ready(x->c, rec_of(r));
}

void
rota_retain(struct rota_ctx *x, struct rota_ref *r)
{
	client_retain(x->c, rec_of(r));
}

void
rota_release(struct rota_ctx *x, struct rota_ref *r)
{
	if (r)
		client_leave(x->c, rec_of(r));
}

void
rota_id(struct rota_ctx *x, struct rota_ref *r, char id[33])
{
	char text[ID_TEXT];

	id_format(text, client_id(x->c, rec_of(r)));
	memcpy(id, text, 33);
}

int
rota_keep(struct rota_ctx *x, struct rota_ref *r, const char *name, uint64_t ttl)
{
	struct value v;
	int e;

	if ((e = fetch(x, rec_of(r), ROTA_FOREVER, &v)) < 0)
		return gone(x, e);
	e = client_keep(x->c, rec_of(r), name, ttl);
	return e == -EINVAL ? capi_say(e, "only what lies in the store can be kept: values over 4 KiB") : capi_failed(x, e);
}

int
rota_lookup(struct rota_ctx *x, const char *text, struct rota_ref **out)
{
	struct rec *r;
	struct id id;
	int e;

	*capi_why() = '\0';
	if ((e = client_lookup(x->c, text, &r, &id, capi_why(), CAPI_WHY)) < 0)
		return *capi_why() ? e : capi_failed(x, e);
	*out = ref_of(r);
	return 0;
}

/* --- many at once ----------------------------------------------------------------------------------------------------- */

struct rota_waitset *
rota_waitset_new(struct rota_ctx *x)
{
	return (struct rota_waitset *)(void *)waitset_new(x->c);
}

int
rota_waitset_add(struct rota_ctx *x, struct rota_waitset *w, struct rota_ref *r, uint64_t tag)
{
	return capi_failed(x, waitset_add(x->c, (struct waitset *)(void *)w, rec_of(r), tag));
}

int
rota_waitset_next(struct rota_ctx *x, struct rota_waitset *w, int64_t timeout, struct rota_ref **r, uint64_t *tag)
{
	struct rec *k;
	uint64_t t;
	int e = next(x, (struct waitset *)(void *)w, capi_deadline(timeout), &k, &t);

	if (e < 0)
		return e == -ETIMEDOUT || e == -EINTR ? e : capi_failed(x, e);
	*r = ref_of(k);
	if (tag)
		*tag = t;
	return 0;
}

void
rota_waitset_free(struct rota_ctx *x, struct rota_waitset *w)
{
	if (w)
		waitset_free(x->c, (struct waitset *)(void *)w);
}

int
rota_wait(struct rota_ctx *x, struct rota_ref *const *r, size_t n, size_t want, int64_t timeout, unsigned char *ready)
{
	struct rota_waitset *w = rota_waitset_new(x);
	uint64_t end = capi_deadline(timeout), tag;
	size_t have = 0;
	int e = w ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && e == 0; i++) {
		if (ready)
			ready[i] = 0;
		e = rota_waitset_add(x, w, r[i], i);
	}
	while (e == 0 && have < n) {
		uint64_t now = timeout < 0 ? 0 : capi_deadline(0);
		struct rota_ref *k;

		e = rota_waitset_next(x, w, have >= want ? 0 : timeout < 0 ? timeout : now < end ? (int64_t)(end - now) : 0, &k, &tag);
		if (e == 0) {
			if (ready)
				ready[tag] = 1;
			have++;
			rota_release(x, k);
		}
	}
	rota_waitset_free(x, w);
	return e < 0 && e != -ETIMEDOUT ? e : (int)have;
}
