/* kv_keys - the keys and their values, in order; sessions that they are bound to; the single change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/kv_inner.h"
#include "wire/mp.h"

/* --- the skip list ------------------------------------------------------------------------------------- */

int
kv_order(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;

	return d ? d : (a.n > b.n) - (a.n < b.n);
}

/* the first entry not before key; prev[i]: the link at level i that leads to it or past it */
struct kv_entry *
kv_seek(struct kv *k, struct span key, struct kv_entry **prev[KV_LEVELS])
{
	struct kv_entry **link = k->head, *next;

	for (int i = KV_LEVELS - 1; ; i--) {
		while ((next = link[i]) != NULL && kv_order(kv_key(next), key) < 0)
			link = next->next;
		if (prev)
			prev[i] = &link[i];
		if (i == 0)
			return next;
	}
}

struct kv_entry *
kv_find(struct kv *k, struct span key)
{
	struct kv_entry *e = kv_seek(k, key, NULL);

	return e && kv_order(kv_key(e), key) == 0 ? e : NULL;
}

struct kv_entry *
kv_entry_new(struct kv *k, struct span key)
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
	kv_seek(k, key, prev);
	for (unsigned i = 0; i < levels; i++) {
		e->next[i] = *prev[i];
		*prev[i] = e;
	}
	k->n++;
	k->bytes += key.n;
	return e;
}

/* --- sessions --------------------------------------------------------------------------------------------- */

uint64_t
kv_session_id(uint32_t node, enum kv_session kind, uint64_t number)	/* node and job numbers stay below 2^31 */
{
	return kind == KV_JOB ? UINT64_C(1) << 63 | number : (uint64_t)node << 32 | (uint32_t)number;
}

static void
unbind(struct kv *k, struct kv_entry *e)
{
	struct kv_owner *s = e->session;

	if (s == NULL)
		return;
	list_del(&e->bysession);
	e->session = NULL;
	if (list_empty(&s->entries)) {
		map_del(&k->sessions, s->id);
		free(s);
	}
}

int
kv_bind(struct kv *k, struct kv_entry *e, uint64_t id, uint32_t node)
{
	struct kv_owner *s = map_get(&k->sessions, id);

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

void
kv_entry_free(struct kv *k, struct kv_entry *e)
{
	struct kv_entry **prev[KV_LEVELS];

	kv_seek(k, kv_key(e), prev);
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

	disk_key(key, kv_key(e));
	if (mp_put_array(&b, 5) == 0 && mp_put_uint(&b, e->made) == 0 && mp_put_uint(&b, e->changed) == 0 &&
	    mp_put_uint(&b, e->session ? e->session->id : 0) == 0 && mp_put_uint(&b, e->session ? e->session->node : 0) == 0 &&
	    mp_put_bin(&b, e->val, e->nval) == 0)
		control_fx_put(o, span_of(key, 3 + e->nkey), b.data, b.len);
	buf_release(&b);
}

void
kv_delete(struct kv *k, struct kv_entry *e, struct control_out *o)	/* at revision k->rev */
{
	unsigned char key[3 + KV_KEY_MAX];

	disk_key(key, kv_key(e));
	kv_log_add(k, kv_key(e), NULL, 0);
	control_fx_put(o, span_of(key, 3 + e->nkey), NULL, 0);
	kv_entry_free(k, e);
}

void
kv_sealed(struct kv *k, struct control_out *o)		/* revision k->rev is complete */
{
	struct buf b = BUF_INIT;

	if (mp_put_uint(&b, k->rev) == 0)
		control_fx_put(o, span_text("next/revision"), b.data, b.len);
	buf_release(&b);
	kv_log_tell(k, o);
}

int
kv_put(struct kv *k, const struct kv_change *c, uint64_t session, uint32_t node, struct control_out *o)
{
	struct kv_entry *e = kv_find(k, c->key);
	unsigned char *val = malloc(c->val.n ? c->val.n : 1);
	bool fresh = e == NULL;

	if (val == NULL || (fresh && (e = kv_entry_new(k, c->key)) == NULL)) {
		free(val);
		return -ENOMEM;
	}
	if (c->val.n)
		memcpy(val, c->val.p, c->val.n);
	if (c->session == KV_LASTS)
		unbind(k, e);
	else if (kv_bind(k, e, session, node) < 0) {
		free(val);
		if (fresh)
			kv_entry_free(k, e);
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

void
kv_session_end(struct kv *k, struct kv_owner *s, struct control_out *o)
{
	uint64_t id = s->id;

	k->rev++;
	while ((s = map_get(&k->sessions, id)) != NULL)	/* the last key takes it along */
		kv_delete(k, list_entry(s->entries.next, struct kv_entry, bysession), o);
	kv_sealed(k, o);
}
