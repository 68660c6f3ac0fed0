/* kv_txn - transactions: compared, checked, and done as a whole or not at all. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/grow.h"
#include "core/kv_inner.h"
#include "wire/mp.h"

static int
get_key(struct mp *r, struct span *key)
{
	struct mp_tok t;

	if (mp_next(r, &t) < 0 || (t.kind != MP_BIN && t.kind != MP_STR))
		return ERR_PROTO;
	*key = span_of(t.p, t.n);
	return 0;
}

int
kv_get_number(struct mp *r, uint64_t *u)
{
	struct mp_tok t;
	int e = mp_next(r, &t);

	if ((e < 0 && e != ERR_VALUE) || t.kind != MP_INT || (e == 0 && t.i < 0))
		return ERR_PROTO;
	*u = t.u;
	return 0;
}

static int
get_change(struct mp *r, struct kv_change *c)
{
	struct mp_tok t;
	uint64_t session;
	size_t n;

	*c = (struct kv_change){ .del = true };
	if (mp_next(r, &t) < 0 || t.kind != MP_ARRAY || ((n = t.n) != 1 && n != 3) || get_key(r, &c->key) < 0)
		return ERR_PROTO;
	if (n == 1)
		return 0;
	c->del = false;
	if (get_key(r, &c->val) < 0 || kv_get_number(r, &session) < 0 || session > KV_JOB)
		return ERR_PROTO;
	c->session = (enum kv_session)session;
	return 0;
}

/* 0; or a negative error with the line that says what is wrong in why */
static int
check_change(const struct kv_change *c, bool system, char *why, size_t n)
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

static int
in_order(const void *a, const void *b)		/* of their keys; those of one key as they came */
{
	const struct kv_change *x = *(const struct kv_change *const *)a, *y = *(const struct kv_change *const *)b;
	int d = kv_order(x->key, y->key);

	return d ? d : (x > y) - (x < y);
}

/* 1, 0 or -ENOMEM: is there room for what there will be when all is done?  Deletions and shorter values make some. */
static int
fits(struct kv *k, const struct kv_change *c, unsigned n)
{
	const struct kv_change **v = malloc((n + 1) * sizeof *v);
	const struct kv_entry *e;
	uint64_t more = 0, less = 0;

	if (v == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		v[i] = &c[i];
	qsort(v, n, sizeof *v, in_order);
	for (unsigned i = 0; i < n; i++) {
		if (i + 1 < n && kv_order(v[i]->key, v[i + 1]->key) == 0)
			continue;		/* the last one counts */
		if (!v[i]->del)
			more += v[i]->key.n + v[i]->val.n;
		if ((e = kv_find(k, v[i]->key)) != NULL)
			less += e->nkey + e->nval;
	}
	free(v);
	return more <= less || k->bytes + more - less <= KV_BYTES_MAX;
}

/* the changes of m, checked, into *list, which the caller frees: their number or a negative error */
static int
get_changes(struct kv *k, const struct msg_kv_txn *m, struct kv_change **list, char *why, size_t nwhy)
{
	struct mp r = mp_read(m->ops.p, m->ops.n);
	uint64_t bytes = k->bytes;		/* at most */
	size_t cap = 0;
	unsigned n = 0;
	int e;

	*list = NULL;
	while (r.p < r.end) {
		struct kv_change *c;

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
		bytes += c->del ? 0 : c->key.n + c->val.n;
	}
	if (bytes > KV_BYTES_MAX && (e = fits(k, *list, n)) <= 0) {
		if (e < 0)
			return e;
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

		if (n == KV_OPS_MAX || get_key(&r, &one) < 0 || kv_get_number(&r, &want) < 0)
			return ERR_PROTO;
		e = kv_find(k, one);
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
apply(struct kv *k, const struct msg_kv_txn *m, uint32_t node, const struct kv_change *c, int n, struct control_out *o)
{
	struct kv_entry *e;
	int done = 0, bad = 0;

	k->rev++;
	for (int i = 0; i < n && bad == 0; i++)
		if (!c[i].del) {
			bad = kv_put(k, &c[i], kv_session_id(node, c[i].session, c[i].session == KV_JOB ? m->job : m->proc), node, o);
			done += bad == 0;
		} else if ((e = kv_find(k, c[i].key)) != NULL) {
			kv_delete(k, e, o);
			done++;
		}
	if (done)
		kv_sealed(k, o);
	else
		k->rev--;		/* nothing was there to be deleted */
	return bad < 0 ? bad : done;
}

int
kv_txn(struct kv *k, uint64_t peer, uint32_t node, const struct frame *f, struct control_out *o)
{
	char why[400] = "the control store is out of memory";
	struct kv_change *c = NULL;
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
