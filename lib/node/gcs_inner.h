/* gcs_inner - what the files of the control store's daemon share.  Nobody else includes it. */
#ifndef NODE_GCS_INNER_H
#define NODE_GCS_INNER_H

#include <ev.h>
#include "base/list.h"
#include "base/map.h"
#include "core/alive.h"
#include "core/cluster.h"
#include "core/control.h"
#include "loop/conn.h"
#include "loop/listener.h"
#include "node/gcs.h"
#include "node/gcs_disk.h"
#include "node/gcs_groups.h"
#include "node/gcs_past.h"

struct gcs_peer {
	struct gcs *g;
	uint64_t number;
	struct conn *c;
	double since;
	bool joined;
	struct list link;		/* in g->strangers until it has joined */
	uint32_t node;			/* gcs_nodes.c: its number, once others may know it; 0 */
	bool coming;			/* it joined, which is not durable yet */
	struct buf what;		/* what it is, as it said when it joined */
	struct cluster_seen seen;	/* what it was told of the others */
	struct list follower;		/* in g->nodes.followers */
};

struct gcs_nodes {			/* gcs_nodes.c */
	struct cluster list;
	struct alive_clock clock;	/* the core's */
	struct list followers, graves;
	unsigned nfollowers, ngraves, ncoming;
	bool settled;			/* those of before our start are back, or were given up */
	ev_timer tick, sweep;		/* sweep: runs while there are followers */
	uint64_t ticked;		/* when it was last */
};

struct gcs {
	struct ev_loop *loop;
	struct conn_set conns;
	struct listener listen, door;	/* door: for other machines */
	struct tls_ctx *tls;
	ev_timer limit;			/* runs while somebody is a stranger */
	ev_signal term, intr;
	ev_timer timer;
	ev_async committed;
	ev_prepare turn;
	struct gcs_opts o;
	struct control core;
	struct control_out out;		/* of this turn */
	struct gcs_nodes nodes;
	struct gcs_groups groups;
	struct gcs_past past;
	struct map peers;		/* number -> struct gcs_peer * */
	uint64_t next_peer;
	int dir, state, lock, result;	/* dir: of the socket */
	bool listening, open, paused;
	unsigned nstrangers;
	struct list strangers;		/* oldest first */
	struct gcs_batch *waiting, **waiting_end;	/* frames whose commits are under way, oldest first */
	struct gcs_disk disk;
};

/* gcs_door.c: the listener for other machines and the cluster's key; 0, or an error and why */
int	gcs_door_open(struct gcs *g, void (*on_accept)(struct listener *l, int fd, pid_t pid), char *why, size_t nwhy);

/* gcs_nodes.c: the list of all nodes, which every node follows, and heartbeats */
void	gcs_nodes_init(struct gcs *g);
void	gcs_nodes_start(struct gcs *g);		/* the epoch is known */
uint64_t gcs_now(struct gcs *g);		/* the time for the core */
int	gcs_nodes_join(struct gcs_peer *p, const struct frame *f);	/* NODE_JOIN came: 0, or < 0: it makes no sense */
void	gcs_nodes_coming(struct gcs_peer *p);	/* and the core has taken it */
void	gcs_nodes_beat(struct gcs_peer *p, const struct frame *f);	/* HEARTBEAT, which the core has taken */
int	gcs_nodes_load(struct gcs_peer *p, const struct frame *f);	/* NODE_LOAD */
void	gcs_nodes_up(struct gcs_peer *p, uint32_t node);	/* it joined, durably */
void	gcs_nodes_down(struct gcs *g, uint32_t node, struct span why);	/* it is given up, or (why is empty) has left, durably */
void	gcs_nodes_gone(struct gcs_peer *p);		/* its connection is */
void	gcs_nodes_stop(struct gcs *g);

#endif
