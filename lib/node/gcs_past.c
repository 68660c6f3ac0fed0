#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/err.h"
#include "core/control_fx.h"
#include "node/gcs_inner.h"
#include "store/db.h"
#include "wire/mp.h"

enum { ANSWER = 128 << 10, KEY = 64 };

static const char *const names[GCS_PAST_LISTS] = { "actors", "jobs", "nodes", "groups" };

static int
find(struct span name)
{
	for (int i = 0; i < GCS_PAST_LISTS; i++)
		if (span_is(name, names[i]))
			return i;
	return -1;
}

static size_t
row_key(char key[KEY], int list, uint64_t sequence)
{
	return (size_t)snprintf(key, KEY, GCS_PAST "%s/%016" PRIx64, names[list], sequence);
}

static size_t
head_key(char key[KEY], int list)
{
	return (size_t)snprintf(key, KEY, GCS_PAST "%s", names[list]);
}

int
gcs_past_load(struct gcs_past *p, struct db *db)
{
	struct buf b = BUF_INIT;
	char key[KEY];
	int e = 0;

	for (int i = 0; i < GCS_PAST_LISTS && e == 0; i++) {
		struct gcs_past_list *l = &p->list[i];
		uint64_t *const v[] = { &l->first, &l->next, &l->bytes };
		struct mp_tok t;
		struct mp r;

		if ((e = db_get(db, key, head_key(key, i), &b)) == ERR_NOTFOUND) {
			e = 0;
			continue;
		}
		r = mp_read(b.data, b.len);
		for (unsigned k = 0; k < 3 && e == 0; k++)
			if (mp_next(&r, &t) < 0 || t.kind != MP_INT)
				e = ERR_PROTO;
			else
				*v[k] = t.u;
	}
	buf_release(&b);
	return e;
}

/* Forgets the oldest rows that are too many.  What is not committed yet is left for later. */
static void
trim(struct gcs_past *p, int list, struct db *db, struct control_out *o)
{
	struct gcs_past_list *l = &p->list[list];
	struct buf b = BUF_INIT;
	char key[KEY];

	while (l->bytes > p->limit && l->first < l->next) {
		size_t n = row_key(key, list, l->first);

		if (db_get(db, key, n, &b) < 0)
			break;
		control_fx_put(o, span_of(key, n), NULL, 0);
		l->bytes -= n + b.len < l->bytes ? n + b.len : l->bytes;
		l->first++;
	}
	buf_release(&b);
}

static void
save(struct gcs_past_list *l, int list, struct control_out *o)
{
	struct buf b = BUF_INIT;
	char key[KEY];

	if (mp_put_uint(&b, l->first) == 0 && mp_put_uint(&b, l->next) == 0 && mp_put_uint(&b, l->bytes) == 0)
		control_fx_put(o, span_of(key, head_key(key, list)), b.data, b.len);
	buf_release(&b);
	l->changed = false;
}

/* the row of effect i, a write from here on */
static void
remember(struct gcs_past *p, size_t i, struct control_out *o)
{
	struct control_fx fx = o->fx[i];
	int list = find(span_of(o->bytes.data + fx.key, fx.nkey));
	struct buf b = BUF_INIT;
	char key[KEY];
	size_t n;

	if (list >= 0 && p->limit && mp_put_map(&b, fx.columns + 1) == 0 && mp_put_str(&b, "ended", 5) == 0 &&
	    mp_put_uint(&b, clock_wall_ns()) == 0 && mp_put_raw(&b, o->bytes.data + fx.val, fx.nval) == 0) {
		struct gcs_past_list *l = &p->list[list];

		n = row_key(key, list, l->next);
		control_fx_put(o, span_of(key, n), b.data, b.len);
		l->next++;
		l->bytes += n + b.len;
		l->changed = true;
	}
	buf_release(&b);
}

void
gcs_past_take(struct gcs_past *p, struct db *db, struct control_out *o)
{
	size_t n = o->n;

	for (size_t i = 0; i < n; i++)
		if (o->fx[i].kind == CONTROL_FX_PAST)
			remember(p, i, o);
	for (int i = 0; i < GCS_PAST_LISTS; i++)
		if (p->list[i].changed) {
			trim(p, i, db, o);
			save(&p->list[i], i, o);
		}
	for (size_t i = n; i < o->n; i++)		/* with the last commit of those before */
		o->fx[i].commit = o->fx[n - 1].commit;
}

/* --- asked for ------------------------------------------------------------------------------------------------------------ */

struct answer {
	struct buf rows;
	uint64_t last;
	unsigned n;
};

static int
add(void *arg, const void *key, size_t kn, const void *val, size_t vn)
{
	struct answer *a = arg;
	char text[KEY];

	if (a->rows.len > ANSWER)
		return 1;
	if (kn >= sizeof text || kn < 16)
		return ERR_PROTO;
	memcpy(text, (const char *)key + kn - 16, 16);
	text[16] = '\0';
	if (sscanf(text, "%" SCNx64, &a->last) != 1)
		return ERR_PROTO;
	a->n++;
	return mp_put_raw(&a->rows, val, vn);
}

int
gcs_past_frame(struct gcs_peer *p, const struct frame *f)
{
	struct gcs *g = p->g;
	struct buf *out = conn_out(p->c);
	struct answer a = { .rows = BUF_INIT };
	char prefix[KEY], from[KEY];
	size_t at = out->len;
	struct msg_past m;
	int e = msg_get_past(&m, f->body, f->len), list;

	if (e < 0)
		return e;
	if ((list = find(m.what)) >= 0) {
		size_t n = head_key(prefix, list);

		prefix[n++] = '/';
		e = db_each_from(g->disk.db, prefix, n, from, row_key(from, list, m.from), add, &a);
	}
	conn_done(p->c, at, msg_put_past_rows(out, &(struct msg_past_rows){ .req = m.req, .next = e == 1 ? a.last + 1 : 0, .count = a.n,
	    .rows = span_of(a.rows.data, a.rows.len) }), NULL, 0, 0);
	buf_release(&a.rows);
	return 0;
}
