/*
 * set - sets of like actors, decided purely: made, watched, replaced, resized and drained.
 *
 * A set wants max members, ranks 0 and up, each an actor of the same specification; it is alive while at least min of
 * them are up.  A member whose actor is dead for good is made again after a pause, as another actor of that rank.  A
 * member that is to go is first out of what watchers are told, then stopped after the calls already sent, and killed
 * when its time to drain is up.  A gang is placed as one (a placement group), and when one of it dies all end and start
 * again: the next generation.  A member that is up may be checked now and then: one that does not answer in time, or
 * answers that it is ill, is killed with what is known of it, and made again.  A set is renewed member by member: the
 * new one is there before the old one goes, or the other way round.  A set whose specification was never good, no member having come up, is dead with that
 * error.  It ends when it is told to, or with its job, unless it is detached.
 *
 * Sans I/O: inputs and the time come in, effects go out; it calls nobody.
 */
#ifndef CORE_SET_H
#define CORE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/span.h"

#define SET_MAX 4096u			/* members */
#define SET_NOTICE UINT64_C(20000000)	/* ns from telling that a member goes to stopping it */

enum set_state { SET_PENDING = 1, SET_ALIVE, SET_ENDING, SET_DEAD };
enum member_state { MEMBER_AWAY, MEMBER_ASKED, MEMBER_STARTING, MEMBER_UP };	/* AWAY: it pauses; ASKED: it has no number yet */

struct set_member {
	struct set *set;
	uint64_t actor;
	uint32_t rank;
	enum member_state state;
	bool leaving, stopped;
	bool old;			/* the set is renewed: it goes once another of its rank is up */
	bool asked, ill;		/* how it is: the answer is due at timer; it did not come, and its worker is killed */
	uint64_t round;			/* of the last check */
	unsigned fails;			/* in a row */
	uint64_t up;			/* since when */
	struct heap_node timer;		/* AWAY: when it is made again; UP: its next check; leaving: when it is stopped, then killed */
};

struct set_seat {			/* of a rank, who stays there: now, and while it is renewed the one before */
	struct set_member *now, *old;
};

struct set_renewal {			/* who asked for one, with which request: it may come again, and is done once */
	uint32_t proc;
	uint64_t req;
};

struct set_health {			/* how members that are up are checked */
	uint64_t period, patience;	/* ns from one check to the next, 0: never; until the answer must be there */
	struct buf method;		/* that is called; empty: the worker is to take a message */
};

struct set {				/* ro for all but set.c */
	uint64_t number;
	struct buf name, namespace, spec;	/* spec: of each member, the caller's */
	struct buf error;		/* encoded error of a constructor */
	uint32_t job, maker;		/* maker, req: who asked for it, with which request */
	uint64_t req;
	unsigned min, max;
	unsigned strategy;		/* of a gang, the caller's */
	bool gang, detached;
	uint64_t drain, since, revision;
	struct set_health health;
	unsigned kept_up;		/* while it is renewed: as many as were up when that began */
	unsigned surge;			/* members more than max while it is renewed; 0: the old one goes first */
	enum set_state state;
	bool ever;			/* it was alive once */
	bool grouping, placed;		/* gang: asked for a placement group, has it */
	bool resetting;			/* gang: all of a generation are to end */
	unsigned generation, fails;
	bool changed;			/* watchers are to be told */
	char text[240];			/* why it is dead, or what its members lack */
	struct set_member **member;
	unsigned n;
	struct set_seat *seat;		/* by rank */
	unsigned nseat;
	struct set_renewal *renewal;	/* the last one of each process that is left */
	unsigned nrenewal;
	uint32_t *watcher;
	unsigned nwatcher;
	struct heap_node timer;		/* gang: the next generation */
};

struct set_core {
	struct map sets;		/* number -> struct set * */
	struct heap timers, gangs;	/* of members, of sets */
	uint64_t last;
};

enum set_in_kind {
	SET_IN_NEW,		/* proc, req, job, min, max, gang, strategy, detached, drain, name, namespace, spec, period, patience,
				   method, surge; set_step gives the number */
	SET_IN_HEIR,		/* as NEW, and set, generation, up (it was alive once), renewals: its members died with the daemon before */
	SET_IN_HELD,		/* set, rank, actor, leaving: but this one is made again; -ESRCH: it is no member any more.  Of two of
				   one rank, which was renewed, the newer one stays */
	SET_IN_RESUME,		/* job, until: what lacks in its sets is made; who was leaving is stopped then */
	SET_IN_MADE,		/* set, rank, actor: registered; 0: it could not be */
	SET_IN_ACTOR,		/* set, actor, up, dead, bad, text, error: its state; bad: not what it is, but its specification */
	SET_IN_GROUP,		/* set, up: the gang's group is placed; else text: it never will be, or was removed */
	SET_IN_RESIZE,		/* set, min, max */
	SET_IN_HEALTH,		/* set, actor, round, up: the answer to CHECK; else text: what ails it */
	SET_IN_NOTE,		/* set, text: what ailed a member that is killed for it */
	SET_IN_RENEW,		/* set, proc, req: all members one after the other; a gang at once.  The same again is no other renewal */
	SET_IN_END,		/* set, kill: members at once, or after the calls already sent */
	SET_IN_WATCH,		/* set, proc: STATE now and at each change */
	SET_IN_UNWATCH,		/* set, proc */
	SET_IN_GONE,		/* proc died */
	SET_IN_JOB_END,		/* job */
	SET_IN_TICK,
};

struct set_in {
	enum set_in_kind kind;
	uint64_t set, actor, drain, period, patience, round, req, until;
	uint32_t proc, job, rank;
	unsigned min, max, strategy, surge, generation;
	bool gang, detached, up, dead, bad, kill, leaving;
	const char *text;
	struct span name, namespace, spec, error, method;
	const struct set_renewal *renewal;
	unsigned nrenewal;
};

enum set_fx_kind {
	SET_FX_MAKE,		/* set, rank: an actor, MADE once it has a number */
	SET_FX_LEAVE,		/* actor: STOP or KILL will follow; the next daemon should know */
	SET_FX_STOP,		/* actor: after the calls already sent */
	SET_FX_KILL,		/* actor */
	SET_FX_CHECK,		/* set, actor, round: ask it how it is */
	SET_FX_ILL,		/* set, actor: no answer; with what is known of it NOTE, and kill its worker */
	SET_FX_GROUP,		/* set: a placement group of max bundles */
	SET_FX_UNGROUP,		/* set */
	SET_FX_STATE,		/* set, proc: tell it */
	SET_FX_FORGET,		/* set: set_forget it once the other effects are done */
};

struct set_fx {
	enum set_fx_kind kind;
	uint64_t set, actor, round;
	uint32_t proc, rank;
};

struct set_out {
	struct set_fx *fx;	/* the caller frees it, or uses it again with n = 0 */
	size_t n, cap;
	uint64_t at;		/* when to come with SET_IN_TICK; 0: no need */
	uint64_t number;	/* of NEW */
};

/* 0; -ENOMEM: not taken; -EEXIST for a name that is taken, -EINVAL for sizes that are none: text says what */
int	set_step(struct set_core *c, uint64_t now, const struct set_in *in, struct set_out *o, char text[200]);
void	set_forget(struct set_core *c, uint64_t number);
void	set_release(struct set_core *c);		/* a zeroed set_core is ready for use */
struct set *set_named(const struct set_core *c, struct span namespace, struct span name);
unsigned set_up(const struct set *s);		/* how many of its members are up and stay */
const char *set_state_word(enum set_state s);
int	set_check(const struct set_core *c);	/* tests: 0, or the line that found the fault */

static inline struct set *
set_get(const struct set_core *c, uint64_t number)	/* NULL: unknown, or gone */
{
	return map_get(&c->sets, number);
}

#endif
