/*
 * store - the control store's machine (store.c) and what the nodes ask of it (part_store.c).
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "core/alive.h"
#include "disk.h"
#include "parts.h"

enum { STORE_KEYS = 3, STORE_NAMES = 4, STORE_OWN = 6, STORE_OLD = 12 };

struct store_peer {
	struct list link;
	struct sim_conn *c;
	uint64_t number;
	uint32_t node;
};

struct store_send {			/* a frame that waits for its commit, or the word that a node is down */
	struct list link;
	uint32_t down;
	uint64_t peer, commit;
	struct buf b;
};

struct store_key {			/* what its only writer knows of it */
	uint64_t rev, val;		/* the last that it was told is done; 0 none */
	uint64_t asked;			/* a value that it asked for and does not know of */
	uint64_t reading;		/* request that asks for it, or 0 */
};

struct store_old {			/* of an earlier life */
	char name[32];
	struct store_key key;
};

struct store_actor {			/* registered, and its node knows */
	uint64_t number;
	char name[8];
};

struct store_node {
	struct sim_machine *m;
	struct sim_conn *c;
	uint32_t number;		/* 0: never joined in this life */
	bool joined;
	struct alive_node alive;
	uint64_t join_beat, ticks, tries;	/* of timers, the one that counts */
	uint64_t life, epoch, req, val;
	struct map asks;		/* request -> struct ask * */
	struct store_key key[STORE_KEYS];
	struct store_old old[STORE_OLD];
	unsigned nold;
	struct store_actor own[STORE_OWN];
	unsigned nown;
	uint64_t jobs;			/* answered */
	bool session;			/* its session key was asked for */
};

struct store {
	struct control core;
	struct control_out out;
	struct disk disk;
	uint64_t epoch, next_peer, tick;
	struct list peers, sends;
	struct alive_clock clock;
	uint64_t last_job, last_actor, last_node, last_rev;	/* of those that left in an answer */
	bool up;
	struct store_node *node;
};

static inline struct store *
store_of(const struct sim *s)
{
	return s->of[STORE_PART];
}

extern const struct sim_ends store_ends;
void	store_up(struct sim *s);
void	store_down(struct sim *s);
void	store_release(struct sim *s);
bool	store_holds(const struct store *st, uint64_t actor);	/* is its record on the disk? */
/* part_store.c */
void	node_frames(struct sim *s, struct store_node *n, struct span b);
void	node_closed(struct sim *s, struct store_node *n, struct sim_conn *c);
bool	node_works(const struct sim *s, const struct store_node *n);
void	node_kept(struct sim *s);	/* what nodes were told is done is on the disk */

#endif
