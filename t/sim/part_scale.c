/*
 * part_scale.c - the autoscaler (core/scale.h) and a provider that is slow, fails, hangs and loses what it made.
 *
 * Work comes and goes; nodes join by themselves some time after they were made ready, and die when they like.  When the
 * control store's machine starts again its autoscaler knows nothing but what the provider lists.
 *
 *	scale-max	no type has more instances than its max at the provider, none of them asked to end
 *	scale-check	the figures agree
 *	scale-room	in the end all work that some type could hold has a node
 *	scale-idle	in the end, when there is no work, only each type's min is there
 */
#include <stdlib.h>
#include <string.h>
#include "core/scale.h"
#include "parts.h"

enum { INSTS = 256, TYPES = 3 };

struct inst {				/* at the provider */
	uint64_t id;
	unsigned type;
	uint32_t node;			/* it has joined */
	int64_t load;			/* CPUs in use */
	bool there, ending;
};

struct part {
	struct scale core;
	struct scale_opts o;
	bool on, broken;		/* broken: the provider answers nothing, for a while */
	uint64_t epoch, at, life;
	struct inst inst[INSTS];
	uint32_t node;
	unsigned work;			/* CPUs wanted in all, one by one */
	bool over;			/* no more work is wanted: the last phase */
};

static struct part *
mine(const struct sim *s)
{
	return s->of[SCALE_PART];
}

static void	step(struct sim *s, const struct scale_in *in);

static struct inst *
inst_of(struct part *p, uint64_t id)
{
	for (unsigned i = 0; i < INSTS; i++)
		if (p->inst[i].there && p->inst[i].id == id)
			return &p->inst[i];
	return NULL;
}

/* --- the provider ------------------------------------------------------------------------------------------------------ */

enum { JOIN, GIVE, LAUNCHED, LAUNCH_FAILED, READY, DRAINED };	/* what comes later, beside an id */

static void
tell(struct sim *s, const struct inst *x)
{
	int64_t total = mine(s)->o.type[x->type].total.v[RES_CPU];

	step(s, &(struct scale_in){ .kind = SCALE_IN_NODE, .id = x->id, .node = x->node, .idle = x->load == 0,
	    .free = { .v = { [RES_CPU] = total - x->load } } });
}

static void
later(struct sim *s, void *arg, uint64_t n)
{
	struct part *p = mine(s);
	uint64_t id = n >> 3;
	struct inst *x = inst_of(p, id);

	(void)arg;
	switch (n & 7) {
	case GIVE:
		if (x)
			x->there = false;
		if (p->on)
			step(s, &(struct scale_in){ .kind = SCALE_IN_TERMINATED, .id = id });
		break;
	case JOIN:
		if (x == NULL || x->ending)
			break;
		x->node = ++p->node;
		sim_log(s, "scale: instance %llx is node %u", (unsigned long long)id, x->node);
		if (p->on)
			tell(s, x);
		break;
	case DRAINED:
		if (p->on && x && x->node)
			step(s, &(struct scale_in){ .kind = SCALE_IN_DRAINED, .node = x->node, .ok = x->load == 0 });
		break;
	default:
		if (p->on && (n & 7) != READY)
			step(s, &(struct scale_in){ .kind = SCALE_IN_LAUNCHED, .id = id, .ok = (n & 7) == LAUNCHED });
		else if (p->on)
			step(s, &(struct scale_in){ .kind = SCALE_IN_READY, .id = id, .ok = true });
	}
}

static void
answer(struct sim *s, uint64_t mean, uint64_t id, unsigned what)
{
	sim_after(s, NULL, sim_about(s, mean), later, NULL, id << 3 | what);
}

static void
launch(struct sim *s, uint64_t id, unsigned type)
{
	struct part *p = mine(s);
	unsigned n = 0, free = INSTS;

	for (unsigned i = 0; i < INSTS; i++) {
		n += p->inst[i].there && !p->inst[i].ending && p->inst[i].type == type;
		free = p->inst[i].there ? free : i;
	}
	if (s->phase == SIM_CHAOS && (p->broken || sim_chance(s, 200))) {
		if (sim_chance(s, 500))
			answer(s, 100 * SIM_MS, id, LAUNCH_FAILED);
		return;				/* or it hangs */
	}
	if (n >= p->o.type[type].max || free == INSTS)
		sim_fail(s, "scale-max", "a %s is launched, %u of %u are there", p->o.type[type].name, n, p->o.type[type].max);
	p->inst[free] = (struct inst){ .id = id, .type = type, .there = true };
	answer(s, 100 * SIM_MS, id, LAUNCHED);
}

static void
list(struct sim *s)
{
	struct part *p = mine(s);
	struct scale_listed l[INSTS];
	struct scale_in in = { .kind = SCALE_IN_LISTED, .list = l };

	for (unsigned i = 0; i < INSTS; i++)
		if (p->inst[i].there && !p->inst[i].ending)
			l[in.nlist++] = (struct scale_listed){ p->inst[i].id, p->inst[i].type };
	step(s, &in);
	for (unsigned i = 0; i < INSTS; i++)		/* nodes of before say so themselves */
		if (p->inst[i].there && p->inst[i].node && !map_get(&p->core.nodes, p->inst[i].node))
			tell(s, &p->inst[i]);
}

static void
list_now(struct sim *s, void *arg, uint64_t life)
{
	(void)arg;
	if (mine(s)->on && mine(s)->life == life)
		list(s);
}

static void
fx_do(struct sim *s, const struct scale_fx *fx)
{
	struct part *p = mine(s);
	struct inst *x = inst_of(p, fx->id);

	switch (fx->kind) {
	case SCALE_FX_LIST: sim_after(s, NULL, sim_about(s, SIM_SEC / 10), list_now, NULL, p->life); break;
	case SCALE_FX_LAUNCH:
		sim_log(s, "scale: launch %u %s", fx->n, p->o.type[fx->type].name);
		for (unsigned i = 0; i < fx->n; i++)
			launch(s, fx->id + i, fx->type);
		break;
	case SCALE_FX_READY:
		answer(s, 100 * SIM_MS, fx->id, READY);
		if (s->phase == SIM_CALM || sim_chance(s, 800))
			answer(s, 300 * SIM_MS, fx->id, JOIN);
		break;
	case SCALE_FX_DRAIN:
		if (s->phase == SIM_CALM || sim_chance(s, 800))
			answer(s, 100 * SIM_MS, fx->id, DRAINED);
		break;
	case SCALE_FX_TERMINATE:
		sim_log(s, "scale: terminate %llx", (unsigned long long)fx->id);
		if (x && (s->phase == SIM_CALM || !p->broken))
			x->ending = true;
		if (s->phase == SIM_CALM || !p->broken)		/* else it is as if nobody had asked */
			answer(s, 100 * SIM_MS, fx->id, GIVE);
	}
}

static void
tick(struct sim *s, void *arg, uint64_t at)
{
	(void)arg;
	if (at != mine(s)->at || !mine(s)->on)
		return;
	mine(s)->at = 0;
	step(s, &(struct scale_in){ .kind = SCALE_IN_TICK });
}

static void
step(struct sim *s, const struct scale_in *in)
{
	struct part *p = mine(s);
	struct scale_out o = { 0 };
	int e;

	sim_check(s, "scale-check", scale_step(&p->core, sim_clock(s, &s->machine[0]), in, &o) == 0);
	if ((e = scale_check(&p->core)) != 0)
		sim_fail(s, "scale-check", "scale.c, line %d", e);
	if (o.at && o.at != p->at)
		sim_at(s, &s->machine[0], o.at, tick, NULL, o.at);
	p->at = o.at;
	for (size_t i = 0; i < o.n; i++)
		fx_do(s, &o.fx[i]);
	free(o.fx);
}

/* --- work --------------------------------------------------------------------------------------------------------------- */

static unsigned
placed(struct sim *s)			/* places what is wanted on the nodes that there are: how much has one */
{
	struct part *p = mine(s);
	unsigned left = p->work;

	for (unsigned i = 0; i < INSTS; i++) {
		struct inst *x = &p->inst[i];
		int64_t was = x->load, room = p->o.type[x->type].total.v[RES_CPU] / 1000;

		if (!x->there || x->node == 0 || x->ending)
			continue;
		x->load = (left < (unsigned)room ? (int64_t)left : room) * 1000;
		left -= (unsigned)(x->load / 1000);
		if (was != x->load && map_get(&p->core.nodes, x->node))
			tell(s, x);
	}
	return p->work - left;
}

static void
wants(struct sim *s, void *arg, uint64_t life)
{
	struct part *p = mine(s);
	struct res cpu = { .v = { [RES_CPU] = 1000 } };
	struct scale_want w = { .kind = SCALE_LEASE, .need = &cpu };

	if (p->life != life)
		return;
	sim_after(s, &s->machine[0], SIM_SEC / 10, wants, arg, life);
	if (s->phase == SIM_CHAOS && sim_chance(s, 200))
		p->work = (unsigned)sim_below(s, sim_chance(s, 300) ? 1 : 40);
	w.n = p->work - placed(s);
	step(s, &(struct scale_in){ .kind = SCALE_IN_WANTS, .want = &w, .nwant = w.n > 0 });
}

static void
fault(struct sim *s)			/* a node is lost, an instance vanishes, or the provider is out of order for a while */
{
	struct part *p = mine(s);
	struct inst *x = &p->inst[sim_below(s, INSTS)];

	p->broken = sim_chance(s, p->broken ? 700 : 100);
	if (!x->there)
		return;
	if (p->on && x->node)
		step(s, &(struct scale_in){ .kind = SCALE_IN_GONE, .node = x->node });
	x->node = 0;
	x->load = 0;
	x->there = sim_chance(s, 500);
}

/* --- the part ------------------------------------------------------------------------------------------------------------- */

static void
init(struct sim *s)
{
	static const char *const name[TYPES] = { "small", "large", "spare" };
	struct part *p = calloc(1, sizeof *p);

	if (p == NULL)
		abort();
	s->of[SCALE_PART] = p;
	p->o = (struct scale_opts){ .ntype = TYPES, .speed = (unsigned)sim_below(s, 200), .idle = (1 + sim_below(s, 8)) * 100 * SIM_MS,
	    .start = 3 * SIM_SEC, .drain = SIM_SEC, .list = SIM_SEC / 2 };
	for (unsigned t = 0; t < TYPES; t++) {
		struct scale_type *y = &p->o.type[t];

		memcpy(y->name, name[t], strlen(name[t]));
		y->total.v[RES_CPU] = 1000 << t;
		y->min = (unsigned)sim_below(s, 3);
		y->max = y->min + (unsigned)sim_below(s, 10);
		y->priority = (int)sim_below(s, 2);
	}
}

static void
up(struct sim *s, struct sim_machine *m)
{
	struct part *p = mine(s);

	if (m->i)
		return;
	scale_init(&p->core, &p->o, ++p->epoch);
	p->on = true;
	p->life = m->life;
	p->at = 0;
	step(s, &(struct scale_in){ .kind = SCALE_IN_TICK });
	sim_after(s, m, 300 * SIM_MS, wants, NULL, m->life);	/* it hears of what is there first */
}

static void
down(struct sim *s, struct sim_machine *m)
{
	if (m->i)
		return;
	scale_release(&mine(s)->core);
	mine(s)->on = false;
}

static bool
reached(struct sim *s)
{
	struct part *p = mine(s);
	unsigned room = 0, n[TYPES] = { 0 };

	for (unsigned i = 0; i < INSTS; i++)
		n[p->inst[i].type] += p->inst[i].there;
	if (p->over) {
		for (unsigned t = 0; t < TYPES; t++)
			if (n[t] != p->o.type[t].min)
				return false;
		return true;
	}
	for (unsigned t = 0; t < TYPES; t++)
		room += p->o.type[t].max * (1u << t);
	return placed(s) >= (p->work < room ? p->work : room);
}

static void
calm(struct sim *s)
{
	mine(s)->work = (unsigned)sim_below(s, 40);
}

static bool
done(struct sim *s)			/* first all work has its place, then there is none */
{
	struct part *p = mine(s);

	if (!reached(s))
		return false;
	if (p->over)
		return true;
	p->over = true;
	p->work = 0;
	return false;
}

static void
end(struct sim *s)
{
	struct part *p = mine(s);

	if (!reached(s))
		sim_fail(s, p->over ? "scale-idle" : "scale-room", "%u CPUs are wanted; %u small, %u large and %u spare nodes are there", p->work,
		    scale_count(&p->core, 0), scale_count(&p->core, 1), scale_count(&p->core, 2));
}

static void
release(struct sim *s)
{
	if (mine(s)->on)
		scale_release(&mine(s)->core);
	free(mine(s));
}

const struct sim_part part_scale = { "scale", init, up, down, fault, NULL, calm, done, end, release };
