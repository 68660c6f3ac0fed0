#include <stddef.h>
#include "base/err.h"
#include "core/node_row.h"
#include "wire/mp.h"

enum kind { NUMBER, TEXT, MAP };

struct field {
	const char *name;
	enum kind kind;
	size_t at;
};

#define F(type, name, kind) { #name, kind, offsetof(struct type, name) }
static const struct field what[] = {
	F(node_what, name, TEXT), F(node_what, addr, TEXT), F(node_what, cpus, NUMBER), F(node_what, gpus, NUMBER),
	F(node_what, memory, NUMBER), F(node_what, resources, MAP), F(node_what, labels, MAP), F(node_what, store, NUMBER),
	F(node_what, pid, NUMBER), F(node_what, since, NUMBER), F(node_what, incarnation, NUMBER), F(node_what, dead, TEXT),
	{ .name = NULL }
};
static const struct field load[] = {
	F(node_load, cpus, NUMBER), F(node_load, gpus, NUMBER), F(node_load, memory, NUMBER), F(node_load, resources, MAP),
	F(node_load, waiting, NUMBER), F(node_load, workers, NUMBER), F(node_load, drivers, NUMBER), F(node_load, store, NUMBER),
	F(node_load, report, NUMBER), F(node_load, draining, NUMBER), F(node_load, leases, NUMBER), F(node_load, kept, NUMBER), F(node_load, wanted, TEXT), F(node_load, types, TEXT),
	F(node_load, drains, TEXT),
	{ .name = NULL }
};

static const struct span *
span_at(const struct field *f, const void *row)
{
	return (const struct span *)(const void *)((const char *)row + f->at);
}

static uint64_t
number_at(const struct field *f, const void *row)
{
	return *(const uint64_t *)(const void *)((const char *)row + f->at);
}

static bool
said(const struct field *f, const void *row)		/* 0 and empty are what is not said */
{
	return f->kind == NUMBER ? number_at(f, row) != 0 : span_at(f, row)->n != 0;
}

static int
put(struct buf *b, const struct field *fields, const void *row)
{
	size_t n = 0, was = b->len;
	int e;

	for (const struct field *f = fields; f->name; f++)
		n += said(f, row);
	e = mp_put_map(b, n);
	for (const struct field *f = fields; f->name && e == 0; f++) {
		if (!said(f, row))
			continue;
		if ((e = mp_put_str(b, f->name, strlen(f->name))) < 0)
			break;
		if (f->kind == NUMBER)
			e = mp_put_uint(b, number_at(f, row));
		else if (f->kind == TEXT)
			e = mp_put_str(b, span_at(f, row)->p, span_at(f, row)->n);
		else
			e = mp_put_raw(b, span_at(f, row)->p, span_at(f, row)->n);
	}
	if (e < 0)
		b->len = was;
	return e;
}

static int
take(const struct field *f, void *row, struct mp *m)
{
	struct span *s = (struct span *)(void *)((char *)row + f->at);
	const unsigned char *begin = m->p;
	struct mp_tok t;
	int e = mp_next(m, &t);

	if (f->kind == NUMBER) {
		if ((e < 0 && e != ERR_VALUE) || t.kind != MP_INT)
			return ERR_PROTO;
		*(uint64_t *)(void *)((char *)row + f->at) = t.u;
		return 0;
	}
	if (e < 0)
		return ERR_PROTO;
	if (f->kind == TEXT) {
		if (t.kind != MP_STR)
			return ERR_PROTO;
		*s = span_of(t.p, t.n);
		return 0;
	}
	m->p = begin;
	if (mp_skip(m) < 0)
		return ERR_PROTO;
	*s = span_of(begin, (size_t)(m->p - begin));
	return node_row_map(*s) ? 0 : ERR_PROTO;
}

static int
get(const struct field *fields, void *row, struct span s)
{
	struct mp m = mp_read(s.p, s.n);
	struct mp_tok map, key;
	int e = 0;

	if (s.n == 0)
		return 0;
	if (mp_next(&m, &map) < 0 || map.kind != MP_MAP)
		return ERR_PROTO;
	for (size_t n = map.n; n > 0 && e == 0; n--) {
		const struct field *f = fields;

		if (mp_next(&m, &key) < 0 || key.kind != MP_STR)
			return ERR_PROTO;
		while (f->name && !span_is(span_of(key.p, key.n), f->name))
			f++;
		e = f->name ? take(f, row, &m) : mp_skip(&m) < 0 ? ERR_PROTO : 0;
	}
	return e;
}

int
node_what_put(struct buf *b, const struct node_what *w)
{
	return put(b, what, w);
}

int
node_load_put(struct buf *b, const struct node_load *l)
{
	return put(b, load, l);
}

int
node_what_get(struct node_what *w, struct span s)
{
	*w = (struct node_what){ .pid = 0 };
	return get(what, w, s);
}

int
node_load_get(struct node_load *l, struct span s)
{
	*l = (struct node_load){ .cpus = 0 };
	return get(load, l, s);
}

/* --- maps --- */

bool
node_row_pair(struct span *left, struct span *name, struct span *text, uint64_t *number)
{
	struct mp m = mp_read(left->p, left->n);
	struct mp_tok key, val;
	int e = left->n ? mp_next(&m, &key) : ERR_PARTIAL;

	if (e == 0 && key.kind == MP_MAP) {		/* its head: the first pair is behind it */
		*left = span_of(m.p, (size_t)(m.end - m.p));
		e = mp_next(&m, &key);
	}
	if (e < 0 || key.kind != MP_STR || ((e = mp_next(&m, &val)) < 0 && e != ERR_VALUE) ||
	    (val.kind != MP_STR && val.kind != MP_INT))
		return false;
	*name = span_of(key.p, key.n);
	*text = val.kind == MP_STR ? span_of(val.p, val.n) : span_of(NULL, 0);
	*number = val.kind == MP_INT ? val.u : 0;
	*left = span_of(m.p, (size_t)(m.end - m.p));
	return true;
}

bool
node_row_map(struct span s)
{
	struct mp m = mp_read(s.p, s.n);
	struct span name, text;
	struct mp_tok t;
	uint64_t number;
	size_t n = 0;

	if (s.n == 0)
		return true;
	if (mp_next(&m, &t) < 0 || t.kind != MP_MAP)
		return false;
	while (node_row_pair(&s, &name, &text, &number))
		n++;
	return n == t.n && s.n == 0;
}
