#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/kv_inner.h"
#include "wire/mp.h"

struct watch {				/* waits for a change */
	struct list link;
	uint64_t peer, req;
	size_t n;
	unsigned char prefix[];
};

static struct kv_event *
at(const struct kv_log *g, size_t i)
{
	return g->ring[(g->first + i) % KV_LOG_MAX];
}

static void
forget_first(struct kv_log *g)
{
	struct kv_event *e = at(g, 0);

	g->floor = e->rev;
	g->bytes -= sizeof *e + e->nkey + e->nval;
	g->first = (g->first + 1) % KV_LOG_MAX;
	g->n--;
	free(e);
}

static void
forget_all(struct kv_log *g)
{
	while (g->n)
		forget_first(g);
}

void
kv_log_add(struct kv *k, struct span key, const void *val, size_t n)
{
	struct kv_log *g = &k->log;
	struct kv_event *e = malloc(sizeof *e + key.n + n);

	if (g->ring == NULL)
		g->ring = malloc(KV_LOG_MAX * sizeof *g->ring);
	if (e == NULL || g->ring == NULL) {	/* a change that cannot be told: nobody may think that there was none */
		free(e);
		forget_all(g);
		g->floor = k->rev;
		return;
	}
	*e = (struct kv_event){ .rev = k->rev, .nkey = (uint32_t)key.n, .nval = (uint32_t)n, .del = val == NULL };
	memcpy(e->bytes, key.p, key.n);
	if (n)
		memcpy(e->bytes + key.n, val, n);
	if (g->n == 0 && g->floor < k->rev - 1)
		g->floor = k->rev - 1;
	if (g->n == KV_LOG_MAX)
		forget_first(g);
	g->ring[(g->first + g->n++) % KV_LOG_MAX] = e;
	g->bytes += sizeof *e + key.n + n;
}

/* The oldest changes go; of a revision all or none. */
static void
trim(struct kv_log *g)
{
	while (g->n && (g->n > KV_LOG_MAX - KV_OPS_MAX || g->bytes > KV_LOG_BYTES || at(g, 0)->rev <= g->floor))
		forget_first(g);
}

static bool
touches(const struct kv_event *e, const unsigned char *prefix, size_t n)
{
	return e->nkey >= n && (n == 0 || memcmp(e->bytes, prefix, n) == 0);
}

static int
put_event(struct buf *b, const struct kv_event *e)
{
	return mp_put_array(b, e->del ? 2 : 3) < 0 || mp_put_uint(b, e->rev) < 0 || mp_put_bin(b, e->bytes, e->nkey) < 0 ||
	    (!e->del && mp_put_bin(b, e->bytes + e->nkey, e->nval) < 0) ? -ENOMEM : 0;
}

/* Answers with what there is of prefix since from; false: nothing yet. */
static bool
answer(struct kv *k, uint64_t peer, uint64_t req, const unsigned char *prefix, size_t n, uint64_t from,
    struct control_out *o)
{
	struct kv_log *g = &k->log;
	size_t lo = 0, hi = g->n, mid;
	uint64_t next = k->rev + 1;
	struct buf b = BUF_INIT;
	int e = 0;

	while (lo < hi)
		if (at(g, mid = lo + (hi - lo) / 2)->rev < from)
			lo = mid + 1;
		else
			hi = mid;
	for (; e == 0 && lo < g->n; lo++) {
		struct kv_event *v = at(g, lo);

		if (b.len > KV_ANSWER && v->rev != at(g, lo - 1)->rev) {
			next = v->rev;
			break;
		}
		if (touches(v, prefix, n))
			e = put_event(&b, v);
	}
	if (e < 0)
		control_fx_fail(o, peer, req, e, "the control store is out of memory");
	else if (b.len)
		CONTROL_SEND(o, peer, kv_events, .req = req, .next = next, .events = span_of(b.data, b.len));
	e = e < 0 || b.len;
	buf_release(&b);
	return e;
}

static void
watch_free(struct kv *k, struct watch *w)
{
	list_del(&w->link);
	k->log.nwatch--;
	free(w);
}

/* whoever waits has seen all up to the revision before */
void
kv_log_tell(struct kv *k, struct control_out *o)
{
	trim(&k->log);
	list_each_safe(p, q, &k->log.watches) {
		struct watch *w = list_entry(p, struct watch, link);

		if (k->log.floor >= k->rev) {
			control_fx_fail(o, w->peer, w->req, ERR_COMPACTED, "changes up to revision %llu are forgotten: list again",
			    (unsigned long long)k->log.floor);
			watch_free(k, w);
		} else if (answer(k, w->peer, w->req, w->prefix, w->n, k->rev, o))
			watch_free(k, w);
	}
}

int
kv_log_watch(struct kv *k, uint64_t peer, const struct frame *f, struct control_out *o)
{
	struct kv_log *g = &k->log;
	uint64_t floor = g->n ? g->floor : k->rev;
	struct msg_kv_watch m;
	struct watch *w;
	int e;

	if ((e = msg_get_kv_watch(&m, f->body, f->len)) < 0)
		return e;
	if (m.prefix.n > KV_KEY_MAX) {
		control_fx_fail(o, peer, m.req, -ENAMETOOLONG, "a key has at most %u bytes, this prefix has %zu", KV_KEY_MAX, m.prefix.n);
		return 0;
	}
	if (m.from == 0)
		m.from = k->rev + 1;
	if (m.from <= floor) {
		control_fx_fail(o, peer, m.req, ERR_COMPACTED, "changes up to revision %llu are forgotten: list again",
		    (unsigned long long)floor);
		return 0;
	}
	if (m.from > k->rev + 1) {
		control_fx_fail(o, peer, m.req, -EINVAL, "revision %llu is not there yet, the last one is %llu",
		    (unsigned long long)m.from, (unsigned long long)k->rev);
		return 0;
	}
	if (answer(k, peer, m.req, m.prefix.p, m.prefix.n, m.from, o))
		return 0;
	if (g->nwatch >= KV_WATCHES_MAX || (w = malloc(sizeof *w + m.prefix.n)) == NULL) {
		control_fx_fail(o, peer, m.req, -ENOMEM, "the control store has %u watches: no room for more", g->nwatch);
		return 0;
	}
	*w = (struct watch){ .peer = peer, .req = m.req, .n = m.prefix.n };
	if (m.prefix.n)
		memcpy(w->prefix, m.prefix.p, m.prefix.n);
	list_add_tail(&g->watches, &w->link);
	g->nwatch++;
	return 0;
}

int
kv_log_cancel(struct kv *k, uint64_t peer, const struct frame *f)
{
	struct msg_kv_cancel m;
	int e;

	if ((e = msg_get_kv_cancel(&m, f->body, f->len)) < 0)
		return e;
	list_each_safe(p, q, &k->log.watches) {
		struct watch *w = list_entry(p, struct watch, link);

		if (w->peer == peer && w->req == m.req)
			watch_free(k, w);
	}
	return 0;
}

void
kv_log_peer_gone(struct kv *k, uint64_t peer)
{
	list_each_safe(p, q, &k->log.watches)
		if (list_entry(p, struct watch, link)->peer == peer)
			watch_free(k, list_entry(p, struct watch, link));
}

void
kv_log_release(struct kv *k)
{
	while (!list_empty(&k->log.watches))
		watch_free(k, list_entry(k->log.watches.next, struct watch, link));
	forget_all(&k->log);
	free(k->log.ring);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
kv_log_check(const struct kv *k)
{
	const struct kv_log *g = &k->log;
	size_t bytes = 0;
	unsigned n = 0;

	CHECK(g->n <= KV_LOG_MAX);
	for (size_t i = 0; i < g->n; i++) {
		const struct kv_event *e = at(g, i);

		bytes += sizeof *e + e->nkey + e->nval;
		CHECK(e->rev > g->floor && e->rev <= k->rev);
		CHECK(i == 0 || e->rev >= at(g, i - 1)->rev);
	}
	CHECK(bytes == g->bytes);
	list_each(p, &g->watches)
		n++;
	CHECK(n == g->nwatch);
	return 0;
}
