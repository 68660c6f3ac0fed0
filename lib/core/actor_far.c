#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/grow.h"
#include "core/actor_far.h"

static struct afar_fx *
fx_add(struct afar_out *o, enum afar_fx_kind kind, const struct afar *a)
{
	static struct afar_fx lost;	/* no memory: the effect is dropped */
	struct afar_fx *p = grow(o->fx, &o->cap, o->n, sizeof *p);

	if (p == NULL)
		return &lost;
	o->fx = p;
	p[o->n] = (struct afar_fx){ .kind = kind, .actor = a ? a->number : 0, .node = a ? a->home : 0 };
	return &p[o->n++];
}

/* --- who uses it ---------------------------------------------------------------------------------------------------- */

static struct afar_use *
use_of(const struct afar *a, uint32_t proc, enum afar_op op, uint32_t group)
{
	for (unsigned i = 0; i < a->nuse; i++)
		if (a->use[i].proc == proc && a->use[i].op == op && a->use[i].group == group)
			return &a->use[i];
	return NULL;
}

static int
use_add(struct afar *a, const struct afar_use *u)
{
	struct afar_use *p = use_of(a, u->proc, u->op, u->group);

	if (p == NULL) {
		if ((p = grow(a->use, &a->capuse, a->nuse, sizeof *p)) == NULL)
			return -ENOMEM;
		a->use = p;
		p += a->nuse++;
	}
	*p = *u;
	return 0;
}

static bool
use_end(struct afar *a, uint32_t proc, bool watch)	/* watch: it watches no longer either */
{
	unsigned n = 0, was = a->nuse;

	for (unsigned i = 0; i < was; i++)
		if (a->use[i].proc != proc || (a->use[i].op == AFAR_WATCH && !watch))
			a->use[n++] = a->use[i];
	a->nuse = n;
	return n < was;
}

static void
tell_use(const struct afar *a, const struct afar_use *u, struct afar_out *o)
{
	struct afar_fx *fx = fx_add(o, AFAR_FX_TELL, a);

	fx->op = u->op;
	fx->proc = u->proc;
	fx->group = u->group;
	fx->req = u->req;
}

static void
tell_later(const struct afar *a, const struct afar_later *l, struct afar_out *o)
{
	struct afar_fx *fx = fx_add(o, AFAR_FX_TELL, a);

	fx->op = l->op;
	fx->of = l->node;
	fx->proc = l->proc;
	fx->stop = l->stop;
	fx->restart = l->restart;
}

static void
forget_idle(const struct afar *a, struct afar_out *o)
{
	if (a->nuse == 0 && a->nlater == 0 && !a->kept)
		fx_add(o, AFAR_FX_FORGET, a);
}

static void
tell_state(const struct afar *a, uint32_t proc, enum actor_state state, uint32_t incarnation, const char *text, struct afar_out *o)
{
	struct afar_fx *fx = fx_add(o, AFAR_FX_STATE, a);

	fx->proc = proc;
	fx->state = state;
	fx->incarnation = incarnation;
	snprintf(fx->text, sizeof fx->text, "%s", text);
}

/* --- where it is ---------------------------------------------------------------------------------------------------- */

static void
seek(struct afar *a, struct afar_out *o)
{
	if (a->kept || a->asked || a->home)
		return;
	a->asked = true;
	fx_add(o, AFAR_FX_WHERE, a);
}

static void
at(struct afar *a, uint32_t node, struct afar_out *o)
{
	a->home = node;
	a->asked = false;
	for (unsigned i = 0; i < a->nuse; i++)
		tell_use(a, &a->use[i], o);
	for (unsigned i = 0; i < a->nlater; i++)
		tell_later(a, &a->later[i], o);
	a->nlater = 0;
	forget_idle(a, o);
}

static void
over(struct afar *a, const char *text, struct afar_out *o)
{
	struct afar_fx *fx;

	if (a->dead)
		return;
	a->dead = true;
	a->home = a->sent = 0;
	list_del(&a->waits);
	for (unsigned i = 0; i < a->nuse; i++)
		if (a->use[i].op != AFAR_OPEN || (use_of(a, a->use[i].proc, AFAR_HOLD, 0) == NULL && a->use[i].group == 0))
			tell_state(a, a->use[i].proc, ACTOR_DEAD, UINT32_MAX, text, o);
	if (a->kept) {
		fx = fx_add(o, AFAR_FX_OVER, a);
		snprintf(fx->text, sizeof fx->text, "%s", text);
	}
	a->kept = false;
	a->nuse = a->nlater = 0;
	fx_add(o, AFAR_FX_FORGET, a);
}

/* its home is gone: who keeps it makes it again */
static void
lost(struct afar *a, const char *text, struct afar_out *o)
{
	bool made = a->home != 0;
	struct afar_fx *fx;

	a->home = a->sent = 0;
	if (!a->kept) {
		seek(a, o);
		return;
	}
	if (made && a->restarts == 0) {
		over(a, text, o);
		return;
	}
	if (made && a->restarts != UINT32_MAX)
		a->restarts--;
	a->incarnation++;
	snprintf(a->text, sizeof a->text, "%s", text);
	for (unsigned i = 0; i < a->nuse; i++)
		if (a->use[i].op == AFAR_HOLD)
			tell_state(a, a->use[i].proc, ACTOR_RESTARTING, a->incarnation, text, o);
	fx = fx_add(o, AFAR_FX_NOTE, a);
	fx->state = ACTOR_RESTARTING;
	fx->incarnation = a->incarnation;
	snprintf(fx->text, sizeof fx->text, "%s", text);
	fx_add(o, AFAR_FX_MAKE, a);
}

/* --- inputs ------------------------------------------------------------------------------------------------------------- */

static void
afar_free(struct afar *a)
{
	list_del(&a->waits);
	buf_release(&a->spec);
	free(a->use);
	free(a->later);
	free(a);
}

static struct afar *
make(struct afar_core *c, uint64_t number)
{
	struct afar *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->number = number;
	list_init(&a->waits);
	if (map_put(&c->actors, number, a) < 0) {
		free(a);
		return NULL;
	}
	return a;
}

static int
in_keep(struct afar_core *c, const struct afar_in *in, struct afar_out *o)
{
	struct afar *a = afar_get(c, in->actor);

	if (a == NULL && (a = make(c, in->actor)) == NULL)
		return -ENOMEM;
	if (buf_add(&a->spec, in->spec.p, in->spec.n) < 0 ||
	    (in->proc && !in->node && use_add(a, &(struct afar_use){ .proc = in->proc, .op = AFAR_HOLD }) < 0)) {
		map_del(&c->actors, a->number);
		afar_free(a);
		return -ENOMEM;
	}
	a->kept = true;
	a->asked = false;
	a->home = a->sent = 0;
	a->maker = in->node ? in->far : in->proc;
	a->at = in->node;
	a->job = in->job;
	a->detached = in->detached;
	a->restarts = in->restarts;
	a->incarnation = in->incarnation ? in->incarnation : 1;
	a->set = in->set;
	a->rank = in->rank;
	fx_add(o, AFAR_FX_MAKE, a);
	return 0;
}

static int
put_off(struct afar *a, const struct afar_later *l)
{
	struct afar_later *v = grow(a->later, &a->caplater, a->nlater, sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	a->later = v;
	v[a->nlater++] = *l;
	return 0;
}

static bool
unplaced(const struct afar *a)		/* no node knows of it */
{
	return a->kept && a->home == 0 && a->sent == 0;
}

static int
in_use(struct afar_core *c, const struct afar_in *in, struct afar_out *o)
{
	struct afar_use u = { .proc = in->proc, .group = in->group, .req = in->req, .op = in->op };
	struct afar_later l = { .node = in->node, .proc = in->node ? in->far : in->proc, .op = in->op, .stop = in->stop, .restart = in->restart };
	struct afar *a = afar_get(c, in->actor);
	int e = 0;

	if (a == NULL && (in->op == AFAR_DROP || (a = make(c, in->actor)) == NULL))
		return in->op == AFAR_DROP ? 0 : -ENOMEM;
	if (in->op == AFAR_KILL && !in->restart && unplaced(a)) {
		over(a, in->stop ? "it was stopped" : "it was killed", o);
		return 0;
	}
	if (in->op == AFAR_KILL || in->node) {
		if (a->home)
			tell_later(a, &l, o);
		else
			e = put_off(a, &l);
	} else if (in->op == AFAR_DROP) {
		if (use_end(a, in->proc, false) && a->home)
			tell_use(a, &u, o);
		if (unplaced(a) && a->nuse == 0 && a->at == 0 && a->set == 0 && !a->detached)
			over(a, "nobody holds it any more", o);
		else
			forget_idle(a, o);
		return 0;
	} else if ((e = use_add(a, &u)) == 0 && a->home)
		tell_use(a, &u, o);
	seek(a, o);
	forget_idle(a, o);
	return e;
}

static void
in_at(struct afar *a, const struct afar_in *in, struct afar_out *o)
{
	if (a->kept || !a->asked)
		return;
	if (in->node == 0)
		over(a, in->text, o);
	else if (in->node == a->denied)		/* it just ended there, and the control store does not know yet */
		over(a, "the actor is gone", o);
	else
		at(a, in->node, o);
}

static void
in_note(struct afar *a, const struct afar_in *in, struct afar_out *o)
{
	if (!a->kept || (in->node != a->home && in->node != a->sent))
		return;
	a->restarts = in->restarts;
	a->incarnation = in->incarnation;
	if (in->state == ACTOR_DEAD)
		over(a, in->text, o);
	else if (a->sent) {
		a->sent = 0;
		at(a, in->node, o);
	}
}

static void
in_retry(struct afar_core *c, struct afar_out *o)
{
	for (unsigned i = 0; i < AFAR_RETRIES && !list_empty(&c->waiting); i++) {
		struct afar *a = list_entry(c->waiting.next, struct afar, waits);

		list_del(&a->waits);
		fx_add(o, AFAR_FX_MAKE, a);
	}
}

static void
in_state(struct afar *a, const struct afar_in *in, struct afar_out *o)
{
	if (in->state != ACTOR_DEAD || in->node != a->home)
		return;
	use_end(a, in->proc, true);		/* it knows now */
	forget_idle(a, o);
}

static void
in_gone(struct afar_core *c, uint32_t proc, struct afar_out *o)
{
	struct map_iter it = MAP_ITER;
	struct map told = MAP_INIT;		/* nodes */

	while (map_next(&c->actors, &it)) {
		struct afar *a = it.val;

		if (!use_end(a, proc, true))
			continue;
		if (a->home && !map_get(&told, a->home)) {
			map_put(&told, a->home, a);	/* no memory: it is told twice */
			fx_add(o, AFAR_FX_LEFT, a)->proc = proc;
		}
		forget_idle(a, o);
	}
	map_release(&told);
}

static void
in_job_end(struct afar_core *c, uint32_t job, struct afar_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it)) {
		struct afar *a = it.val;

		if (a->kept && a->job == job && !a->detached)
			over(a, "its job is over", o);
	}
}

static void
in_node_gone(struct afar_core *c, const struct afar_in *in, struct afar_out *o)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it)) {
		struct afar *a = it.val;

		if (a->home == in->node || a->sent == in->node)
			lost(a, in->text, o);
	}
}

int
afar_step(struct afar_core *c, const struct afar_in *in, struct afar_out *o)
{
	struct afar *a = in->actor ? afar_get(c, in->actor) : NULL;

	switch (in->kind) {
	case AFAR_IN_KEEP: return in_keep(c, in, o);
	case AFAR_IN_USE: return in_use(c, in, o);
	case AFAR_IN_NODE_GONE: in_node_gone(c, in, o); return 0;
	case AFAR_IN_GONE: in_gone(c, in->proc, o); return 0;
	case AFAR_IN_RETRY: in_retry(c, o); return 0;
	case AFAR_IN_JOB_END: in_job_end(c, in->job, o); return 0;
	default: break;
	}
	if (a == NULL || a->dead)
		return 0;
	switch (in->kind) {
	case AFAR_IN_PLACED:
		if (unplaced(a))
			a->sent = in->node;
		break;
	case AFAR_IN_WAIT:
		if (unplaced(a)) {
			list_del(&a->waits);
			list_add_tail(&c->waiting, &a->waits);
		}
		break;
	case AFAR_IN_REFUSED:
		if (a->sent == in->node) {
			a->sent = 0;
			fx_add(o, AFAR_FX_MAKE, a);
		}
		break;
	case AFAR_IN_NOPLACE: over(a, in->text, o); break;
	case AFAR_IN_AT: in_at(a, in, o); break;
	case AFAR_IN_DENIED:
		if (a->home != in->node || a->kept)
			break;
		a->denied = a->home;
		a->home = 0;
		seek(a, o);
		break;
	case AFAR_IN_NOTE: in_note(a, in, o); break;
	case AFAR_IN_STATE: in_state(a, in, o); break;
	default: break;
	}
	return 0;
}

void
afar_init(struct afar_core *c)
{
	*c = (struct afar_core){ .actors = MAP_INIT };
	list_init(&c->waiting);
}

void
afar_forget(struct afar_core *c, uint64_t number)
{
	struct afar *a = map_get(&c->actors, number);

	if (a && a->nuse == 0 && a->nlater == 0 && !a->kept) {
		map_del(&c->actors, number);
		afar_free(a);
	}
}

void
afar_release(struct afar_core *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actors, &it))
		afar_free(it.val);
	map_release(&c->actors);
}
