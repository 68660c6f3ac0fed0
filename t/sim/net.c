/* net.c - connections: whole frames, in order, late, until they break */
#include <stdio.h>
#include <stdlib.h>
#include "sim.h"

static void	come(struct sim *s, void *arg, uint64_t side);

static void
packet_free(struct sim_packet *p)
{
	list_del(&p->link);
	buf_release(&p->b);
	free(p);
}

static void
forget(struct sim_side *e)
{
	list_each_safe(l, next, &e->in)
		packet_free(list_entry(l, struct sim_packet, link));
}

static void
wake(struct sim *s, struct sim_conn *c, int side, uint64_t ns)
{
	struct sim_side *e = &c->side[side];

	if (e->m->up && e->m->life == e->life)
		sim_true(s, e->m, ns, come, c, (uint64_t)side);
}

/* --- the end of one --------------------------------------------------------------------------------------------------- */

static void
closed(struct sim *s, struct sim_conn *c, int side)
{
	struct sim_side *e = &c->side[side];

	if (!e->open)
		return;
	e->open = false;
	forget(e);
	sim_log(s, "conn %u: machine %u sees its end", c->number, e->m->i);
	if (side == 0 || c->accepted)
		c->ends->closed(s, c, side);
}

static void
notice(struct sim *s, void *arg, uint64_t side)
{
	closed(s, arg, (int)side);
}

/* each side learns of it when it does; what comes until then is a part of what was under way */
void
sim_break(struct sim *s, struct sim_conn *c)
{
	if (c->broken)
		return;
	c->broken = true;
	sim_log(s, "conn %u breaks: %u, %u", c->number, c->side[0].m->i, c->side[1].m->i);
	for (int i = 0; i < 2; i++) {
		struct sim_side *e = &c->side[i];
		bool cut = s->cut[c->side[!i].m->i][e->m->i];

		if (!e->open)
			continue;
		e->cut = s->now + sim_below(s, s->delay + s->jitter + 1);
		if (e->m->up && e->m->life == e->life)
			sim_true(s, e->m, cut ? SIM_SEC + sim_about(s, SIM_SEC) : s->delay + sim_about(s, 20 * SIM_MS), notice, c, (uint64_t)i);
	}
}

void
sim_close(struct sim *s, struct sim_conn *c, int side)
{
	struct sim_side *e = &c->side[side], *o = &c->side[!side];

	if (!e->open)
		return;
	e->open = false;
	forget(e);
	if (c->broken || !o->open)
		return;
	if (sim_chance(s, 300) && !c->broken) {		/* unread bytes: a reset */
		sim_break(s, c);
		return;
	}
	sim_send(s, c, side, NULL, 0);
	c->broken = true;
	o->cut = UINT64_MAX;
}

/* All its ends are gone at once; the others hear of it late, when it is up again or their patience is over. */
void
net_down(struct sim *s, struct sim_machine *m)
{
	list_each(l, &s->conns) {
		struct sim_conn *c = list_entry(l, struct sim_conn, link);

		for (int i = 0; i < 2; i++)
			if (c->side[i].m == m && c->side[i].open) {
				c->side[i].open = false;
				forget(&c->side[i]);
				sim_break(s, c);
			}
	}
}

/* --- packets -------------------------------------------------------------------------------------------------------------- */

static void
come(struct sim *s, void *arg, uint64_t n)
{
	struct sim_conn *c = arg;
	int side = (int)n;
	struct sim_side *e = &c->side[side];
	struct sim_packet *p;

	if (!e->open || s->cut[c->side[!side].m->i][e->m->i])
		return;				/* sim_cut comes again */
	if (side == 1 && !c->accepted) {
		c->accepted = true;
		c->ends->opened(s, c);
	}
	while (e->open && !list_empty(&e->in)) {
		struct buf b;
		bool fin;

		p = list_entry(e->in.next, struct sim_packet, link);
		if (p->at > s->now)
			return;			/* another event is on its way for it */
		b = p->b;
		fin = p->fin;
		p->b = (struct buf)BUF_INIT;
		if (c->broken && p->at > e->cut) {
			packet_free(p);
			buf_release(&b);
			continue;
		}
		packet_free(p);
		if (fin)
			closed(s, c, side);
		else
			c->ends->frames(s, c, side, span_of(b.data, b.len));
		buf_release(&b);
	}
}

void
sim_send(struct sim *s, struct sim_conn *c, int side, const void *bytes, size_t n)
{
	struct sim_side *e = &c->side[!side];
	struct sim_packet *p;
	uint64_t at = s->now + s->delay + sim_about(s, s->jitter) + (sim_chance(s, s->loss) ? 200 * SIM_MS : 0);

	if (c->broken || !e->open || e->m->life != e->life)
		return;
	if ((p = calloc(1, sizeof *p)) == NULL || (n && buf_add(&p->b, bytes, n) < 0))
		abort();
	p->fin = n == 0;
	p->at = at > e->last ? at : e->last;
	e->last = p->at;
	list_add_tail(&e->in, &p->link);
	wake(s, c, !side, p->at - s->now);
}

void
sim_cut(struct sim *s, unsigned from, unsigned to, bool cut)
{
	s->cut[from][to] = cut;
	list_each(l, &s->conns) {
		struct sim_conn *c = list_entry(l, struct sim_conn, link);

		for (int i = 0; i < 2; i++)
			if (c->side[!i].m->i == from && c->side[i].m->i == to && c->side[i].open) {
				if (cut && sim_chance(s, 500))
					sim_break(s, c);
				else if (!cut)
					wake(s, c, i, s->delay);
			}
	}
}

/* --- a new one ------------------------------------------------------------------------------------------------------------- */

static void
refused(struct sim *s, void *arg, uint64_t n)
{
	(void)n;
	closed(s, arg, 0);
}

static void
unheard(struct sim *s, void *arg, uint64_t n)		/* nobody has answered within the time for that */
{
	struct sim_conn *c = arg;

	(void)n;
	if (!c->accepted && !c->broken)
		sim_break(s, c);
}

struct sim_conn *
sim_connect(struct sim *s, struct sim_machine *from, struct sim_machine *to, const struct sim_ends *ends, void *arg)
{
	struct sim_conn *c = calloc(1, sizeof *c);

	if (c == NULL)
		abort();
	*c = (struct sim_conn){ .number = ++s->nconn, .ends = ends };
	c->side[0] = (struct sim_side){ .m = from, .life = from->life, .arg = arg, .open = true };
	c->side[1] = (struct sim_side){ .m = to, .life = to->life, .open = to->up };
	list_init(&c->side[0].in);
	list_init(&c->side[1].in);
	list_add_tail(&s->conns, &c->link);
	sim_log(s, "conn %u: %u to %u", c->number, from->i, to->i);
	if (!to->up) {
		c->broken = true;
		sim_true(s, from, s->delay + sim_about(s, SIM_SEC / 4), refused, c, 0);
		return c;
	}
	wake(s, c, 1, s->delay + sim_about(s, s->jitter));
	sim_true(s, from, 2 * SIM_SEC, unheard, c, 0);
	return c;
}

void
net_release(struct sim *s)
{
	list_each_safe(l, next, &s->conns) {
		struct sim_conn *c = list_entry(l, struct sim_conn, link);

		forget(&c->side[0]);
		forget(&c->side[1]);
		free(c);
	}
	list_init(&s->conns);
}
