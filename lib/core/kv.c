#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/kv_inner.h"
#include "core/numbers.h"
#include "wire/mp.h"

/* --- reading -------------------------------------------------------------------------------------------------------- */

static int
put_row(struct buf *b, const struct kv_entry *e)
{
	struct span key = kv_key(e);

	return mp_put_array(b, 5) < 0 || mp_put_bin(b, key.p, key.n) < 0 || mp_put_bin(b, e->val, e->nval) < 0 ||
	    mp_put_uint(b, e->made) < 0 || mp_put_uint(b, e->changed) < 0 || mp_put_uint(b, e->session != NULL) < 0 ? -ENOMEM : 0;
}

static int
on_get(struct kv *k, uint64_t peer, const struct frame *f, struct control_out *o)
{
	struct buf b = BUF_INIT;
	struct kv_entry *e;
	struct msg_kv_get m;
	bool more = false;
	int err;

	if ((err = msg_get_kv_get(&m, f->body, f->len)) < 0)
		return err;
	if (m.list) {
		e = kv_seek(k, kv_order(m.after, m.key) > 0 ? m.after : m.key, NULL);
		if (e && m.after.n && kv_order(kv_key(e), m.after) == 0)
			e = e->next[0];
		for (; err == 0 && e && e->nkey >= m.key.n && (m.key.n == 0 || memcmp(kv_key(e).p, m.key.p, m.key.n) == 0); e = e->next[0]) {
			if ((more = b.len > KV_ANSWER))
				break;
			err = put_row(&b, e);
		}
	} else if ((e = kv_find(k, m.key)) != NULL)
		err = put_row(&b, e);
	if (err < 0)
		control_fx_fail(o, peer, m.req, err, "the control store is out of memory");
	else
		CONTROL_SEND(o, peer, kv_rows, .req = m.req, .revision = k->rev, .more = more, .rows = span_of(b.data, b.len));
	buf_release(&b);
	return 0;
}

/* --- what ends ---------------------------------------------------------------------------------------------------------- */

static int
on_gone(struct kv *k, uint32_t node, const struct frame *f, struct control_out *o)
{
	struct msg_kv_gone m;
	struct kv_owner *s;
	int e;

	if ((e = msg_get_kv_gone(&m, f->body, f->len)) < 0)
		return e;
	if ((s = map_get(&k->sessions, kv_session_id(node, KV_PROC, m.proc))) != NULL)
		kv_session_end(k, s, o);
	return 0;
}

void
kv_job_end(struct kv *k, uint64_t job, struct control_out *o)
{
	struct kv_owner *s = map_get(&k->sessions, kv_session_id(0, KV_JOB, job));

	if (s)
		kv_session_end(k, s, o);
}

void
kv_node_gone(struct kv *k, uint32_t node, struct control_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&k->sessions, &it))
		if (((struct kv_owner *)it.val)->node == node)
			kv_session_end(k, it.val, o);
}

void
kv_node_heir(struct kv *k, uint32_t node, struct span procs, struct span jobs, struct control_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&k->sessions, &it)) {
		struct kv_owner *s = it.val;
		bool job = s->id >> 63;

		if (s->node == node && !numbers_has(job ? jobs : procs, job ? s->id << 1 >> 1 : (uint32_t)s->id))
			kv_session_end(k, s, o);
	}
}

void
kv_peer_gone(struct kv *k, uint64_t peer)
{
	kv_log_peer_gone(k, peer);
}

int
kv_step(struct kv *k, uint64_t peer, uint32_t node, const struct frame *f, struct control_out *o)
{
	switch (f->type) {
	case MSG_KV_GET_T: return on_get(k, peer, f, o);
	case MSG_KV_TXN_T: return kv_txn(k, peer, node, f, o);
	case MSG_KV_WATCH_T: return kv_log_watch(k, peer, f, o);
	case MSG_KV_CANCEL_T: return kv_log_cancel(k, peer, f);
	case MSG_KV_GONE_T: return on_gone(k, node, f, o);
	}
	return 0;			/* a newer peer's: not for us */
}

/* --- start and end ------------------------------------------------------------------------------------------------------------ */

void
kv_init(struct kv *k)
{
	*k = (struct kv){ .seed = 1 };
	list_init(&k->log.watches);
}

int
kv_load(struct kv *k, struct span key, struct span val)
{
	struct mp r = mp_read(val.p, val.n);
	uint64_t u[4];
	struct kv_entry *e;
	struct mp_tok t;

	if (key.n == 0 || key.n > KV_KEY_MAX || mp_next(&r, &t) < 0 || t.kind != MP_ARRAY || t.n < 5)
		return ERR_PROTO;
	for (int i = 0; i < 4; i++)
		if (kv_get_number(&r, &u[i]) < 0)
			return ERR_PROTO;
	if (mp_next(&r, &t) < 0 || t.kind != MP_BIN || kv_find(k, key))
		return ERR_PROTO;
	if ((e = kv_entry_new(k, key)) == NULL || (e->val = malloc(t.n ? t.n : 1)) == NULL)
		return -ENOMEM;
	e->made = u[0];
	e->changed = u[1];
	memcpy(e->val, t.p, t.n);
	e->nval = t.n;
	k->bytes += t.n;
	return u[2] ? kv_bind(k, e, u[2], (uint32_t)u[3]) : 0;
}

void
kv_release(struct kv *k)
{
	while (k->head[0])
		kv_entry_free(k, k->head[0]);
	map_release(&k->sessions);
	kv_log_release(k);
}

#define CHECK(x) do { if (!(x)) return __LINE__; } while (0)
int
kv_check(const struct kv *k)
{
	uint64_t n = 0, bytes = 0, bound = 0, listed = 0;
	struct map_iter it = MAP_ITER;

	for (const struct kv_entry *e = k->head[0]; e; e = e->next[0]) {
		n++;
		bytes += e->nkey + e->nval;
		bound += e->session != NULL;
		CHECK(e->made <= e->changed && e->changed <= k->rev);
		CHECK(e->next[0] == NULL || kv_order(kv_key(e), kv_key(e->next[0])) < 0);
	}
	CHECK(n == k->n && bytes == k->bytes);
	for (unsigned i = 1; i < KV_LEVELS; i++)
		for (const struct kv_entry *e = k->head[i]; e; e = e->next[i])
			CHECK(e->levels > i && (e->next[i] == NULL || kv_order(kv_key(e), kv_key(e->next[i])) < 0));
	while (map_next(&k->sessions, &it)) {
		const struct kv_owner *s = it.val;

		CHECK(s->id == it.key && !list_empty(&s->entries));
		list_each(p, &s->entries) {
			CHECK(list_entry(p, struct kv_entry, bysession)->session == s);
			listed++;
		}
	}
	CHECK(listed == bound);
	return kv_log_check(k);
}
