/* abroad - what a node keeps of other nodes.  Private to lib/node. */
#ifndef NODE_ABROAD_H
#define NODE_ABROAD_H

#include "core/group_hold.h"
#include "core/guest.h"
#include "core/overflow.h"
#include "core/where_row.h"
#include "link/link.h"
#include "node/inner.h"

struct there {				/* another node */
	uint32_t node;
	struct res total;		/* what it has; zeros: not known */
	unsigned aliases;		/* processes of it that are known here, */
};

enum { ABROAD_ALIASES = 1 << 17 };	/* and at most so many */

struct want {				/* what a process, of ours or an alias, asks of leases of one shape */
	struct list link;
	uint64_t shape, req;
	struct res need;
	struct buf custom;		/* as in LEASE */
	int64_t priority;
	unsigned threads;
	struct id pgroup;		/* abroad_group.c: it is to come from this placement group; all 0: none */
	struct list grouped;		/* in its wants */
	uint32_t proc;
	uint64_t wanted;
	bool asked;			/* core/overflow.h knows of it */
	uint64_t group;			/* of an alias: the lease core's number of it; 0 */
	unsigned bundle;		/* 1 first, 0 any; of an alias: of that number */
	bool capture;
};

struct late {				/* an input of the cores that is to come when the lease core has done */
	enum { LATE_OVER, LATE_EXIT, LATE_GONE, LATE_TABLE } kind;
	uint32_t proc, node;
	uint64_t shape;
};
enum { ABROAD_ROUNDS = 64 };		/* orders that are known to have been passed on */

struct abroad {
	struct link *link;
	struct tls_ctx *tls;
	ev_async news;
	struct map nodes;		/* number -> struct there * */
	struct idmap alias;		/* (node, process, 0) -> struct nproc * */
	struct idmap rings;		/* (node, 0, number there) -> struct nring *: those that have their worker there */
	struct map rooms;		/* ticket -> what is being received (abroad_object.c) */
	struct idmap asked;		/* id -> an owner here is asked for it */
	uint64_t next_ring;		/* number of the next one of these, here */
	struct afar_core afar;		/* abroad_actor.c */
	struct afar_out afar_out;
	bool telling;			/* its effects are being carried out */
	int slab;
	uint16_t bell;
	struct page *page;		/* of all aliases */

	struct where where;		/* all nodes, this one too */
	struct where_seen seen;
	uint64_t reports;		/* of this node, to where */
	struct map wants;		/* process -> struct list of its struct want */
	struct overflow over;		/* abroad_ask.c */
	struct overflow_out over_out;
	struct guests guests;		/* abroad_guest.c */
	struct guest_out guest_out;
	struct late *late;
	size_t nlate, caplate;
	bool turning;			/* effects are being carried out */

	struct idmap pgroups;		/* abroad_group.c: id -> struct pgroup * */
	struct holds holds;		/* abroad_hold.c */
	struct hold_out hold_out;
	struct map hgroups;		/* number -> struct hgroup * */
	bool holding;			/* effects are being carried out */
	struct id round[ABROAD_ROUNDS];	/* abroad_cancel.c */
	unsigned nround;
	uint64_t rounds;
};

/* abroad_turn.c */
struct want *want_get(const struct abroad *a, uint32_t proc, uint64_t shape);
struct want *want_make(struct abroad *a, uint32_t proc, uint64_t shape);	/* NULL: no memory */
void	abroad_turn_stop(struct abroad *a);
void	abroad_late(struct node *n, const struct late *l);
void	abroad_look(struct node *n);		/* the table of nodes is told how loaded this one is */

/* abroad_ask.c */
void	ask_step(struct node *n, const struct overflow_in *in);
void	ask_run(struct node *n);		/* carries out n->abroad->over_out */
int	abroad_answer(struct node *n, uint32_t node, struct span body);	/* FAR_ANSWER */

/* abroad_guest.c */
void	guest_in(struct node *n, const struct guest_in *in);
void	guest_run(struct node *n);
int	abroad_asked(struct node *n, uint32_t node, struct span body);	/* FAR_ASK */
int	abroad_unasked(struct node *n, uint32_t node, struct span body);	/* FAR_UNASK */

/* abroad_lease.c */
int	abroad_job(struct node *n, uint32_t node, struct njob *j);	/* a node that will have leases of j is told what it is */

/* abroad_object.c */
void	abroad_object(struct node *n, const struct link_news *news);
void	abroad_objects_stop(struct node *n);

#define ABROAD_RINGS UINT64_C(0xc0000000)	/* numbers of rings from here on have their worker elsewhere: no lease of this node's */

#endif
