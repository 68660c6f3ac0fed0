/*
 * sim - many machines in one process: the decisions of lib/core over a clock, a network and disks that are only
 * thought of.  One seed gives one history: what runs, what is sent, what breaks and when.
 *
 * Machine 0 has the control store, the others are nodes.  Each has a clock of its own, which starts anywhere and runs a
 * little fast or slow; it is all that the machine's part of the code ever sees.  A connection carries whole frames in order, late,
 * and may break at any time: what is under way is lost then, and each side learns of it when it does.  A machine that
 * crashes forgets all but what its disk has committed, and starts again as another life of it.
 *
 * For a while anything may fail (SIM_CHAOS), then nothing more does (SIM_CALM), and after a bounded time all that was
 * asked for must be done.  A part (part_*.c) brings one or more cores, those who use them, and the invariants, which it
 * checks whenever something happened: what does not hold ends the run with sim_fail.
 *
 * Deterministic: events in the order of their time, then of their making; no address, no hash of one, no real clock.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/span.h"

#define SIM_MACHINES 24u
#define SIM_LINES 48u			/* of the trace, shown with a failure */
#define SIM_US UINT64_C(1000)		/* in ns, as all times */
#define SIM_MS UINT64_C(1000000)
#define SIM_SEC UINT64_C(1000000000)

struct sim;

enum sim_phase { SIM_CHAOS, SIM_CALM };

struct sim_machine {			/* ro for parts */
	unsigned i;
	bool up;
	uint64_t life;			/* number of its present life, in order of all machines' */
	uint64_t paused;		/* nothing happens on it before this time */
	uint64_t base;			/* its clock at time 0 */
	int64_t ppm;			/* how much faster its clock runs */
};

typedef void sim_fn(struct sim *s, void *arg, uint64_t n);

struct sim_conn;
struct sim_ends {			/* how a side takes what comes; side 0 connected, side 1 was connected to */
	void (*opened)(struct sim *s, struct sim_conn *c);	/* at side 1: it sets its arg */
	void (*frames)(struct sim *s, struct sim_conn *c, int side, struct span b);	/* what one sim_send gave */
	void (*closed)(struct sim *s, struct sim_conn *c, int side);		/* not after its own sim_close */
};

struct sim_packet {
	struct list link;
	uint64_t at;
	struct buf b;
	bool fin;
};

struct sim_conn {
	struct list link;
	unsigned number;
	const struct sim_ends *ends;
	struct sim_side {
		struct sim_machine *m;		/* ro */
		uint64_t life;
		void *arg;			/* the part's */
		bool open;			/* ro: this side does not know of an end */
		struct list in;			/* private from here: packets under way to this side */
		uint64_t last, cut;		/* when the last of them comes; what comes after cut is lost */
	} side[2];
	bool broken, accepted;
};

struct sim_part {
	const char *name;
	void (*init)(struct sim *s);			/* once, before any machine is up */
	void (*up)(struct sim *s, struct sim_machine *m);
	void (*down)(struct sim *s, struct sim_machine *m);	/* all that it had in memory is gone */
	void (*fault)(struct sim *s);			/* one of its own: a process dies */
	void (*step)(struct sim *s);			/* after each event: what must always hold */
	void (*calm)(struct sim *s);			/* nothing fails any more, all machines are up */
	bool (*done)(struct sim *s);			/* is nothing more to be expected?  Asked now and then while calm */
	void (*end)(struct sim *s);			/* what must hold in the end */
	void (*release)(struct sim *s);
};

#define SIM_PARTS 8u
extern const struct sim_part *const sim_parts[];	/* NULL ends; part i has its state at s->of[i] */

struct sim {
	uint64_t seed, now;		/* ro */
	enum sim_phase phase;
	unsigned nmachine;
	struct sim_machine machine[SIM_MACHINES];
	bool cut[SIM_MACHINES][SIM_MACHINES];	/* nothing comes from i to j */
	void *of[SIM_PARTS];
	unsigned only;			/* of parts, bits; the others are left out */
	uint64_t chaos, limit;		/* how long; until when all must be done */
	uint64_t every;			/* mean time between two faults */
	unsigned weight[8];		/* of kinds of faults */
	uint64_t delay, jitter;		/* of a packet */
	unsigned loss;			/* of a thousand, which come 200 ms late */
	uint64_t steps, hash;		/* ro: how many events, and of all lines of the trace */
	bool trace;
	char line[SIM_LINES][200];	/* the last ones */
	uint64_t nline;
	jmp_buf failed;			/* private from here */
	char invariant[48], why[400];
	uint64_t rng[2], seq, lives;
	struct heap events;
	struct list conns;
	unsigned nconn;
};

/* --- chance: world.c --- */
uint64_t sim_draw(struct sim *s);			/* 64 bits */
uint64_t sim_below(struct sim *s, uint64_t n);		/* 0 to n - 1 */
bool	sim_chance(struct sim *s, unsigned permille);
uint64_t sim_about(struct sim *s, uint64_t mean);	/* 0 to 4 times mean, mostly less */

/* --- what happens --- */
void	sim_log(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void sim_fail(struct sim *s, const char *invariant, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define sim_check(s, invariant, x) do { if (!(x)) sim_fail((s), (invariant), "%s:%d: %s", __FILE__, __LINE__, #x); } while (0)

/* --- time --- */
uint64_t sim_clock(const struct sim *s, const struct sim_machine *m);	/* what its clock shows */
/* fn(arg, n) on m after ns of its clock, unless its life is over by then; later while it is paused.  m NULL: of the world */
void	sim_after(struct sim *s, struct sim_machine *m, uint64_t ns, sim_fn *fn, void *arg, uint64_t n);
void	sim_true(struct sim *s, struct sim_machine *m, uint64_t ns, sim_fn *fn, void *arg, uint64_t n);	/* ns of the world's time */
/* the same when its clock shows at; n is then a number that tells old timers from the one that is wanted */
void	sim_at(struct sim *s, struct sim_machine *m, uint64_t at, sim_fn *fn, void *arg, uint64_t n);

/* --- network: net.c --- */
struct sim_conn *sim_connect(struct sim *s, struct sim_machine *from, struct sim_machine *to, const struct sim_ends *ends, void *arg);
void	sim_send(struct sim *s, struct sim_conn *c, int side, const void *p, size_t n);	/* copied; lost if it is over */
void	sim_close(struct sim *s, struct sim_conn *c, int side);
void	sim_break(struct sim *s, struct sim_conn *c);
void	sim_cut(struct sim *s, unsigned from, unsigned to, bool cut);
void	net_down(struct sim *s, struct sim_machine *m);		/* for world.c */
void	net_release(struct sim *s);

/* --- a run --- */
void	sim_init(struct sim *s, uint64_t seed);
bool	sim_run(struct sim *s);			/* true: all held; else invariant, why and line tell */
void	sim_release(struct sim *s);
void	sim_crash(struct sim *s, struct sim_machine *m, uint64_t ns);	/* it is up again after ns, or at once when calm begins */

#endif
