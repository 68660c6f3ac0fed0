/*
 * gcs_groups - placement groups of the cluster: the control store is their coordinator (core/group_far.h).
 *
 * Nodes send GROUP_NEW, ASK, DEL and FIND as their processes did, and are told with GROUP_STATE how each group fares that they
 * made or asked for.  A node that sent GROUP_HELD after it joined can have parts of groups: it is told to PREPARE, COMMIT and RELEASE
 * them, and ANSWERs.  What it is told before that on a new connection is nothing: GROUP_HELD says what it has, and the
 * difference is mended then.
 *
 * A group is on the disk from when it is prepared, or found no room, until it is gone, with the nodes of its bundles; COMMIT leaves
 * after that, as all that is sent depends on what was written before.  After a start all that is there is committed once more,
 * and nothing is said to be infeasible until the nodes of before have come back or been given up.
 * Numbers and rounds begin with the epoch: they are never used again.
 *
 * Private to the control store's daemon.
 */
#ifndef NODE_GCS_GROUPS_H
#define NODE_GCS_GROUPS_H

#include <ev.h>
#include "core/group_far.h"

struct gcs;
struct gcs_peer;
struct frame;

struct gcs_group {
	struct id id;
	uint64_t number, until, since;	/* until: CLOCK_MONOTONIC, 0 no limit; since: wall clock */
	uint32_t job, home;		/* of its maker; node of that job's driver */
	enum group_strategy strategy;
	bool detached, noted;		/* noted: it is on the disk */
	char *name, *namespace;
	struct buf bundles;		/* as GROUP_NEW had them */
	uint32_t *follower;		/* nodes that are told of it */
	unsigned nfollower;
	struct gcs_group *next;		/* another one with the same hash of its name */
};

struct gcs_groups {
	struct gfar_core core;
	struct gfar_out out;
	struct idmap ids;		/* id -> struct gcs_group * */
	struct map numbers, names;	/* number, hash of namespace and name -> struct gcs_group * */
	struct map hosts;		/* node -> number of its peer (as pointer): it sent GROUP_HELD */
	struct lease_core words;	/* for its numbers of custom resources alone */
	uint64_t last;
	ev_timer timer, settle;
};

void	gcs_groups_init(struct gcs *g);
void	gcs_groups_start(struct gcs *g);	/* all that was on the disk is loaded */
void	gcs_groups_stop(struct gcs *g);
int	gcs_groups_load(struct gcs *g, struct span val);	/* a row of the disk with a key that begins so: */
#define GCS_GROUP_KEY "group/"
int	gcs_groups_frame(struct gcs_peer *p, const struct frame *f);	/* GROUP_…, and NODE_JOIN, JOB_END, which the core has taken */
void	gcs_groups_load_of(struct gcs_peer *p);		/* its row of loads is another one */
void	gcs_groups_gone(struct gcs_peer *p);		/* its connection is */
void	gcs_groups_down(struct gcs *g, uint32_t node);	/* it is given up, or has left, durably */

/* gcs_groups_rows.c: what is on the disk, and for people */
void	gcs_group_note(struct gcs *g, struct gcs_group *p);
void	gcs_group_unnote(struct gcs *g, struct gcs_group *p);
void	gcs_group_past(struct gcs *g, const struct gcs_group *p, const struct gfar_group *c);	/* it is over, and remembered as such */
struct gcs_group *gcs_group_read(struct gcs *g, struct span val, struct gfar_in *in);	/* in's arrays are the caller's to free; NULL */
void	gcs_groups_list(struct gcs_peer *p, uint64_t req);

/* gcs_groups.c, for that */
struct gcs_group *gcs_group_enter(struct gcs *g, struct gcs_group *p, struct span name, struct span namespace, struct span bundles);

#endif
