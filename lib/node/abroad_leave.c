/*
 * abroad_leave.c - a node that drains: copies go, and what nobody else has goes to its owner's node, which fetches it (FAR_TAKE) and
 * says when it has it (FAR_TOOK); then it is let go of here.
 */
#include <stdlib.h>
#include "node/abroad.h"
#include "node/spill.h"
#include "wire/le.h"

enum { TAKE = 256 };			/* objects that a node is told to take at a time */

static void
put_id(struct buf *b, struct id id)
{
	unsigned char p[16];

	le_put32(p, id.node);
	le_put32(p + 4, id.proc);
	le_put64(p + 8, id.seq);
	buf_add(b, p, sizeof p);
}

static struct id
get_id(const unsigned char *p)
{
	return (struct id){ le_get32(p), le_get32(p + 4), le_get64(p + 8) };
}

void
abroad_leave(struct node *n)
{
	struct idmap_iter it = IDMAP_ITER;
	struct moved **copies = malloc((n->moved.n + 1) * sizeof *copies);
	struct map to = MAP_INIT;
	struct map_iter nodes = MAP_ITER;
	size_t ncopies = 0;
	struct buf *b;

	if (n->abroad == NULL || copies == NULL) {
		free(copies);
		return;
	}
	while (idmap_next(&n->moved, &it)) {
		struct moved *m = it.val;

		if (m->copy && m->off && list_empty(&m->waiters))
			copies[ncopies++] = m;
		if (m->copy || m->coming || m->doomed || m->used || m->stamp == 0 || it.key.node == n->number)
			continue;
		if ((b = map_get(&to, it.key.node)) == NULL && ((b = calloc(1, sizeof *b)) == NULL || map_put(&to, it.key.node, b) < 0)) {
			free(b);
			continue;
		}
		if (b->len < 16 * TAKE)			/* the rest when these have gone */
			put_id(b, it.key);
	}
	while (map_next(&to, &nodes)) {
		b = nodes.val;
		SEND_NODE(n, (uint32_t)nodes.key, far_take, .objects = span_buf(b));
		buf_release(b);
		free(b);
	}
	map_release(&to);
	if (ncopies)
		spill_drop_copies(n->spill, copies, ncopies);
	free(copies);
}

static void
took(struct node *n, uint32_t node, const struct buf *b)
{
	if (b->len)
		SEND_NODE(n, node, far_took, .objects = span_buf(b));
}


void
abroad_took_one(struct node *n, struct moved *m)
{
	struct buf b = BUF_INIT;

	if (m->taker == 0)
		return;
	put_id(&b, m->id);
	took(n, m->taker, &b);
	buf_release(&b);
	m->taker = 0;
}

int
abroad_take(struct node *n, uint32_t node, struct span body)
{
	struct buf have = BUF_INIT;
	struct msg_far_take m;
	struct moved *o;
	int e = msg_get_far_take(&m, body.p, body.n);

	if (e < 0 || m.objects.n % 16)
		return ERR_PROTO;
	for (size_t i = 0; i < m.objects.n; i += 16) {
		struct id id = get_id(m.objects.p + i);

		if (id.node != n->number || proc_find(n, id.proc) == NULL)
			continue;
		if ((o = idmap_get(&n->moved, id)) == NULL && abroad_fetch(n, id, true))
			o = idmap_get(&n->moved, id);
		if (o && o->coming)
			o->taker = node;
		else if (o)
			put_id(&have, id);
	}
	took(n, node, &have);
	buf_release(&have);
	return 0;
}

int
abroad_took(struct node *n, struct span body)
{
	struct msg_far_took m;
	struct moved *o;
	int e = msg_get_far_took(&m, body.p, body.n);

	if (e < 0 || m.objects.n % 16)
		return ERR_PROTO;
	for (size_t i = 0; i < m.objects.n; i += 16)
		if ((o = idmap_get(&n->moved, get_id(m.objects.p + i))) != NULL && o->id.node != n->number && !o->used && list_empty(&o->waiters))
			moved_free(n, o);
	return 0;
}

size_t
abroad_primaries(const struct node *n)
{
	struct idmap_iter it = IDMAP_ITER;
	size_t k = 0;

	while (idmap_next(&n->moved, &it)) {
		const struct moved *m = it.val;

		k += !m->copy && !m->coming && !m->used;
	}
	return k;
}
