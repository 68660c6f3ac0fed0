/* cluster.c - rows in the order of their changes */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/cluster.h"
#include "wire/mp.h"

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)

void
cluster_init(struct cluster *c, uint64_t epoch)
{
	*c = (struct cluster){ .rev = epoch << 32, .floor = epoch << 32 };
	list_init(&c->order);
	list_init(&c->graves);
}

static void
row_free(struct cluster_row *r)
{
	buf_release(&r->what);
	buf_release(&r->load);
	free(r);
}

static void
forget_all(struct cluster *c)
{
	list_each_safe(l, next, &c->order)
		row_free(list_entry(l, struct cluster_row, link));
	map_release(&c->rows);
	list_init(&c->order);
	list_init(&c->graves);
	c->n = c->ngone = 0;
}

void
cluster_release(struct cluster *c)
{
	forget_all(c);
	cluster_init(c, 0);
}

const struct cluster_row *
cluster_row(const struct cluster *c, uint32_t number)
{
	struct cluster_row *r = map_get(&c->rows, number);

	return r && !r->gone ? r : NULL;
}

const struct cluster_row *
cluster_next(const struct cluster *c, const struct cluster_row *row)
{
	for (struct list *l = row ? row->link.next : c->order.next; l != &c->order; l = l->next)
		if (!list_entry(l, struct cluster_row, link)->gone)
			return list_entry(l, struct cluster_row, link);
	return NULL;
}

const struct cluster_row *
cluster_newer(const struct cluster *c, uint64_t rev, const struct cluster_row *row)
{
	const struct list *l = row ? row->link.prev : c->order.prev;

	return l != &c->order && list_entry(l, struct cluster_row, link)->rev > rev ? list_entry(l, struct cluster_row, link) : NULL;
}

/* --- changes --- */

static int
become(struct buf *b, struct span to)		/* 1: it is another one now, 0: it was that already */
{
	size_t n = b->len;

	if (to.p == NULL || (to.n == n && memcmp(to.p, n ? b->data : to.p, n) == 0))
		return 0;
	b->len = 0;
	if (buf_add(b, to.p, to.n) == 0)
		return 1;
	b->len = n;
	return -ENOMEM;
}

static void
changed(struct cluster *c, struct cluster_row *r, uint64_t rev)
{
	r->rev = c->rev = rev;
	list_del(&r->link);
	list_add_tail(&c->order, &r->link);
}

static struct cluster_row *
row_make(struct cluster *c, uint32_t number)
{
	struct cluster_row *r = map_get(&c->rows, number);

	if (r == NULL && (r = calloc(1, sizeof *r)) != NULL) {
		r->number = number;
		r->gone = true;
		list_init(&r->link);
		list_init(&r->grave);
		if (map_put(&c->rows, number, r) < 0) {
			free(r);
			return NULL;
		}
		list_add_tail(&c->order, &r->link);
		c->ngone++;
	}
	return r;
}

static int
set(struct cluster *c, uint32_t number, uint64_t rev, struct span what, struct span load)
{
	struct cluster_row *r = row_make(c, number);
	int a, b;

	if (r == NULL || (a = become(&r->what, what)) < 0 || (b = become(&r->load, load)) < 0)
		return -ENOMEM;
	if (!r->gone && !a && !b)
		return 0;
	if (r->gone || a)
		r->what_rev = c->what_rev = rev;
	if (r->gone) {
		r->gone = false;
		list_del(&r->grave);
		c->n++;
		c->ngone--;
	}
	changed(c, r, rev);
	return 0;
}

static void
gone(struct cluster *c, struct cluster_row *r, uint64_t rev)
{
	if (!r->gone) {
		r->gone = true;
		buf_release(&r->what);
		buf_release(&r->load);
		c->n--;
		c->ngone++;
	}
	c->what_rev = rev;
	list_del(&r->grave);
	list_add_tail(&c->graves, &r->grave);
	changed(c, r, rev);
	while (c->ngone > CLUSTER_GONE_MAX) {
		struct cluster_row *old = list_entry(list_shift(&c->graves), struct cluster_row, grave);

		c->floor = old->rev;
		c->ngone--;
		map_del(&c->rows, old->number);
		list_del(&old->link);
		row_free(old);
	}
}

int
cluster_set(struct cluster *c, uint32_t number, struct span what, struct span load)
{
	if (what.n > CLUSTER_BYTES_MAX || load.n > CLUSTER_BYTES_MAX)
		return -E2BIG;
	return set(c, number, c->rev + 1, what, load);
}

void
cluster_gone(struct cluster *c, uint32_t number)
{
	struct cluster_row *r = map_get(&c->rows, number);

	if (r && !r->gone)
		gone(c, r, c->rev + 1);
}

/* --- from one to another --- */

int
cluster_since(const struct cluster *c, struct cluster_seen *s, size_t most, struct buf *out, bool *anew)
{
	const struct list *l = &c->order;
	size_t begun = out->len;
	unsigned char *p;

	*anew = c->floor > (s->rev > s->base ? s->rev : s->base) || s->rev > c->rev;
	if (*anew)
		*s = (struct cluster_seen){ .base = c->rev };
	while (l->prev != &c->order && list_entry(l->prev, struct cluster_row, link)->rev > s->rev)
		l = l->prev;
	for (; l != &c->order; l = l->next) {
		const struct cluster_row *r = list_entry(l, struct cluster_row, link);
		bool told = r->what_rev <= s->all;

		if (out->len > begun && out->len - begun + r->what.len + r->load.len > most)
			break;
		if (r->gone && r->rev <= s->base)
			continue;
		if (buf_reserve(out, 5 * MP_MAX_SCALAR + 2 * MP_MAX_HEAD + r->what.len + r->load.len) < 0)
			return -ENOMEM;
		p = mp_w_array_head(out->data + out->len, r->gone ? 2 : 4);
		p = mp_w_uint(mp_w_uint(p, r->number), r->rev);
		if (!r->gone && told) {
			p = mp_w_nil(p);
		} else if (!r->gone) {
			p = mp_w_bin_head(p, r->what.len);
			p = (unsigned char *)mempcpy(p, r->what.len ? r->what.data : p, r->what.len);
		}
		if (!r->gone) {
			p = mp_w_bin_head(p, r->load.len);
			p = (unsigned char *)mempcpy(p, r->load.len ? r->load.data : p, r->load.len);
		}
		out->len = (size_t)(p - out->data);
		s->rev = r->rev;
	}
	if (l == &c->order)
		s->rev = s->all = c->rev;
	return 0;
}

static bool
bytes(struct mp *m, struct span *s)		/* of an element: bin, or nil: as before */
{
	struct mp_tok t;

	if (mp_next(m, &t) < 0 || (t.kind != MP_BIN && t.kind != MP_NIL) || (t.kind == MP_BIN && t.n > CLUSTER_BYTES_MAX))
		return false;
	*s = t.kind == MP_BIN ? span_of(t.p, t.n) : span_of(NULL, 0);
	return true;
}

int
cluster_apply(struct cluster *c, struct span changes, bool anew)
{
	struct mp m = { changes.p, changes.p + changes.n };

	if (anew) {
		forget_all(c);
		c->rev = c->floor = c->what_rev = 0;
	}
	while (m.p < m.end) {
		struct mp_tok head, number, rev;
		struct span what, load;
		struct cluster_row *r;
		int e;

		if (mp_next(&m, &head) < 0 || head.kind != MP_ARRAY || (head.n != 2 && head.n != 4) ||
		    mp_next(&m, &number) < 0 || number.kind != MP_INT || number.i < 1 || number.i > UINT32_MAX ||
		    mp_next(&m, &rev) < 0 || rev.kind != MP_INT || rev.i < 1 || (uint64_t)rev.i <= c->rev)
			return ERR_PROTO;
		r = map_get(&c->rows, (uint32_t)number.i);
		if (head.n == 2) {
			if (r == NULL && (r = row_make(c, (uint32_t)number.i)) == NULL)
				return -ENOMEM;
			gone(c, r, (uint64_t)rev.i);
			continue;
		}
		if (!bytes(&m, &what) || !bytes(&m, &load) || (what.p == NULL && (r == NULL || r->gone)))
			return ERR_PROTO;
		if ((e = set(c, (uint32_t)number.i, (uint64_t)rev.i, what, load)) < 0)
			return e;
		r = map_get(&c->rows, (uint32_t)number.i);
		if (r->rev != (uint64_t)rev.i)		/* as it was: here it counts as a change all the same */
			changed(c, r, (uint64_t)rev.i);
	}
	return 0;
}

int
cluster_check(const struct cluster *c)
{
	size_t n = 0, ngone = 0;
	uint64_t last = 0;

	list_each(l, &c->order) {
		const struct cluster_row *r = list_entry(l, struct cluster_row, link);

		CHECK(map_get(&c->rows, r->number) == r);
		CHECK(r->rev > last && r->rev <= c->rev && r->what_rev <= r->rev && r->what_rev <= c->what_rev);
		CHECK(r->gone == !list_empty(&r->grave));
		CHECK(!r->gone || (r->what.len == 0 && r->load.len == 0));
		last = r->rev;
		n += !r->gone;
		ngone += r->gone;
	}
	CHECK(n == c->n && ngone == c->ngone && c->rows.n == n + ngone && ngone <= CLUSTER_GONE_MAX);
	return 0;
}
