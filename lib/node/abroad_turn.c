/*
 * abroad_turn.c - the table of nodes, and when what the lease core decided is told to the cores that share leases between
 * nodes: at once what it granted, all else when it has done.
 */
#include <stdlib.h>
#include "base/grow.h"
#include "node/abroad_group.h"

/* --- what processes asked for ------------------------------------------------------------------------------------------ */

struct want *
want_get(const struct abroad *a, uint32_t proc, uint64_t shape)
{
	const struct list *all = map_get(&a->wants, proc);

	if (all)
		list_each(p, all)
			if (list_entry(p, struct want, link)->shape == shape)
				return list_entry(p, struct want, link);
	return NULL;
}

struct want *
want_make(struct abroad *a, uint32_t proc, uint64_t shape)
{
	struct list *all = map_get(&a->wants, proc);
	struct want *w = want_get(a, proc, shape);

	if (w)
		return w;
	if (all == NULL) {
		if ((all = malloc(sizeof *all)) == NULL || map_put(&a->wants, proc, all) < 0) {
			free(all);
			return NULL;
		}
		list_init(all);
	}
	if ((w = calloc(1, sizeof *w)) == NULL)
		return NULL;
	w->shape = shape;
	w->proc = proc;
	list_init(&w->grouped);
	list_add_tail(all, &w->link);
	return w;
}

static void
want_drop(struct abroad *a, uint32_t proc)
{
	struct list *all = map_del(&a->wants, proc), *p;

	while (all && (p = list_shift(all)) != NULL) {
		struct want *w = list_entry(p, struct want, link);

		list_del(&w->grouped);
		buf_release(&w->custom);
		free(w);
	}
	free(all);
}

/* --- inputs that wait -------------------------------------------------------------------------------------------------- */

void
abroad_late(struct node *n, const struct late *l)
{
	struct abroad *a = n->abroad;
	struct late *v = grow(a->late, &a->caplate, a->nlate, sizeof *v);

	if (v == NULL) {
		node_log(n, -ENOMEM, "leases of other nodes may be counted that are over");
		return;
	}
	a->late = v;
	v[a->nlate++] = *l;
}

void
abroad_over(const struct nring *r)
{
	if (r->sub->n->abroad && r->actor == 0)
		abroad_late(r->sub->n, &(struct late){ .kind = LATE_OVER, .proc = r->sub->number, .shape = r->shape,
		    .node = r->wrk->role == ROLE_FAR ? r->wrk->home : 0 });
}

void
abroad_exit(struct nproc *p)
{
	if (p->n->abroad)
		abroad_late(p->n, &(struct late){ .kind = LATE_EXIT, .proc = p->number });
}

void
abroad_table(struct node *n, bool anew)
{
	struct abroad *a = n->abroad;
	uint64_t rev = a->where.rev;

	if (a->over.until == UINT64_MAX && anew)
		a->over.until = 0;
	if (where_follow(&a->where, &n->nodes, &a->seen, anew, &n->lease) < 0)
		node_log(n, -ENOMEM, "the table of nodes is not up to date");
	if (a->where.rev == rev && !anew)
		return;
	abroad_late(n, &(struct late){ .kind = LATE_TABLE });
	abroad_turn(n);
}

void
abroad_look(struct node *n)
{
	struct abroad *a = n->abroad;
	struct res waiting = { .v = { [RES_CPU] = (int64_t)lease_waiting(&n->lease) * 1000 } };

	where_load(&a->where, n->number, ++a->reports, &n->lease.free, &waiting, a->guests.draining);
}

static void
take(struct node *n, const struct late *l)
{
	const struct nproc *p = l->kind == LATE_OVER ? proc_find(n, l->proc) : NULL;

	switch (l->kind) {
	case LATE_OVER:
		if (p && p->role == ROLE_FAR)
			guest_in(n, &(struct guest_in){ .kind = GUEST_IN_OVER, .proc = l->proc, .shape = l->shape });
		else if (p)			/* if not, all of it is */
			ask_step(n, &(struct overflow_in){ .kind = OVERFLOW_IN_OVER, .proc = l->proc, .shape = l->shape, .node = l->node });
		break;
	case LATE_EXIT:
		ask_step(n, &(struct overflow_in){ .kind = OVERFLOW_IN_EXIT, .proc = l->proc });
		guest_in(n, &(struct guest_in){ .kind = GUEST_IN_EXIT, .proc = l->proc });
		want_drop(n->abroad, l->proc);
		break;
	case LATE_GONE:
		ask_step(n, &(struct overflow_in){ .kind = OVERFLOW_IN_GONE, .node = l->node });
		break;
	case LATE_TABLE:
		ask_step(n, &(struct overflow_in){ .kind = OVERFLOW_IN_TABLE });
		break;
	}
}

static void
set_timer(struct node *n)
{
	struct abroad *a = n->abroad;
	uint64_t at = a->over_out.at;

	if (at == 0 || (a->guest_out.at && a->guest_out.at < at))
		at = a->guest_out.at;
	if (at == 0 || (a->hold_out.at && a->hold_out.at < at))
		at = a->hold_out.at;
	if (at == n->abroad_at)
		return;
	n->abroad_at = at;
	node_timer(n);
}

void
abroad_turn(struct node *n)
{
	struct abroad *a = n->abroad;

	if (a == NULL || n->granting || a->turning || n->stopping)
		return;				/* who is at it will come to it */
	a->turning = true;
	do {
		for (size_t i = 0; i < a->nlate; i++) {
			struct late l = a->late[i];	/* they may move */

			take(n, &l);
		}
		a->nlate = 0;
		ask_run(n);
		guest_run(n);
	} while (a->nlate || a->over_out.n || a->guest_out.n);
	a->turning = false;
	set_timer(n);
}

void
abroad_tick(struct node *n)
{
	n->abroad_at = 0;
	ask_step(n, &(struct overflow_in){ .kind = OVERFLOW_IN_TICK });
	guest_in(n, &(struct guest_in){ .kind = GUEST_IN_TICK });
	hold_in(n, &(struct hold_in){ .kind = HOLD_IN_TICK });
	abroad_turn(n);
}

void
abroad_turn_stop(struct abroad *a)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&a->wants, &it))
		want_drop(a, (uint32_t)it.key);
	map_release(&a->wants);
	overflow_release(&a->over);
	guest_release(&a->guests);
	where_release(&a->where);
	free(a->over_out.fx);
	free(a->guest_out.fx);
	free(a->late);
}
