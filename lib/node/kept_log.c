/*
 * kept_log - names and times to live of what the node keeps, in the journal (estate.c).
 *
 * The objects themselves lie in the arena, marked, or on the disk.
 */
#include <stdlib.h>
#include "node/kept.h"

struct note {				/* a record, before the name */
	struct id id;
	uint64_t since, ttl;		/* since is CLOCK_MONOTONIC */
};

void
kept_note(struct node *n, const struct kept *k)
{
	struct note t = { k->id, k->since, k->ttl };
	unsigned char b[sizeof t + 255];

	memcpy(b, &t, sizeof t);
	memcpy(b + sizeof t, k->name, k->nname);
	estate_put(n, ESTATE_KEPT, &k->id, sizeof k->id, span_of(b, sizeof t + k->nname));
}

void
kept_unnote(struct node *n, const struct kept *k)
{
	estate_del(n, ESTATE_KEPT, &k->id, sizeof k->id);
}

/* --- of the daemon before -------------------------------------------------------------------------------------- */

struct before {
	struct node *n;
	struct idmap was;		/* id -> struct kept * */
	struct buf other;		/* objects that are marked but not noted: nobody was told that they are kept */
};

static void
noted(void *ctx, struct span key, struct span val)
{
	struct before *b = ctx;
	struct kept *k;
	struct note t;

	(void)key;
	if (val.n < sizeof t || val.n > sizeof t + 255 || (k = calloc(1, sizeof *k + val.n)) == NULL)
		return;
	memcpy(&t, val.p, sizeof t);
	*k = (struct kept){ .id = t.id, .since = t.since, .ttl = t.ttl, .nname = val.n - sizeof t };
	memcpy(k->name, val.p + sizeof t, k->nname);
	if (idmap_put(&b->was, k->id, k) < 0)
		free(k);
}

static bool
lies(void *ctx, const struct arena_item *it)
{
	struct before *b = ctx;

	if (it->kept && idmap_get(&b->was, it->id))
		spill_adopt(b->n, it);
	else if (it->kept)
		buf_add(&b->other, it, sizeof *it);
	return true;
}

void
kept_inherit(struct node *n)
{
	struct before b = { .n = n };
	struct idmap_iter it = IDMAP_ITER;
	struct arena_item o;

	estate_each(n, ESTATE_KEPT, noted, &b);
	arena_node_each(&n->arena, lies, &b);
	for (size_t i = 0; i < b.other.len; i += sizeof o) {
		memcpy(&o, b.other.data + i, sizeof o);
		arena_node_keep(&n->arena, o.off, o.gen, false);
	}
	while (idmap_next(&b.was, &it)) {
		struct kept *k = it.val;

		if (spill_where(n, k->id, &k->off, &k->gen, &k->size) && kept_put(n, k) == 0)
			kept_note(n, k);
		else
			free(k);
	}
	idmap_release(&b.was);
	buf_release(&b.other);
}
