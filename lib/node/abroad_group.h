/*
 * abroad_group - placement groups over many nodes: the control store is their coordinator (node/gcs_groups.h).  Private to
 * lib/node.
 *
 * abroad_group.c has what processes here know of groups: each that one of them made, asked for or runs something in has a
 * struct pgroup, followed from the control store, until the group is gone.  What is to run in it waits until it is created,
 * then leases are asked of the nodes that have its bundles.  abroad_hold.c has the parts of groups that this node has set aside.
 */
#ifndef NODE_ABROAD_GROUP_H
#define NODE_ABROAD_GROUP_H

#include "core/group_hold.h"
#include "node/abroad.h"

struct pgroup {
	struct id id;
	uint64_t number;		/* 0: not known yet */
	enum group_state state;		/* PENDING, CREATED, RESCHEDULING, REMOVED */
	int code;			/* removed: why */
	char text[200];
	uint32_t job;			/* of its maker, if that is a process of this node */
	bool deleted;			/* GROUP_DEL was sent, and is not confirmed */
	uint64_t until;
	struct buf frame;		/* GROUP_NEW, as long as it is not answered */
	unsigned n, nasker;
	struct res *bundle;
	uint32_t *node;			/* of each bundle */
	uint32_t *asker;		/* processes */
	struct list wants;		/* struct want.grouped */
	struct buf actors;		/* u64 each: they wait for it */
};

/* abroad_hold.c */
#define HOLD_LEASES (UINT64_C(1) << 63)		/* the lease core's number of a hold has this too: others are lib/node/groups.c's */
void	hold_in(struct node *n, const struct hold_in *in);
void	hold_tell(struct node *n);		/* GROUP_HELD */
int	hold_frame(struct node *n, const struct frame *f);	/* GROUP_PREPARE, COMMIT, RELEASE */
/*
 * The lease core's number of what this node has of a group, from which a bundle (1 first, 0: any that need fits in) is
 * granted, and which bundle of that it is, 0 any.  0: it has none.
 */
uint64_t hold_lease(const struct node *n, uint64_t group, unsigned bundle, const struct res *need, unsigned *index);
void	hold_stop(struct abroad *a);

/* abroad_group.c */
struct pgroup *pgroup_get(const struct node *n, struct id id);
uint64_t pgroup_number(const struct node *n, const struct want *w);	/* 0: it is of none, or not known */
void	pgroup_want(struct want *w, const struct msg_lease *m);	/* what it says of groups */
void	pgroup_settle(struct node *n, struct want *w);	/* it is to come from a group */
void	pgroup_stop(struct abroad *a);

#endif
