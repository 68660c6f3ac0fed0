/* gcs_past.c - what is over: hundreds of thousands of rows, of which the newest stay, in so many bytes of the disk and none of memory */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/control_fx.h"
#include "node/gcs_past.h"
#include "store/db.h"
#include "tap.h"
#include "wire/mp.h"

enum { ROWS = 200000, BATCH = 1000 };
#define LIMIT (UINT64_C(2) << 20)

static struct db *db;

static int
apply(const struct control_out *o)
{
	int e = db_begin(db);

	for (size_t i = 0; i < o->n && e >= 0; i++) {
		const struct control_fx *fx = &o->fx[i];

		if (fx->kind == CONTROL_FX_PUT)
			e = db_put(db, o->bytes.data + fx->key, fx->nkey, o->bytes.data + fx->val, fx->nval);
		else if (fx->kind == CONTROL_FX_DEL)
			e = db_del(db, o->bytes.data + fx->key, fx->nkey);
	}
	return e < 0 ? e : db_commit(db);
}

static void
over(struct control_out *o, uint64_t number, const char *list)
{
	struct control_past p = control_past_begin(o);
	char name[32];

	snprintf(name, sizeof name, "name%llu", (unsigned long long)number);
	control_past_u(&p, "actor", number);
	control_past_s(&p, "name", span_text(name));
	control_past_s(&p, "why", span_text(""));	/* left out */
	control_past_s(&p, "class", span_text("Counter"));
	control_past_end(&p, list);
}

struct seen {
	uint64_t rows, bytes, last, holes;
};

static int
look(void *arg, const void *key, size_t kn, const void *val, size_t vn)
{
	struct mp r = mp_read(val, vn);
	struct seen *s = arg;
	struct mp_tok t;
	uint64_t number = 0;

	(void)key;
	if (mp_next(&r, &t) < 0 || t.kind != MP_MAP || t.n != 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		mp_next(&r, &t);
		if (t.n == 5 && memcmp(t.p, "actor", 5) == 0 && mp_next(&r, &t) == 0)
			number = t.u;
		else
			mp_skip(&r);
	}
	s->holes += s->last && number != s->last + 1;
	s->last = number;
	s->rows++;
	s->bytes += kn + vn;
	return 0;
}

int
main(void)
{
	char dir[] = "/tmp/rota-past.XXXXXX", path[64], line[64];
	struct gcs_past p = { .limit = LIMIT }, again = { .limit = LIMIT }, none = { .limit = 0 };
	struct control_out o = { 0 };
	struct seen s = { 0 }, half = { 0 };
	uint64_t most = 0;
	int e = 0;

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/db", dir);
	ok(db_open(&db, path, 1, DB_NOSYNC) == 0);
	for (uint64_t i = 0; i < ROWS && e == 0; i += BATCH) {
		o.n = 0;
		o.bytes.len = 0;
		for (uint64_t k = 0; k < BATCH; k++)
			over(&o, i + k + 1, "actors");
		over(&o, 1, "no such list");
		gcs_past_take(&p, db, &o);
		most = p.list[0].bytes > most ? p.list[0].bytes : most;
		e = apply(&o);
	}
	ok(e == 0);
	ok(most <= LIMIT + BATCH * 200);		/* what is not committed is not forgotten yet */
	ok(db_each(db, GCS_PAST "actors/", strlen(GCS_PAST) + 7, look, &s) == 0);
	printf("# %llu of %d rows in %llu bytes\n", (unsigned long long)s.rows, ROWS, (unsigned long long)s.bytes);
	ok(s.last == ROWS && s.holes == 0);		/* the newest, without a gap */
	ok(s.bytes == p.list[0].bytes && s.rows == p.list[0].next - p.list[0].first);
	ok(s.rows > LIMIT / 200 && s.bytes > LIMIT - 1000 && s.bytes < LIMIT + BATCH * 200);

	/* from the middle on */
	snprintf(line, sizeof line, GCS_PAST "actors/%016llx", (unsigned long long)(p.list[0].next - 10));
	ok(db_each_from(db, GCS_PAST "actors/", strlen(GCS_PAST) + 7, line, strlen(line), look, &half) == 0);
	ok(half.rows == 10 && half.last == ROWS);

	/* a restart knows where it was; a smaller limit holds from the next row on; without one nothing is remembered */
	ok(gcs_past_load(&again, db) == 0 && memcmp(again.list, p.list, sizeof p.list) == 0);
	again.limit = 1000;
	o.n = 0;
	o.bytes.len = 0;
	over(&o, ROWS + 1, "actors");
	gcs_past_take(&again, db, &o);
	ok(apply(&o) == 0 && again.list[0].bytes < 1200);
	o.n = 0;
	o.bytes.len = 0;
	over(&o, 1, "jobs");
	gcs_past_take(&none, db, &o);
	ok(o.n == 1 && none.list[1].next == 0);

	db_close(db);
	free(o.fx);
	buf_release(&o.bytes);
	snprintf(line, sizeof line, "rm -rf %s", dir);
	return system(line) | tap_done();
}
