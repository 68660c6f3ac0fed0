/* spill_heir - what was moved to the disk outlives the daemon: the keeper holds the files, the journal says what lies where */
#include <stdlib.h>
#include "node/spill.h"

struct note {
	struct id id;
	uint64_t file, at, run, size;
	uint32_t made, slot;
};

void
moved_note(struct node *n, const struct moved *m)
{
	struct note t = { m->id, m->file->number, m->at, m->run, m->size, m->made, m->slot };

	estate_put(n, ESTATE_MOVED, &m->id, sizeof m->id, span_of(&t, sizeof t));
}

static void
noted(void *ctx, struct span key, struct span val)
{
	struct node *n = ctx;
	struct spill_file *f = NULL;
	struct arena_item it;
	struct moved *m;
	struct note t;

	(void)key;
	if (val.n != sizeof t)
		return;
	memcpy(&t, val.p, sizeof t);
	list_each(l, &n->spill->store.files)
		if (list_entry(l, struct spill_file, link)->number == t.file)
			f = list_entry(l, struct spill_file, link);
	it = (struct arena_item){ .id = t.id, .run = t.run, .size = t.size, .made = t.made, .slot = t.slot };
	if (f == NULL || (m = moved_new(n, &it)) == NULL)
		return;
	m->file = f;
	m->at = t.at;
	spill_claim(&n->spill->store, f, m->at, spill_length(&(struct spill_piece){ .run = m->run }));
	moved_note(n, m);
}

static bool
also_here(void *ctx, const struct arena_item *it)
{
	struct node *n = ctx;

	if (idmap_get(&n->moved, it->id))
		spill_adopt(n, it);
	return true;
}

void
spill_inherit(struct node *n)
{
	struct node_heir_files *h = &n->o.heir.disk;

	if (h->n == 0 || spill_get(n) == NULL)
		return;
	while (h->n > 0) {
		struct node_heir_file f = h->v[--h->n];

		spill_file_inherit(&n->spill->store, f.number, f.fd);
	}
	estate_each(n, ESTATE_MOVED, noted, n);
	spill_claimed(&n->spill->store);
	arena_node_each(&n->arena, also_here, n);
}

void
spill_disown(struct node *n, uint32_t proc, const struct idmap *still)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&n->moved, &it))
		if (it.key.proc == proc && it.key.node == n->number && !idmap_get(&n->kept, it.key) &&
		    !(still && idmap_get(still, it.key)))
			moved_free(n, it.val);
}
