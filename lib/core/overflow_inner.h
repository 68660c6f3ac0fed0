/*
 * overflow_inner - what overflow.c, which takes inputs, and overflow_place.c, which splits what is wanted, share.  Nobody
 * else includes it.
 */
#ifndef CORE_OVERFLOW_INNER_H
#define CORE_OVERFLOW_INNER_H

#include "core/overflow.h"

struct flow {				/* what a process wants of a shape */
	struct list link, hungry, asks;	/* of its process; in core->hungry, or alone; asks: the oldest first */
	struct heap_node timer;
	uint32_t proc;
	uint64_t shape;
	struct res need;
	struct where_kind *kind;
	bool could, here, first, wait;	/* this node could; it may now, as no node is better; it is asked first */
	bool pooled;			/* in a placement group: nobody here knows what room others have */
	bool noticed, tell, more;	/* tell: the lease core, anyhow; more: place had not done */
	uint64_t want, local, have, asked, far, told;	/* told: what the lease core was told to want */
	uint64_t since;			/* something waits since */
	uint64_t seat, seated;		/* ticket of what waits here since where_find said so, and how many */
	uint64_t bare;			/* it has no lease since */
	uint64_t moved;			/* patient asks were last made, or taken back to where there is room */
};

struct ask {
	struct list link;
	struct flow *flow;
	uint32_t node;
	bool patient;
	uint64_t number, n, back;	/* not answered; of them taken back */
	uint64_t ticket;
};

struct owner {
	struct list flows;
};

static inline uint64_t
waits_here(const struct flow *f)
{
	return f->local > f->have ? f->local - f->have : 0;
}

static inline uint64_t
rest(const struct flow *f)			/* wanted of nobody yet */
{
	uint64_t sum = f->local + f->asked + f->far;

	return f->want > sum ? f->want - sum : 0;
}

/* overflow_place.c */
bool	overflow_here(struct overflow *c, uint64_t now, const struct flow *f);	/* what f.here is to be now */
struct overflow_fx *overflow_fx_add(struct overflow_out *o, enum overflow_fx_kind kind, const struct flow *f);
void	overflow_ask_end(struct overflow *c, struct ask *a);
/* takes back n of what f asked for, the furthest first; patiently: of what it asked patiently */
void	overflow_take_back(struct overflow *c, struct flow *f, uint64_t n, bool patiently, struct overflow_out *o);
/* n go to another node: of what nobody was asked for, then of what waits here */
void	overflow_leave_here(struct flow *f, uint64_t n);
/* n of what where_find has placed here are granted, or not wanted any more */
void	overflow_seated(struct overflow *c, struct flow *f, uint64_t n);
/* After any input: what is too much is taken back, what waits is placed, the lease core is told; f may be gone then. */
void	overflow_settle(struct overflow *c, uint64_t now, struct flow *f, struct overflow_out *o);
void	overflow_flow_end(struct overflow *c, struct flow *f);

#endif
