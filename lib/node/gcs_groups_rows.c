/* gcs_groups_rows - placement groups on the control store's disk, and as lists for people */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/err.h"
#include "core/bundle.h"
#include "core/control_fx.h"
#include "node/gcs_inner.h"
#include "wire/le.h"
#include "wire/mp.h"

#define CHUNK (256u << 10)		/* bytes of rows in one message */

/* --- on the disk --------------------------------------------------------------------------------------------------- */

enum { NUMBERS = 8, BYTES = 4 };

static int
key_of(char key[40], const struct gcs_group *p)
{
	return snprintf(key, 40, GCS_GROUP_KEY "%016" PRIx64, p->number);
}

/* where its bundles are: u32 node, u64 round each */
static int
put_places(struct buf *b, const struct gfar_group *c)
{
	unsigned char at[12];
	int e = 0;

	for (unsigned i = 0; i < c->n && e == 0; i++) {
		le_put32(at, c->node[i]);
		le_put64(at + 4, c->of[i]);
		e = buf_add(b, at, sizeof at);
	}
	return e;
}

void
gcs_group_note(struct gcs *g, struct gcs_group *p)
{
	const struct gfar_group *c = gfar_group(&g->groups.core, p->number);
	struct buf b = BUF_INIT, places = BUF_INIT;
	uint64_t now = clock_ns();
	uint64_t v[NUMBERS] = { p->id.node, p->id.proc, p->id.seq, p->job, p->home, (uint64_t)p->strategy << 1 | p->detached, p->since,
	    p->until ? clock_wall_ns() + (p->until > now ? p->until - now : 0) : 0 };
	char key[40];
	int e;

	e = put_places(&places, c);
	if (e == 0)
		e = mp_put_array(&b, 1 + NUMBERS + BYTES);
	if (e == 0)
		e = mp_put_uint(&b, p->number);
	for (int i = 0; i < NUMBERS && e == 0; i++)
		e = mp_put_uint(&b, v[i]);
	if (e == 0 && mp_put_bin(&b, p->name, strlen(p->name)) == 0 && mp_put_bin(&b, p->namespace, strlen(p->namespace)) == 0 &&
	    mp_put_bin(&b, p->bundles.data, p->bundles.len) == 0 && mp_put_bin(&b, places.data, places.len) == 0) {
		control_fx_put(&g->out, span_of(key, (size_t)key_of(key, p)), b.data, b.len);
		p->noted = true;
	}
	buf_release(&b);
	buf_release(&places);
}

void
gcs_group_unnote(struct gcs *g, struct gcs_group *p)
{
	char key[40];

	if (p->noted)
		control_fx_put(&g->out, span_of(key, (size_t)key_of(key, p)), NULL, 0);
	p->noted = false;
}

void
gcs_group_past(struct gcs *g, const struct gcs_group *p, const struct gfar_group *c)
{
	struct control_past row = control_past_begin(&g->out);
	char text[ID_TEXT];

	control_past_s(&row, "id", span_text(id_format(text, p->id)));
	control_past_s(&row, "name", span_text(p->name));
	control_past_s(&row, "state", span_text("removed"));
	control_past_s(&row, "strategy", span_text(group_strategy_word(p->strategy)));
	control_past_u(&row, "bundles", c->n);
	control_past_u(&row, "job", p->detached ? 0 : p->job);
	control_past_s(&row, "namespace", span_text(p->namespace));
	control_past_s(&row, "why", span_text(c->text));
	control_past_end(&row, "groups");
}

static bool
get_places(struct span s, unsigned n, struct gfar_in *in)
{
	uint32_t *at = calloc(n, sizeof *at);
	uint64_t *rounds = calloc(n, sizeof *rounds);

	in->at = at;
	in->rounds = rounds;
	if (at == NULL || rounds == NULL || s.n != n * 12)
		return false;
	for (unsigned i = 0; i < n; i++) {
		at[i] = le_get32(s.p + i * 12);
		rounds[i] = le_get64(s.p + i * 12 + 4);
		in->ever |= at[i] != 0;		/* it may have been: what is held is not given back for another one's loss */
	}
	return true;
}

struct gcs_group *
gcs_group_read(struct gcs *g, struct span val, struct gfar_in *in)
{
	struct mp r = mp_read(val.p, val.n);
	struct res *bundles = NULL;
	struct span s[BYTES];
	uint64_t v[NUMBERS + 1], now = clock_ns(), wall = clock_wall_ns();
	char why[BUNDLE_WHY];
	struct gcs_group *p;
	struct mp_tok t;
	int e;

	if (mp_next(&r, &t) < 0 || t.kind != MP_ARRAY || t.n < 1 + NUMBERS + BYTES)
		return NULL;
	for (int i = 0; i <= NUMBERS; i++) {
		if (mp_next(&r, &t) < 0 || t.kind != MP_INT)
			return NULL;
		v[i] = t.u;
	}
	for (int i = 0; i < BYTES; i++) {
		if (mp_next(&r, &t) < 0 || t.kind != MP_BIN)
			return NULL;
		s[i] = span_of(t.p, t.n);
	}
	e = bundles_get(&g->groups.words, true, s[2], &bundles, &in->nbundle, why);
	in->bundles = bundles;
	if (e < 0 || v[6] >> 1 >= GROUP_STRATEGIES || !get_places(s[3], in->nbundle, in) || map_get(&g->groups.numbers, v[0]) ||
	    (p = calloc(1, sizeof *p)) == NULL)
		return NULL;
	*p = (struct gcs_group){ .number = v[0], .id = { (uint32_t)v[1], (uint32_t)v[2], v[3] }, .job = (uint32_t)v[4],
	    .home = (uint32_t)v[5], .strategy = (enum group_strategy)(v[6] >> 1), .detached = v[6] & 1, .since = v[7], .noted = true,
	    .until = v[8] ? now + (v[8] > wall ? v[8] - wall : 0) : 0 };
	in->group = p->number;
	in->round = g->core.epoch << 32;
	in->job = p->job;
	in->strategy = p->strategy;
	in->detached = p->detached;
	in->until = in->ever ? 0 : p->until;
	return gcs_group_enter(g, p, s[0], s[1], s[2]);
}

/* --- for people ---------------------------------------------------------------------------------------------------------- */

static void
put_key(struct buf *b, const char *k)
{
	mp_put_str(b, k, strlen(k));
}

static void
put_text(struct buf *b, const char *k, const char *s)
{
	put_key(b, k);
	if (*s)
		mp_put_str(b, s, strlen(s));
	else
		mp_put_nil(b);
}

static void
put_milli(struct buf *b, const char *k, int64_t v)
{
	put_key(b, k);
	if (v % 1000 == 0)
		mp_put_int(b, v / 1000);
	else
		mp_put_float(b, (double)v / 1000);
}

static void
put_nodes(struct buf *b, const struct gfar_group *c)	/* "1 2 2", - for a bundle that has none */
{
	struct buf t = BUF_INIT;

	for (unsigned i = 0; i < c->n; i++)
		if (c->node[i])
			buf_printf(&t, i ? " %u" : "%u", c->node[i]);
		else
			buf_printf(&t, i ? " -" : "-");
	put_key(b, "nodes");
	mp_put_str(b, t.data, t.len);
	buf_release(&t);
}

static void
put_group(struct buf *b, const struct gcs_group *p, const struct gfar_group *c)
{
	uint64_t wall = clock_wall_ns();
	struct res sum = { { 0 } };
	char text[ID_TEXT];

	for (unsigned i = 0; i < c->n; i++)
		for (unsigned k = 0; k < RES_CUSTOM; k++)
			sum.v[k] += c->bundle[i].v[k];
	mp_put_map(b, 12);
	put_text(b, "id", id_format(text, p->id));
	put_text(b, "name", p->name);
	put_text(b, "state", group_state_word(c->state));
	put_text(b, "strategy", group_strategy_word(p->strategy));
	put_key(b, "bundles");
	mp_put_uint(b, c->n);
	put_milli(b, "cpus", sum.v[RES_CPU]);
	put_milli(b, "gpus", sum.v[RES_GPU]);
	put_nodes(b, c);
	put_key(b, "job");
	mp_put_uint(b, p->detached ? 0 : p->job);
	put_text(b, "namespace", p->namespace);
	put_key(b, "age");
	mp_put_uint(b, wall > p->since ? wall - p->since : 0);
	put_text(b, "why", c->text);
}

static void
send_rows(struct gcs_peer *p, uint64_t req, struct buf *rows, uint32_t *count, bool last)
{
	struct buf b = BUF_INIT;

	if (mp_put_array(&b, *count) == 0 && mp_put_raw(&b, rows->data, rows->len) == 0)
		CONTROL_SEND(&p->g->out, p->number, group_rows, .req = req, .last = last, .rows = span_of(b.data, b.len));
	buf_release(&b);
	rows->len = 0;
	*count = 0;
}

void
gcs_groups_list(struct gcs_peer *p, uint64_t req)
{
	struct map_iter it = MAP_ITER;
	struct buf rows = BUF_INIT;
	uint32_t count = 0;

	while (map_next(&p->g->groups.numbers, &it)) {
		const struct gfar_group *c = gfar_group(&p->g->groups.core, it.key);

		if (c == NULL)
			continue;
		put_group(&rows, it.val, c);
		count++;
		if (rows.len > CHUNK)
			send_rows(p, req, &rows, &count, false);
	}
	send_rows(p, req, &rows, &count, true);
	buf_release(&rows);
}
