#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/grow.h"
#include "core/control_fx.h"
#include "core/numbers.h"
#include "wire/mp.h"

struct session {
	uint64_t id;			/* session_id */
	uint32_t node;
	struct list entries;
};

struct kv_entry {
	uint64_t made, changed;
	struct session *session;	/* NULL: it lasts */
	struct list bysession;
	unsigned char *val;
	size_t nval;
	unsigned nkey, levels;
	struct kv_entry *next[];	/* levels of them; then the key */
};

struct change {				/* of a transaction, checked */
	struct span key, val;
	bool del;
	enum kv_session session;
};

static struct span
key_of(const struct kv_entry *e)
{
	return span_of(&e->next[e->levels], e->nkey);
}

/* --- the skip list ------------------------------------------------------------------------------------- */

static int
order(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	return d ? d : (a.n > b.n) - (a.n < b.n);
}

/* the first entry not before key; prev[i]: the link at level i that leads to it or past it */
static struct kv_entry *
seek(struct kv *k, struct span key, struct kv_entry **prev[KV_LEVELS])
{
	struct kv_entry **link = k->head, *next;

	for (int i = KV_LEVELS - 1; ; i--) {
		while ((next = link[i]) != NULL && order(key_of(next), key) < 0)
			link = next->next;
		if (prev)
			prev[i] = &link[i];
		if (i == 0)
			return next;
	}
}

static struct kv_entry *
find(struct kv *k, struct span key)
{
	struct kv_entry *e = seek(k, key, NULL);

	return e && order(key_of(e), key) == 0 ? e : NULL;
}

static struct kv_entry *
entry_new(struct kv *k, struct span key)
{
	struct kv_entry **prev[KV_LEVELS], *e;
	unsigned levels = 1;

	k->seed = k->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	for (uint64_t r = k->seed >> 20; levels < KV_LEVELS && (r & 3) == 0; r >>= 2)
		levels++;
	if ((e = calloc(1, sizeof *e + levels * sizeof *e->next + key.n)) == NULL)
		return NULL;
	e->levels = levels;
	e->nkey = (unsigned)key.n;
	memcpy(&e->next[levels], key.p, key.n);
	list_init(&e->bysession);
	seek(k, key, prev);
	for (unsigned i = 0; i < levels; i++) {
		e->next[i] = *prev[i];
		*prev[i] = e;
	}
	k->n++;
	k->bytes += key.n;
	return e;
}

/* --- sessions --------------------------------------------------------------------------------------------- */

static uint64_t
session_id(uint32_t node, enum kv_session kind, uint64_t number)	/* node and job numbers stay below 2^31 */
{
	return kind == KV_JOB ? UINT64_C(1) << 63 | number : (uint64_t)node << 32 | (uint32_t)number;
}

static void
unbind(struct kv *k, struct kv_entry *e)
{
	struct session *s = e->session;

	if (s == NULL)
		return;
	list_del(&e->bysession);
	e->session = NULL;
	if (list_empty(&s->entries)) {
		map_del(&k->sessions, s->id);
		free(s);
	}
}

static int
bind(struct kv *k, struct kv_entry *e, uint64_t id, uint32_t node)
{
	struct session *s = map_get(&k->sessions, id);

	if (e->session == s && s)
		return 0;
	if (s == NULL) {
		if ((s = calloc(1, sizeof *s)) == NULL || map_put(&k->sessions, id, s) < 0) {
			free(s);
			return -ENOMEM;
		}
		s->id = id;
		s->node = node;
		list_init(&s->entries);
	}
	unbind(k, e);
	e->session = s;
	list_add_tail(&s->entries, &e->bysession);
	return 0;
}

/* --- changes ------------------------------------------------------------------------------------------------- */

static void
entry_free(struct kv *k, struct kv_entry *e)
{
	struct kv_entry **prev[KV_LEVELS];

	seek(k, key_of(e), prev);
	for (unsigned i = 0; i < e->levels; i++)
		*prev[i] = e->next[i];
	unbind(k, e);
	k->n--;
	k->bytes -= e->nkey + e->nval;
	free(e->val);
	free(e);
}

static void
disk_key(unsigned char *p, struct span key)
{
	memcpy(p, "kv/", 3);
	memcpy(p + 3, key.p, key.n);
}

static void
save(const struct kv_entry *e, struct control_out *o)
{
	unsigned char key[3 + KV_KEY_MAX];
	struct buf b = BUF_INIT;

	disk_key(key, key_of(e));
	if (mp_put_array(&b, 5) == 0 && mp_put_uint(&b, e->made) == 0 && mp_put_uint(&b, e->changed) == 0 &&
	    mp_put_uint(&b, e->session ? e->session->id : 0) == 0 && mp_put_uint(&b, e->session ? e->session->node : 0) == 0 &&
	    mp_put_bin(&b, e->val, e->nval) == 0)
		control_fx_put(o, span_of(key, 3 + e->nkey), b.data, b.len);
	buf_release(&b);
}

static void
delete(struct kv *k, struct kv_entry *e, struct control_out *o)	/* at revision k->rev */
{
	unsigned char key[3 + KV_KEY_MAX];

	disk_key(key, key_of(e));
	kv_log_add(k, key_of(e), NULL, 0);
	control_fx_put(o, span_of(key, 3 + e->nkey), NULL, 0);
	entry_free(k, e);
}

static void
sealed(struct kv *k, struct control_out *o)		/* revision k->rev is complete */
{
	struct buf b = BUF_INIT;

	if (mp_put_uint(&b, k->rev) == 0)
		control_fx_put(o, span_text("next/revision"), b.data, b.len);
	buf_release(&b);
	kv_log_tell(k, o);
}

static int
put(struct kv *k, const struct change *c, uint64_t session, uint32_t node, struct control_out *o)
{
	struct kv_entry *e = find(k, c->key);
	unsigned char *val = malloc(c->val.n ? c->val.n : 1);
	bool fresh = e == NULL;

	if (val == NULL || (fresh && (e = entry_new(k, c->key)) == NULL)) {
		free(val);
		return -ENOMEM;
	}
	if (c->val.n)
		memcpy(val, c->val.p, c->val.n);
	if (c->session == KV_LASTS)
		unbind(k, e);
	else if (bind(k, e, session, node) < 0) {
		free(val);
		if (fresh)
			entry_free(k, e);
		return -ENOMEM;
	}
	k->bytes = k->bytes - e->nval + c->val.n;
	free(e->val);
	e->val = val;
	e->nval = c->val.n;
	e->changed = k->rev;
	if (fresh)
		e->made = k->rev;
	kv_log_add(k, c->key, val, c->val.n);
	save(e, o);
	return 0;
}

static void
session_end(struct kv *k, struct session *s, struct control_out *o)
{
	uint64_t id = s->id;

	k->rev++;
	while ((s = map_get(&k->sessions, id)) != NULL)	/* the last key takes it along */
		delete(k, list_entry(s->entries.next, struct kv_entry, bysession), o);
	sealed(k, o);
}

/* --- transactions ------------------------------------------------------------------------------------------------ */

static int
get_key(struct mp *r, struct span *key)
{
	struct mp_tok t;

	if (mp_next(r, &t) < 0 || (t.kind != MP_BIN && t.kind != MP_STR))
		return ERR_PROTO;
	*key = span_of(t.p, t.n);
	return 0;
}

static int
get_number(struct mp *r, uint64_t *u)
{
	struct mp_tok t;
	int e = mp_next(r, &t);

	if ((e < 0 && e != ERR_VALUE) || t.kind != MP_INT || (e == 0 && t.i < 0))
		return ERR_PROTO;
	*u = t.u;
	return 0;
}

static int
get_change(struct mp *r, struct change *c)
{
	struct mp_tok t;
	uint64_t session;
	size_t n;

	*c = (struct change){ .del = true };
	if (mp_next(r, &t) < 0 || t.kind != MP_ARRAY || ((n = t.n) != 1 && n != 3) || get_key(r, &c->key) < 0)
		return ERR_PROTO;
	if (n == 1)
		return 0;
	c->del = false;
	if (get_key(r, &c->val) < 0 || get_number(r, &session) < 0 || session > KV_JOB)
		return ERR_PROTO;
	c->session = (enum kv_session)session;
	return 0;
}

/* 0; or a negative error with the line that says what is wrong in why */
static int
check_change(const struct change *c, bool system, char *why, size_t n)
{
	if (c->key.n == 0) {
		snprintf(why, n, "a key has at least one byte");
		return -EINVAL;
	}
	if (c->key.n > KV_KEY_MAX) {
		snprintf(why, n, "a key has at most %u bytes, '%.32s…' has %zu", KV_KEY_MAX, (const char *)c->key.p, c->key.n);
		return -ENAMETOOLONG;
	}
	if (!system && c->key.n >= strlen(KV_SYSTEM) && memcmp(c->key.p, KV_SYSTEM, strlen(KV_SYSTEM)) == 0) {
		snprintf(why, n, "keys below '" KV_SYSTEM "' are the nodes' own: '%.*s'", (int)c->key.n, (const char *)c->key.p);
		return -EPERM;
	}
	if (c->val.n > KV_VALUE_MAX) {
		snprintf(why, n, "a value has at most %u bytes, that of '%.*s' has %zu: rota.keep() an object instead", KV_VALUE_MAX,
		    (int)c->key.n, (const char *)c->key.p, c->val.n);
		return -EMSGSIZE;
	}
	return 0;
}

/* the changes of m, checked, into *list, which the caller frees: their number or a negative error */
static int
get_changes(struct kv *k, const struct msg_kv_txn *m, struct change **list, char *why, size_t nwhy)
{
	struct mp r = mp_read(m->ops.p, m->ops.n);
	uint64_t bytes = k->bytes;
	size_t cap = 0;
	unsigned n = 0;
	int e;

	*list = NULL;
	while (r.p < r.end) {
		struct change *c;

		if (n == KV_OPS_MAX) {
			snprintf(why, nwhy, "a transaction has at most %u changes", KV_OPS_MAX);
			return -E2BIG;
		}
		if ((c = grow(*list, &cap, n, sizeof *c)) == NULL)
			return -ENOMEM;
		*list = c;
		c += n++;
		if (get_change(&r, c) < 0)
			return ERR_PROTO;
		if ((e = check_change(c, m->proc == 0, why, nwhy)) < 0)
			return e;
		if (!c->del)			/* which makes room */
			bytes += c->key.n + c->val.n;
	}
	if (bytes > KV_BYTES_MAX && bytes > k->bytes) {
		snprintf(why, nwhy, "the key-value store is full: it holds %lluM of %lluM", (unsigned long long)k->bytes >> 20,
		    (unsigned long long)KV_BYTES_MAX >> 20);
		return ERR_FULL;
	}
	return (int)n;
}

/* 1 all are as wanted, 0 *key is not, has *have instead; ERR_PROTO */
static int
compare(struct kv *k, struct span list, struct span *key, uint64_t *have)
{
	struct mp r = mp_read(list.p, list.n);
	const struct kv_entry *e;
	uint64_t want;
	int same = 1;

	for (unsigned n = 0; r.p < r.end; n++) {
		struct span one;

		if (n == KV_OPS_MAX || get_key(&r, &one) < 0 || get_number(&r, &want) < 0)
			return ERR_PROTO;
		e = find(k, one);
		if (same && (e ? e->changed : 0) != want) {
			same = 0;
			*key = one;
			*have = e ? e->changed : 0;
		}
	}
	return same;
}

/* Does what a transaction says: the number of keys that changed, or -ENOMEM after some of them. */
static int
apply(struct kv *k, const struct msg_kv_txn *m, uint32_t node, const struct change *c, int n, struct control_out *o)
{
	struct kv_entry *e;
	int done = 0, bad = 0;

	k->rev++;
	for (int i = 0; i < n && bad == 0; i++)
		if (!c[i].del) {
			bad = put(k, &c[i], session_id(node, c[i].session, c[i].session == KV_JOB ? m->job : m->proc), node, o);
			done += bad == 0;
		} else if ((e = find(k, c[i].key)) != NULL) {
			delete(k, e, o);
			done++;
		}
	if (done)
		sealed(k, o);
	else
		k->rev--;		/* nothing was there to be deleted */
	return bad < 0 ? bad : done;
}

static int
on_txn(struct kv *k, uint64_t peer, uint32_t node, const struct frame *f, struct control_out *o)
{
	char why[400] = "the control store is out of memory";
	struct change *c = NULL;
	struct span key = { NULL, 0 };
	struct msg_kv_txn m;
	uint64_t have = 0;
	int e, n, same;

	if ((e = msg_get_kv_txn(&m, f->body, f->len)) < 0)
		return e;
	if ((same = compare(k, m.compares, &key, &have)) < 0)
		return same;
	n = e = get_changes(k, &m, &c, why, sizeof why);
	if (n >= 0 && same)
		e = apply(k, &m, node, c, n, o);
	free(c);
	if (e == ERR_PROTO)
		return e;
	if (e < 0)
		control_fx_fail(o, peer, m.req, e, "%s", why);
	else
		CONTROL_SEND(o, peer, kv_done, .req = m.req, .ok = same != 0, .revision = k->rev, .changed = same ? (uint64_t)e : 0,
		    .key = key, .have = have);
	return 0;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static int
put_row(struct buf *b, const struct kv_entry *e)
{
	struct span key = key_of(e);

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
		e = seek(k, order(m.after, m.key) > 0 ? m.after : m.key, NULL);
		if (e && m.after.n && order(key_of(e), m.after) == 0)
			e = e->next[0];
		for (; err == 0 && e && e->nkey >= m.key.n && (m.key.n == 0 || memcmp(key_of(e).p, m.key.p, m.key.n) == 0); e = e->next[0]) {
			if ((more = b.len > KV_ANSWER))
				break;
			err = put_row(&b, e);
		}
	} else if ((e = find(k, m.key)) != NULL)
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
	struct session *s;
	int e;

	if ((e = msg_get_kv_gone(&m, f->body, f->len)) < 0)
		return e;
	if ((s = map_get(&k->sessions, session_id(node, KV_PROC, m.proc))) != NULL)
		session_end(k, s, o);
	return 0;
}

void
kv_job_end(struct kv *k, uint64_t job, struct control_out *o)
{
	struct session *s = map_get(&k->sessions, session_id(0, KV_JOB, job));

	if (s)
		session_end(k, s, o);
}

void
kv_node_gone(struct kv *k, uint32_t node, struct control_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&k->sessions, &it))
		if (((struct session *)it.val)->node == node)
			session_end(k, it.val, o);
}

void
kv_node_heir(struct kv *k, uint32_t node, struct span procs, struct span jobs, struct control_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&k->sessions, &it)) {
		struct session *s = it.val;
		bool job = s->id >> 63;

		if (s->node == node && !numbers_has(job ? jobs : procs, job ? s->id << 1 >> 1 : (uint32_t)s->id))
			session_end(k, s, o);
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
	case MSG_KV_TXN_T: return on_txn(k, peer, node, f, o);
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
		if (get_number(&r, &u[i]) < 0)
			return ERR_PROTO;
	if (mp_next(&r, &t) < 0 || t.kind != MP_BIN || find(k, key))
		return ERR_PROTO;
	if ((e = entry_new(k, key)) == NULL || (e->val = malloc(t.n ? t.n : 1)) == NULL)
		return -ENOMEM;
	e->made = u[0];
	e->changed = u[1];
	memcpy(e->val, t.p, t.n);
	e->nval = t.n;
	k->bytes += t.n;
	return u[2] ? bind(k, e, u[2], (uint32_t)u[3]) : 0;
}

void
kv_release(struct kv *k)
{
	while (k->head[0])
		entry_free(k, k->head[0]);
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
		CHECK(e->next[0] == NULL || order(key_of(e), key_of(e->next[0])) < 0);
	}
	CHECK(n == k->n && bytes == k->bytes);
	for (unsigned i = 1; i < KV_LEVELS; i++)
		for (const struct kv_entry *e = k->head[i]; e; e = e->next[i])
			CHECK(e->levels > i && (e->next[i] == NULL || order(key_of(e), key_of(e->next[i])) < 0));
	while (map_next(&k->sessions, &it)) {
		const struct session *s = it.val;

		CHECK(s->id == it.key && !list_empty(&s->entries));
		list_each(p, &s->entries) {
			CHECK(list_entry(p, struct kv_entry, bysession)->session == s);
			listed++;
		}
	}
	CHECK(listed == bound);
	return kv_log_check(k);
}
