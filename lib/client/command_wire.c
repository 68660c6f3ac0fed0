/* The encodings of command.h. */
#include "base/err.h"
#include "client/command.h"
#include "client/command_wire.h"
#include "wire/mp.h"

int
command_put_how(struct buf *b, const struct command_how *h)
{
	int e;

	b->len = 0;
	if ((e = mp_put_str(b, h->cwd, strlen(h->cwd))) == 0 && (e = mp_put_int(b, h->mask)) == 0 &&
	    (e = mp_put_uint(b, h->nofile)) == 0 && (e = mp_put_uint(b, h->timeout)) == 0)
		e = mp_put_bin(b, h->env, h->nenv);
	if (e == 0)
		e = h->live ? mp_put_str(b, h->live, strlen(h->live)) : mp_put_nil(b);
	return e;
}

int
command_put_item(struct buf *b, const struct command_item *i, struct payload *p, struct seg *seg)
{
	int e = 0;

	b->len = 0;
	mp_put_uint(b, i->seq);
	mp_put_uint(b, i->slot);
	mp_put_uint(b, i->tries);
	e = i->in ? command_put_oob(b, 0, i->nin) : mp_put_nil(b);
	for (unsigned k = 0; k < i->argc && e == 0; k++)
		e = mp_put_str(b, i->argv[k], strlen(i->argv[k]));
	*seg = (struct seg){ i->in, i->nin };
	*p = (struct payload){ b->data, b->len, 4 + i->argc, 0, seg, i->in && i->nin ? 1 : 0 };
	return e;
}

int
command_put_oob(struct buf *b, unsigned index, size_t n)	/* empty ones need no buffer */
{
	unsigned char body[13];

	if (n == 0)
		return mp_put_str(b, "", 0);
	le_put32(body, index);
	le_put64(body + 4, n);
	body[12] = 0;
	return mp_put_ext(b, VAL_OOB, body, sizeof body);
}

int
command_get_str(struct mp *m, const struct arena *a, const struct obj_view *v, struct span *s)
{
	const unsigned char *p;
	struct mp_tok t = { 0 };
	uint64_t len;

	if (mp_next(m, &t) < 0)
		return ERR_PROTO;
	if (t.kind == MP_STR || t.kind == MP_BIN) {
		*s = span_of(t.p, t.n);
		return 0;
	}
	if (t.kind != MP_EXT || t.ext != VAL_OOB || t.n != 13 || !v ||
	    obj_view_buf(a, v, le_get32(t.p), &p, &len) < 0 || le_get64(t.p + 4) > len)
		return ERR_PROTO;
	*s = span_of(p, le_get64(t.p + 4));
	return 0;
}

int
command_get_uint(struct mp *m, uint64_t *u)
{
	struct mp_tok t;

	if (mp_next(m, &t) < 0 || t.kind != MP_INT || t.i < 0)
		return ERR_PROTO;
	*u = (uint64_t)t.i;
	return 0;
}

int
command_get_end(struct command_end *e, const struct client *c, const struct value *v)
{
	struct mp m = mp_read(v->p, v->n);
	const struct obj_view *view = v->arena ? &v->view : NULL;
	uint64_t status, sig, late;

	if (v->nvals != 7 || command_get_uint(&m, &status) < 0 || command_get_uint(&m, &sig) < 0 ||
	    command_get_uint(&m, &late) < 0 || command_get_uint(&m, &e->start) < 0 || command_get_uint(&m, &e->ns) < 0 ||
	    command_get_str(&m, client_arena(c), view, &e->out) < 0 ||
	    command_get_str(&m, client_arena(c), view, &e->err) < 0)
		return ERR_PROTO;
	e->status = (int)(status & 0xff);
	e->sig = (int)(sig & 0x7f);
	e->late = late & 1;
	e->norun = late >> 1 & 1;
	return 0;
}
