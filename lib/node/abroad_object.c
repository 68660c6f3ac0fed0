/*
 * abroad_object.c - objects between nodes: what core/transfer.h, in the link, leaves to the node.
 *
 * Whatever others have a copy of, or may ask for, has its place chosen by the node (struct moved), here and there.  What an
 * owner here has in the arena becomes so when somebody elsewhere wants it: its owner is asked (EVICT with no place), and from
 * then on lets the node free it.  What came from elsewhere is so from the beginning: a copy that another node has too
 * is dropped when room is needed, the primary one goes to the disk.
 *
 * A process that wants an object that is not here asks for it as for one on the disk (RESTORE): a struct moved without
 * a place, that is coming, has who waits for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "node/abroad.h"
#include "node/spill.h"
#include "wire/le.h"

#define PATIENCE (UINT64_C(10000) * 1000000)	/* for room */

struct room {				/* of what is being received */
	struct id id;
	struct arena_fill fill;
};

static int
object(struct node *n, const struct transfer_in *in)
{
	return link_object(n->abroad->link, in);
}
#define OBJECT(n, kind_, id_, ...) object(n, &(struct transfer_in){ .kind = kind_, .id = id_, __VA_ARGS__ })

static struct moved *
placeholder(struct node *n, struct id id)
{
	struct moved *m;

	if (spill_get(n) == NULL || (m = moved_new(n, &(struct arena_item){ .id = id, .made = arena_now() })) == NULL)
		return NULL;
	m->coming = true;
	return m;
}

static bool
form_of(struct node *n, const struct moved *m, struct form *f)
{
	struct obj_view v;

	if (m->off == 0 || arena_view(&n->view, m->off, m->gen, &v) < 0)
		return false;
	*f = (struct form){ arena_travels(&n->view, &v), m->stamp, v.size, (uint32_t)v.headlen, v.nbuf, v.flags };
	return true;
}

/* m is here, or on the disk: its owner's node is told */
static void
have(struct node *n, struct moved *m)
{
	struct form f;

	m->missed = false;
	if (m->stamp == 0)
		m->stamp = link_stamp(n->abroad->link);
	if (m->form.bytes == 0 && form_of(n, m, &f))
		m->form = f;
	if (m->form.bytes) {
		m->form.stamp = m->stamp;
		OBJECT(n, TRANSFER_HAVE, m->id, .form = m->form);
	} else if (m->file) {			/* its form is on the disk too */
		m->missed = true;
		moved_restore(n, m);
	} else
		OBJECT(n, TRANSFER_FREE, m->id, .code = ERR_LOST, .text = "the object is not there any more");
}

/* --- wanted here ------------------------------------------------------------------------------------------------------ */

bool
abroad_fetch(struct node *n, struct id id, bool ahead)
{
	struct moved *m;

	if (n->abroad == NULL || (id.node != n->number && !map_get(&n->abroad->nodes, id.node)) || (m = placeholder(n, id)) == NULL)
		return false;
	if (OBJECT(n, TRANSFER_WANT, id, .priority = ahead ? PULL_AHEAD_OF_USE : PULL_GET) == 0)
		return true;
	idmap_del(&n->moved, id);
	free(m);
	return false;
}

void
abroad_urge(struct node *n, struct moved *m)
{
	OBJECT(n, TRANSFER_WANT, m->id, .form.bytes = m->form.bytes, .priority = PULL_GET);
}

static void
reserve(struct node *n, struct moved *m)
{
	struct obj_hdr like = { .id = m->id, .size = m->form.size, .made = m->made };
	struct room *r = calloc(1, sizeof *r);
	int e = -ENOMEM;

	if (r == NULL || map_put(&n->abroad->rooms, m->ticket, r) < 0) {
		free(r);
	} else if ((e = arena_fill_begin(&n->arena, &n->view, &like, m->form.bytes, &r->fill)) == 0) {
		r->id = m->id;
		m->hungry = false;
		link_room(n->abroad->link, m->id, m->ticket, &r->fill, 0, NULL);
		return;
	} else {
		free(map_del(&n->abroad->rooms, m->ticket));
	}
	if (e == ERR_FULL) {
		if (!m->hungry)
			memory_wait(n, &(struct waiter){ .id = m->id, .bytes = arena_want(sizeof like + m->form.bytes), .until = clock_ns() + PATIENCE });
		m->hungry = true;
		return;
	}
	link_room(n->abroad->link, m->id, m->ticket, NULL, e == -E2BIG ? ERR_FULL : e,
	    e == -E2BIG ? "the object is larger than the object store of this node" : "out of memory");
}

bool
abroad_reserve(struct node *n, struct moved *m)
{
	if (m->hungry)
		reserve(n, m);
	return !m->hungry;
}

void
abroad_no_room(struct node *n, struct moved *m, const char *text)
{
	m->hungry = false;
	link_room(n->abroad->link, m->id, m->ticket, NULL, ERR_FULL, text);
}

/* it will not come; m is gone unless something of it is here */
static void
failed(struct node *n, struct id id, int code, const char *text)
{
	struct moved *m = idmap_get(&n->moved, id);

	link_here(n->abroad->link, id, 0, 0, code, text);
	if (m == NULL || !m->coming)
		return;
	m->coming = m->hungry = false;
	moved_answer(n, m, code, text);
	if (m->off == 0 && m->file == NULL)
		moved_free(n, m);
}

static void
on_reserve(struct node *n, const struct transfer_fx *fx)
{
	struct moved *m = idmap_get(&n->moved, fx->id);

	if (m == NULL && (m = placeholder(n, fx->id)) == NULL) {
		link_room(n->abroad->link, fx->id, fx->ticket, NULL, -ENOMEM, "out of memory");
		return;
	}
	if (m->off || m->doomed) {		/* it is here: nobody wants it from elsewhere any more */
		OBJECT(n, TRANSFER_CANCEL, fx->id);
		return;
	}
	m->coming = true;
	m->form = fx->form;
	m->size = fx->form.size;
	m->ticket = fx->ticket;
	reserve(n, m);
}

static void
on_unreserve(struct node *n, const struct transfer_fx *fx)
{
	struct room *r = map_del(&n->abroad->rooms, fx->ticket);
	struct moved *m = idmap_get(&n->moved, fx->id);

	if (r)
		arena_fill_abort(&r->fill);
	free(r);
	if (m && m->ticket == fx->ticket)
		m->hungry = false;
	n->mem_dirty = true;
}

static void
on_done(struct node *n, const struct transfer_fx *fx)
{
	const struct form *f = &fx->form;
	struct room *r = map_del(&n->abroad->rooms, fx->ticket);
	struct moved *m = idmap_get(&n->moved, fx->id);
	struct arena_item it = { .id = fx->id };
	int e = ERR_LAYOUT;

	if (r && m && !m->off)
		e = arena_fill_seal(&r->fill, &(struct obj_hdr){ .size = f->size, .headlen = f->headlen, .nbuf = f->nbuf, .flags = f->flags,
		    .made = m->made });
	else if (r)
		arena_fill_abort(&r->fill);
	if (e == 0 && arena_node_at(&n->arena, r->fill.off, &it)) {
		m->off = it.off;
		m->gen = it.gen;
		m->run = it.run;
		m->size = it.size;
		m->slot = it.slot;
		m->stamp = f->stamp;
		m->form = *f;
		m->coming = false;
		m->copy = true;
		m->used = link_here(n->abroad->link, m->id, m->off, m->gen, 0, NULL);
		abroad_took_one(n, m);
		moved_answer(n, m, 0, NULL);
	} else {
		OBJECT(n, TRANSFER_DROPPED, fx->id, .stamp = f->stamp);
		failed(n, fx->id, ERR_LOST, "what came of the object from another node makes no sense");
	}
	free(r);
	n->mem_dirty = true;
}

/* --- wanted elsewhere ----------------------------------------------------------------------------------------------------- */

static void
opened(struct node *n, struct moved *m)
{
	struct form f;

	m->opening = false;
	if (!m->doomed && m->stamp && form_of(n, m, &f)) {
		m->open = true;
		link_opened(n->abroad->link, m->id, &f, n->view.base + m->off + sizeof(struct obj_hdr));
	} else
		link_opened(n->abroad->link, m->id, NULL, NULL);
}

void
abroad_restored(struct node *n, struct moved *m)
{
	if (m->missed)
		have(n, m);
	if (m->opening)
		opened(n, m);
}

static void
on_open(struct node *n, const struct transfer_fx *fx)
{
	struct moved *m = idmap_get(&n->moved, fx->id);

	if (m == NULL || m->doomed || m->coming || m->stamp == 0) {
		link_opened(n->abroad->link, fx->id, NULL, NULL);
		return;
	}
	m->opening = true;
	if (!moved_restore(n, m))
		opened(n, m);
}

static void
on_close(struct node *n, const struct transfer_fx *fx)
{
	struct moved *m = idmap_get(&n->moved, fx->id);

	if (m == NULL)
		return;
	m->open = m->opening = false;
	if (m->doomed)
		moved_free(n, m);
}

/* no node has it: does its owner, who is here? */
static void
on_lost(struct node *n, struct id id)
{
	struct moved *m = idmap_get(&n->moved, id);
	struct nproc *p = proc_find(n, id.proc);
	unsigned char q[20] = { 0 };
	static char yes;

	if (m && !m->doomed && (m->off || m->file)) {
		have(n, m);
		return;
	}
	if (idmap_get(&n->abroad->asked, id))
		return;				/* the answer to an earlier question says it */
	if (p && p->role != ROLE_FAR && (id.seq & ID_RET_MAX) != ID_RET_MAX && spill_get(n) && idmap_put(&n->abroad->asked, id, &yes) == 0) {
		le_put64(q, id.seq);
		SEND(p, evict, .objects = span_of(q, sizeof q));
		return;
	}
	OBJECT(n, TRANSFER_FREE, id, .code = ERR_LOST, .text = "the object is not there any more");
}

bool
abroad_evictable(struct node *n, const struct arena_item *it)
{
	struct moved *m = idmap_get(&n->moved, it->id);

	if (n->abroad == NULL || idmap_del(&n->abroad->asked, it->id) == NULL)
		return false;
	if (m == NULL)
		m = moved_new(n, it);
	else if (m->off == 0 && !m->busy) {	/* it was wanted here too, by one that did not know where it lies */
		m->off = it->off;
		m->gen = it->gen;
		m->run = it->run;
		m->size = it->size;
	}
	if (m == NULL) {
		OBJECT(n, TRANSFER_FREE, it->id, .code = -ENOMEM, .text = "out of memory");
		return true;
	}
	have(n, m);
	if (m->coming) {
		m->coming = false;
		moved_answer(n, m, 0, NULL);
	}
	return true;
}

void
abroad_refused(struct node *n, struct id id)
{
	if (n->abroad && idmap_del(&n->abroad->asked, id))
		OBJECT(n, TRANSFER_FREE, id, .code = ERR_LOST, .text = "its owner does not have it any more");
}

/* --- gone --------------------------------------------------------------------------------------------------------------- */

void
abroad_forget(struct node *n, struct id id)
{
	if (n->abroad && id.node == n->number)
		OBJECT(n, TRANSFER_FREE, id);
}

/* the copy here goes, whoever wanted that */
void
abroad_dropped(struct node *n, const struct moved *m)
{
	if (n->abroad == NULL)
		return;
	if (m->coming)
		OBJECT(n, TRANSFER_CANCEL, m->id);
	if (m->stamp && !m->coming)
		OBJECT(n, TRANSFER_DROPPED, m->id, .stamp = m->stamp);
}

static void
on_drop(struct node *n, const struct transfer_fx *fx)
{
	struct moved *m = idmap_get(&n->moved, fx->id);

	if (m == NULL || m->coming || m->stamp == 0 || (fx->stamp && m->stamp != fx->stamp))
		return;
	if (fx->code < 0)
		moved_answer(n, m, fx->code, fx->text);
	moved_free(n, m);
}

static void
on_used(struct node *n, struct id id)
{
	struct moved *m = idmap_get(&n->moved, id);

	if (m == NULL)
		return;
	m->used = false;
	if (list_empty(&m->waiters))
		moved_free(n, m);
}

static void
on_made(struct node *n, const struct link_made *l)
{
	struct arena_item it = { .id = l->id };
	struct moved *m = idmap_get(&n->moved, l->id);
	bool there = abroad_alive(n, l->id.node, l->id.proc) && arena_node_at(&n->arena, l->off, &it) && spill_get(n);

	if (m && !m->coming && m->off == 0 && m->file == NULL)
		m = NULL;
	if (!there || (m && (m->off || m->file)) || (m == NULL && (m = moved_new(n, &it)) == NULL)) {
		OBJECT(n, TRANSFER_DROPPED, l->id, .stamp = l->form.stamp);
		memory_free(n, l->off, l->gen, true);
		return;
	}
	m->off = it.off;
	m->gen = it.gen;
	m->run = it.run;
	m->size = it.size;
	m->stamp = l->form.stamp;
	m->form = l->form;
	m->coming = false;
	moved_answer(n, m, 0, NULL);
}

static void
sweep(struct node *n, uint32_t node, uint32_t proc)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&n->moved, &it))
		if (it.key.node == node && (proc == 0 || it.key.proc == proc) && !idmap_get(&n->kept, it.key))
			moved_free(n, it.val);
}

void
abroad_disown(struct node *n, uint32_t node, uint32_t proc)
{
	struct idmap_iter it = IDMAP_ITER;

	if (n->abroad == NULL)
		return;
	if (node != n->number) {
		sweep(n, node, proc);
		if (proc)
			arena_node_owner_dead(&n->arena, node, proc);
		n->mem_dirty = true;
		return;
	}
	while (idmap_next(&n->abroad->asked, &it))
		if (it.key.proc == proc)
			idmap_del(&n->abroad->asked, it.key);
	link_disown(n->abroad->link, proc);
}

bool
abroad_alive(const struct node *n, uint32_t node, uint32_t proc)
{
	return n->abroad && idmap_get(&n->abroad->alias, (struct id){ node, proc, 0 });
}

/* --- all of it ------------------------------------------------------------------------------------------------------------ */

void
abroad_object(struct node *n, const struct link_news *news)
{
	struct transfer_fx fx;
	struct link_made made;
	struct moved *m;
	struct id id;

	if (news->kind == LINK_MADE) {
		memcpy(&made, news->body.p, sizeof made);
		on_made(n, &made);
		return;
	}
	if (news->kind == LINK_USED || news->kind == LINK_AHEAD) {
		memcpy(&id, news->body.p, sizeof id);
		if (news->kind == LINK_USED)
			on_used(n, id);
		else if (!idmap_get(&n->moved, id) && !idmap_get(&n->kept, id))
			abroad_fetch(n, id, true);
		return;
	}
	memcpy(&fx, news->body.p, sizeof fx);
	switch (fx.kind) {
	case TRANSFER_RESERVE: on_reserve(n, &fx); break;
	case TRANSFER_UNRESERVE: on_unreserve(n, &fx); break;
	case TRANSFER_DONE: on_done(n, &fx); break;
	case TRANSFER_FAILED: failed(n, fx.id, fx.code, fx.text); break;
	case TRANSFER_OPEN: on_open(n, &fx); break;
	case TRANSFER_CLOSE: on_close(n, &fx); break;
	case TRANSFER_DROP: on_drop(n, &fx); break;
	case TRANSFER_LOST: on_lost(n, fx.id); break;
	case TRANSFER_PRIMARY:
		if ((m = idmap_get(&n->moved, fx.id)) != NULL)
			m->copy = false;
		break;
	default:
		break;
	}
}

void
abroad_objects_stop(struct node *n)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->abroad->rooms, &it))
		free(it.val);
	map_release(&n->abroad->rooms);
	idmap_release(&n->abroad->asked);
}
