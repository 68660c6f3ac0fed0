/* restore.c - objects come back: from the disk into an extent of the node's own, once for all who ask */
#include <stdio.h>
#include <stdlib.h>
#include "node/spill.h"

#define PATIENCE (UINT64_C(10000) * 1000000)	/* for room */

static bool
resident(struct node *n, struct moved *m)
{
	if (m->off && !m->busy && !arena_node_has(&n->arena, m->off, m->gen))
		m->off = 0;
	return m->off != 0;
}

bool
spill_where(struct node *n, struct id id, uint64_t *off, uint32_t *gen, uint64_t *size)
{
	struct moved *m = idmap_get(&n->moved, id);

	if (m == NULL)
		return false;
	*off = resident(n, m) ? m->off : 0;
	*gen = m->gen;
	*size = m->size;
	return true;
}

void
moved_answer(struct node *n, struct moved *m, int e, const char *why)
{
	for (struct list *l; (l = list_shift(&m->waiters)) != NULL;) {
		struct asker *a = list_entry(l, struct asker, link);
		struct nproc *p = proc_find(n, a->proc);

		if (p && e == 0)
			SEND(p, found, .req = a->req, .id = m->id, .off = m->off, .gen = m->gen, .size = m->size);
		else if (p)
			proc_fail(p, a->req, e, "%s", why);
		free(a);
	}
	m->last = m->told = arena_now();
	m->awaited = e == 0;
	if (m->opening || m->missed)
		abroad_restored(n, m);
}

void
spill_was_read(struct spill *s, struct spill_job *j)
{
	struct moved *m = j->moved[0];
	struct node *n = s->n;
	char id[ID_TEXT], why[700];

	m->busy = false;
	s->hot = clock_ns();
	if (j->result < 0)
		arena_fill_abort(&j->fill);
	else
		j->result = arena_fill_seal(&j->fill, &(struct obj_hdr){ .size = j->rec.size, .headlen = j->rec.headlen, .nbuf = j->rec.nbuf,
		    .flags = j->rec.flags, .made = j->rec.made });
	if (j->result == ERR_FULL) {
		moved_answer(n, m, ERR_FULL, "the machine has no memory to bring the object back from the disk");
		if (m->doomed)
			moved_free(n, m);
		return;
	}
	if (j->result < 0) {
		snprintf(why, sizeof why, "the copy of %s in '%s' cannot be read: %s", id_format(id, m->id), s->store.path,
		    j->result == ERR_LAYOUT ? "it is damaged" : err_str(j->result));
		node_log(n, 0, "%s", why);
		spill_store_drop(s, m);
		moved_answer(n, m, ERR_LOST, why);
		if (m->doomed || !idmap_get(&n->kept, m->id))
			moved_free(n, m);	/* who asked forgets it */
		return;
	}
	if (idmap_get(&n->kept, m->id))
		arena_node_keep(&n->arena, j->fill.off, j->fill.gen, true);
	m->off = j->fill.off;
	m->gen = j->fill.gen;
	s->restored += m->run;
	moved_answer(n, m, 0, NULL);
	if (m->doomed)
		moved_free(n, m);
}

/* 0, ERR_FULL */
static int
begin(struct node *n, struct moved *m)
{
	const struct obj_hdr like = { .id = m->id, .size = m->size, .made = m->made, .keep = m->slot & ~OBJ_KEEP };
	struct spill *s = n->spill;
	struct arena_fill fill;
	struct spill_job *j;

	if ((j = calloc(1, sizeof *j)) == NULL || (j->moved = malloc(sizeof *j->moved)) == NULL) {
		free(j);
		return ERR_FULL;
	}
	if (arena_fill_begin(&n->arena, &n->view, &like, m->run - sizeof like, &fill) < 0) {
		spill_job_free(j);
		return ERR_FULL;
	}
	*j = (struct spill_job){ .read = true, .file = m->file, .at = m->at, .bytes = m->run, .n = 1, .moved = j->moved, .fill = fill };
	j->moved[0] = m;
	m->busy = true;
	spill_io_submit(s, j);
	return 0;
}

bool
spill_restore(struct node *n, const struct waiter *w)
{
	struct moved *m = idmap_get(&n->moved, w->id);

	if (m && m->hungry)
		return abroad_reserve(n, m);
	if (m == NULL || (list_empty(&m->waiters) && !m->opening && !m->missed) || m->busy || m->file == NULL || resident(n, m))
		return true;
	return begin(n, m) == 0;
}

void
spill_failed(struct node *n, const struct waiter *w, const char *text)
{
	struct moved *m = idmap_get(&n->moved, w->id);

	if (m && m->hungry)
		abroad_no_room(n, m, text);
	else if (m)
		moved_answer(n, m, ERR_FULL, text);
}

static void
start(struct node *n, struct moved *m)
{
	if (begin(n, m) < 0)
		memory_wait(n, &(struct waiter){ .id = m->id, .bytes = arena_want(m->run), .until = clock_ns() + PATIENCE });
}

bool
moved_restore(struct node *n, struct moved *m)
{
	if (resident(n, m) || (m->file == NULL && !m->busy))
		return false;
	if (!m->busy && list_empty(&m->waiters))
		start(n, m);
	return true;
}

void
spill_asked(struct nproc *p, uint64_t req, struct id id)
{
	struct moved *m = idmap_get(&p->n->moved, id);
	struct kept *k = idmap_get(&p->n->kept, id);
	struct node *n = p->n;
	struct asker *a;

	if (m == NULL && k && arena_node_has(&n->arena, k->off, k->gen)) {
		SEND(p, found, .req = req, .id = id, .off = k->off, .gen = k->gen, .size = k->size);
		return;
	}
	if (m && n->abroad && !m->doomed && !m->coming && !resident(n, m) && m->file == NULL && !m->busy) {
		moved_free(n, m);
		m = NULL;
	}
	if (m == NULL && abroad_fetch(n, id, false))
		m = idmap_get(&n->moved, id);
	if (m == NULL || m->doomed || (!resident(n, m) && m->file == NULL && !m->busy && !m->coming)) {
		proc_fail(p, req, ERR_LOST, m ? "its copy on the disk was damaged" : "the node does not have it (any more)");
		if (m && !m->doomed && k == NULL)
			moved_free(n, m);
		return;
	}
	if ((a = calloc(1, sizeof *a)) == NULL) {
		proc_fail(p, req, -ENOMEM, "the node is out of memory");
		return;
	}
	a->proc = p->number;
	a->req = req;
	list_add_tail(&m->waiters, &a->link);
	if (resident(n, m))
		moved_answer(n, m, 0, NULL);
	else if (m->coming)
		abroad_urge(n, m);
	else if (!m->busy && m->waiters.next == m->waiters.prev && !m->opening && !m->missed)
		start(n, m);
}
