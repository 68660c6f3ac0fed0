/* estate - what a daemon writes down for the one after it, and how that one reads it. */
#include "node/inner.h"

enum { KEY = 1 + 3 + KV_KEY_MAX };	/* bytes of the longest key */

static struct span
key_of(unsigned char k[KEY], enum estate kind, const void *key, size_t n)
{
	k[0] = (unsigned char)kind;
	memcpy(k + 1, key, n);
	return span_of(k, n + 1);
}

void
estate_put(struct node *n, enum estate kind, const void *key, size_t nkey, struct span val)
{
	unsigned char k[KEY];

	journal_put(&n->journal, key_of(k, kind, key, nkey), val);
}

void
estate_del(struct node *n, enum estate kind, const void *key, size_t nkey)
{
	unsigned char k[KEY];

	journal_del(&n->journal, key_of(k, kind, key, nkey));
}

void
estate_sync(struct node *n)
{
	int e = journal_sync(&n->journal);

	if (e < 0)
		node_log(n, e, "cannot write down what the node would need if this daemon died");
}

int
estate_start(struct node *n)
{
	int e = 0, fd = n->o.heir.journal;

	n->journal.moved = hand_journal;
	n->journal.ctx = n;
	if (fd >= 0)
		e = journal_read(&n->left, fd);
	return e < 0 ? e : journal_start(&n->journal);
}

void
estate_each(struct node *n, enum estate kind, void (*fn)(void *ctx, struct span key, struct span val), void *ctx)
{
	for (size_t i = 0; i < n->left.n; i++) {
		struct journal_rec r = n->left.rec[i];

		if (r.key.n && r.key.p[0] == kind)
			fn(ctx, span_of(r.key.p + 1, r.key.n - 1), r.val);
	}
}

void
estate_taken(struct node *n)
{
	journal_read_release(&n->left);
}
