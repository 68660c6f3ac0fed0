/* abroad_hold.c - the parts of placement groups that this node has set aside (core/group_hold.h) */
#include <errno.h>
#include <stdlib.h>
#include "core/bundle.h"
#include "node/abroad_group.h"
#include "wire/le.h"

struct hgroup {				/* a group that has parts here */
	struct id id;
	unsigned n;			/* bundles of the whole group */
};

/* --- what the core decided ------------------------------------------------------------------------------------------- */

/* those of its groups that have nothing here any more */
static void
forget(struct abroad *a, uint64_t group)
{
	if (!map_get(&a->holds.groups, group))
		free(map_del(&a->hgroups, group));
}

static void
fx_reserve(struct node *n, uint64_t number)
{
	const struct hold *h = map_get(&n->abroad->holds.numbers, number);

	if (h)
		grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RESERVE, .group = number | HOLD_LEASES, .job = h->job,
		    .bundles = h->bundle, .nbundle = h->n, .priority = h->priority });
}

void
hold_in(struct node *n, const struct hold_in *in)
{
	struct abroad *a = n->abroad;
	struct hold_out *o = &a->hold_out;

	if (n->stopping)
		return;
	if (hold_step(&a->holds, clock_ns(), in, o) < 0 && in->kind == HOLD_IN_PREPARE)
		CTL(n, group_answer, .group = in->group, .round = in->round, .answer = HOLD_REFUSED);
	if (a->holding)
		return;				/* the loop below will come to it */
	a->holding = true;
	for (size_t i = 0; i < o->n; i++) {
		struct hold_fx fx = o->fx[i];	/* o->fx may move */

		switch (fx.kind) {
		case HOLD_FX_RESERVE: fx_reserve(n, fx.number); break;
		case HOLD_FX_FREE:
			grant_step(n, &(struct lease_in){ .kind = LEASE_IN_RELEASE, .group = fx.number | HOLD_LEASES });
			break;
		case HOLD_FX_ANSWER:
			CTL(n, group_answer, .group = fx.group, .round = fx.round, .answer = fx.answer);
			forget(a, fx.group);
			break;
		}
	}
	o->n = 0;
	a->holding = false;
	abroad_turn(n);
}

void
hold_reserved(struct node *n, uint64_t number, bool never)
{
	hold_in(n, &(struct hold_in){ .kind = never ? HOLD_IN_NEVER : HOLD_IN_RESERVED, .number = number & ~HOLD_LEASES });
}

/* --- messages of the coordinator --------------------------------------------------------------------------------------- */

static int
hgroup_add(struct abroad *a, const struct msg_group_prepare *m)
{
	struct hgroup *g = map_get(&a->hgroups, m->group);

	if (g)
		return 0;
	if ((g = malloc(sizeof *g)) == NULL || map_put(&a->hgroups, m->group, g) < 0) {
		free(g);
		return -ENOMEM;
	}
	*g = (struct hgroup){ .id = m->id, .n = (unsigned)m->all };
	return 0;
}

static int
on_prepare(struct node *n, const struct frame *f)
{
	struct hold_in in = { .kind = HOLD_IN_PREPARE };
	struct msg_group_prepare m;
	char why[BUNDLE_WHY];
	struct res *v = NULL;
	unsigned *which = NULL;
	int e = msg_get_group_prepare(&m, f->body, f->len);

	if (e < 0)
		return e;
	if ((e = bundles_get(&n->lease, false, m.bundles, &v, &in.n, why)) == 0 && m.which.n == 4 * in.n &&
	    (which = calloc(in.n + 1, sizeof *which)) != NULL && hgroup_add(n->abroad, &m) == 0) {
		for (unsigned i = 0; i < in.n; i++)
			which[i] = le_get32(m.which.p + 4 * i);
		in.group = m.group;
		in.round = m.round;
		in.job = (uint32_t)m.job;
		in.bundles = v;
		in.index = which;
		hold_in(n, &in);
	} else if (e != ERR_PROTO)
		CTL(n, group_answer, .group = m.group, .round = m.round, .answer = HOLD_REFUSED);
	free(v);
	free(which);
	return e == ERR_PROTO ? e : 0;
}

int
hold_frame(struct node *n, const struct frame *f)
{
	struct msg_group_commit m;		/* GROUP_RELEASE has the same fields */
	int e;

	if (f->type == MSG_GROUP_PREPARE_T)
		return on_prepare(n, f);
	if ((e = msg_get_group_commit(&m, f->body, f->len)) < 0)
		return e;
	hold_in(n, &(struct hold_in){ .kind = f->type == MSG_GROUP_COMMIT_T ? HOLD_IN_COMMIT : HOLD_IN_RELEASE, .group = m.group,
	    .round = m.round });
	forget(n->abroad, m.group);
	return 0;
}

void
hold_tell(struct node *n)
{
	const struct hold *h = NULL;
	struct buf b = BUF_INIT;
	unsigned char at[24];

	while ((h = hold_next(&n->abroad->holds, h)) != NULL) {
		le_put64(at, h->group);
		le_put64(at + 8, h->round);
		le_put64(at + 16, h->state);
		buf_add(&b, at, sizeof at);
	}
	CTL(n, group_held, .parts = span_buf(&b));
	buf_release(&b);
}

/* --- leases from them ---------------------------------------------------------------------------------------------------- */

uint64_t
hold_lease(const struct node *n, uint64_t group, unsigned bundle, const struct res *need, unsigned *index)
{
	uint64_t number = bundle ? hold_find(&n->abroad->holds, group, bundle - 1, index) : hold_any(&n->abroad->holds, group, need);

	if (bundle == 0)
		*index = 0;
	return number ? number | HOLD_LEASES : 0;
}

bool
hold_group(const struct node *n, uint64_t number, struct id *id, unsigned *bundles)
{
	const struct hold *h = n->abroad ? map_get(&n->abroad->holds.numbers, number & ~HOLD_LEASES) : NULL;
	const struct hgroup *g = h ? map_get(&n->abroad->hgroups, h->group) : NULL;

	if (g == NULL)
		return false;
	*id = g->id;
	*bundles = g->n;
	return true;
}

void
hold_stop(struct abroad *a)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&a->hgroups, &it))
		free(it.val);
	map_release(&a->hgroups);
	hold_release(&a->holds);
	free(a->hold_out.fx);
}
