/* core_alive.c - whatever a network and pauses do, a node's work has ended before the control store gives it up, and one that can be heard is kept */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/alive.h"
#include "core/control.h"
#include "tap.h"

/*
 * Two nodes and a control store over connections that delay, break and are cut; each of the three is stopped now and then,
 * the store also killed and started again with what it had put on its disk.  Frames are real, and so is the store's core; a
 * step is 10 ms.  A worker publishes at each step at which its node page allows it, whether its daemon runs or not.
 */
enum { STEP = 10000000, STEPS = 3000, WIRE = 4000, NODES = 2, ROWS = 64 };

struct packet {
	uint64_t at;			/* when it is there */
	uint16_t type;
	uint64_t number, limit, node;
};

struct pipe {				/* one direction of a connection: in order */
	uint64_t cut;			/* until then nothing gets through */
	struct packet v[WIRE];
	unsigned first, n;
	uint64_t last;
};

struct sim_node {
	struct alive_node alive;
	uint64_t number, page;		/* page: what workers see */
	uint64_t join_beat, awake;	/* not before: it is stopped */
	uint64_t peer;			/* its connection; 0: none */
	bool joined, over;		/* over: its daemon gave up, a new one begins */
	uint64_t skew;			/* of its clock */
	struct pipe up, down;
	unsigned lives;
};

static struct sim_node node[NODES];
static struct control store;
static struct control_out o;
static struct alive_clock tick;
static struct buf line;
static struct { unsigned char key[40], val[64]; size_t nkey, nval; } disk[ROWS];
static unsigned ndisk;
static uint64_t now, seed, store_awake, store_up, peers, dead_after;
static unsigned early, needless, deaths, fenced, kept;
static uint64_t last_work[4096];	/* by node number: when a worker of it last published */

static unsigned
draw(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static uint64_t
clock_of(const struct sim_node *n)
{
	return now + n->skew;
}

/* --- the network --- */

static void
put(struct pipe *p, const struct packet *k)
{
	uint64_t at = now + draw(20) * UINT64_C(1000000);

	if (draw(100) == 0)
		at += draw(1500) * UINT64_C(1000000);	/* sent again, and again */
	at = at > p->last ? at : p->last;
	p->last = at;
	if (p->n < WIRE) {
		p->v[(p->first + p->n) % WIRE] = *k;
		p->v[(p->first + p->n++) % WIRE].at = at;
	}
}

static struct packet *
get(struct pipe *p)
{
	struct packet *k = &p->v[p->first];

	if (p->n == 0 || k->at > now || p->cut > now)
		return NULL;
	p->first = (p->first + 1) % WIRE;
	p->n--;
	return k;
}

static void
hang_up(struct sim_node *n)
{
	n->peer = 0;
	n->joined = false;
	n->up.n = n->down.n = 0;
	n->up.last = n->down.last = 0;
}

/* --- the store --- */

static void
write_row(const struct control_fx *fx)
{
	unsigned i = 0;

	while (i < ndisk && !(disk[i].nkey == fx->nkey && memcmp(disk[i].key, o.bytes.data + fx->key, fx->nkey) == 0))
		i++;
	if (fx->kind == CONTROL_FX_DEL) {
		if (i < ndisk)
			disk[i] = disk[--ndisk];
		return;
	}
	if (i == ROWS || fx->nkey > sizeof disk->key || fx->nval > sizeof disk->val)
		abort();
	ndisk += i == ndisk;
	memcpy(disk[i].key, o.bytes.data + fx->key, disk[i].nkey = fx->nkey);
	memcpy(disk[i].val, o.bytes.data + fx->val, disk[i].nval = fx->nval);
}

static struct sim_node *
node_at(uint64_t peer)
{
	for (unsigned i = 0; i < NODES; i++)
		if (peer && node[i].peer == peer)
			return &node[i];
	return NULL;
}

static void
given_up(uint32_t number)
{
	deaths++;
	early += last_work[number] >= now;	/* somebody may do it again, while it is still done */
	for (unsigned i = 0; i < NODES; i++)	/* nothing was wrong with it for long */
		needless += node[i].number == number && !node[i].over && node[i].page >= clock_of(&node[i]);
}

static void
carry_out(void)
{
	struct frame f;

	for (size_t i = 0; i < o.n; i++) {
		const struct control_fx *fx = &o.fx[i];
		struct sim_node *n = node_at(fx->peer);
		struct msg_node_joined joined;

		if (fx->kind == CONTROL_FX_PUT || fx->kind == CONTROL_FX_DEL) {
			write_row(fx);
		} else if (fx->kind == CONTROL_FX_DOWN) {
			given_up(fx->node);
			if (n)
				hang_up(n);	/* the FAIL is lost, as it may be */
		} else if (fx->kind == CONTROL_FX_SEND && n && frame_parse(&f, o.bytes.data + fx->val, fx->nval, FRAME_MAX) > 0) {
			if (f.type == MSG_NODE_JOINED_T && msg_get_node_joined(&joined, f.body, f.len) == 0)
				put(&n->down, &(struct packet){ .type = f.type, .node = joined.node, .limit = joined.limit });
			else if (f.type == MSG_FAIL_T)
				put(&n->down, &(struct packet){ .type = f.type });
		}
	}
	o.n = 0;
	o.bytes.len = 0;
}

static int
step_store(struct sim_node *n, int e)
{
	struct frame f;

	if (e < 0 || frame_parse(&f, line.data, line.len, FRAME_MAX) <= 0)
		abort();
	e = control_step(&store, alive_now(&tick, now), n->peer, &f, &o);
	line.len = 0;
	carry_out();
	return e;
}

static void
store_reads(struct sim_node *n)
{
	const struct packet *k;

	while (n->peer && (k = get(&n->up)) != NULL) {
		struct packet p = *k;

		if (p.type == MSG_NODE_JOIN_T) {
			step_store(n, msg_put_node_join(&line, &(struct msg_node_join){ .node = p.node, .beats = 1 }));
		} else {
			int e = step_store(n, msg_put_heartbeat(&line, &(struct msg_heartbeat){ .number = p.number, .limit = p.limit }));

			if (e == 0 && n->peer)
				put(&n->down, &(struct packet){ .type = MSG_HEARTBEAT_T, .number = p.number });
		}
	}
}

static void
start_store(void)
{
	control_release(&store);
	control_init(&store, 1);
	store.limit = dead_after;
	tick = (struct alive_clock){ .gap = dead_after / 6 };
	for (unsigned i = 0; i < ndisk; i++)
		if (control_load(&store, disk[i].key, disk[i].nkey, disk[i].val, disk[i].nval) < 0)
			abort();
	control_tick(&store, alive_now(&tick, now), &o);
	carry_out();
}

static void
store_step(void)
{
	if (store_up == 0 || now < store_awake)
		return;
	for (unsigned i = 0; i < NODES; i++)	/* what came is read before any time is looked at */
		store_reads(&node[i]);
	control_tick(&store, alive_now(&tick, now), &o);
	carry_out();
}

/* --- a node --- */

static void
beat(struct sim_node *n)
{
	uint64_t number = alive_beat(&n->alive, clock_of(n));

	put(&n->up, &(struct packet){ .type = MSG_HEARTBEAT_T, .number = number, .limit = n->alive.limit });
}

static void
connect_again(struct sim_node *n)
{
	uint64_t tried = clock_of(n);

	if (n->up.cut > now || n->down.cut > now || draw(10))
		return;
	if (!store_up) {			/* refused */
		if (n->number)
			alive_nobody(&n->alive, tried);
		return;
	}
	n->peer = ++peers;
	put(&n->up, &(struct packet){ .type = MSG_NODE_JOIN_T, .node = n->number });
	beat(n);
	n->join_beat = n->alive.last;
}

static void
begin_anew(struct sim_node *n)
{
	uint64_t skew = n->skew, up = n->up.cut, down = n->down.cut;

	if (n->peer && store_up)
		control_gone(&store, alive_now(&tick, now), n->peer, &o);
	*n = (struct sim_node){ .skew = skew, .up.cut = up, .down.cut = down, .lives = n->lives + 1 };
	carry_out();
}

static void
node_step(struct sim_node *n)
{
	const struct packet *k;

	if (now < n->awake)
		return;
	if (n->number && clock_of(n) >= alive_until(&n->alive)) {
		fenced++;
		n->over = true;
	}
	while (!n->over && n->peer && (k = get(&n->down)) != NULL) {
		if (k->type == MSG_FAIL_T) {
			n->over = true;
		} else if (k->type == MSG_HEARTBEAT_T) {
			alive_came(&n->alive, k->number);
		} else {
			alive_came(&n->alive, n->join_beat);
			n->number = k->node;
			n->alive.limit = k->limit;
			n->joined = true;
			n->over = clock_of(n) >= alive_until(&n->alive);
		}
	}
	if (n->over) {
		begin_anew(n);
		return;
	}
	if (n->peer && n->joined && clock_of(n) >= alive_next(&n->alive))
		beat(n);
	if (!n->peer)
		connect_again(n);
	n->page = n->number ? alive_until(&n->alive) : 0;
}

static void
worker_step(struct sim_node *n)		/* it runs while its daemon is stopped */
{
	if (n->number && clock_of(n) <= n->page)
		last_work[n->number] = now;
}

/* --- what goes wrong --- */

static void
harm(bool pauses)
{
	struct sim_node *n = &node[draw(NODES)];

	switch (draw(6)) {
	case 0:
		if (draw(3))
			n->up.cut = now + draw(6000) * UINT64_C(1000000);
		if (draw(3))
			n->down.cut = now + draw(6000) * UINT64_C(1000000);
		break;
	case 1:
		if (n->peer && store_up) {		/* reset */
			control_gone(&store, alive_now(&tick, now), n->peer, &o);
			hang_up(n);
			carry_out();
		}
		break;
	case 2: n->awake = pauses ? now + draw(6000) * UINT64_C(1000000) : n->awake; break;
	case 3: store_awake = pauses ? now + draw(8000) * UINT64_C(1000000) : store_awake; break;
	case 4:
		if (store_up) {
			store_up = 0;
			for (unsigned i = 0; i < NODES; i++)
				hang_up(&node[i]);
		}
		break;
	case 5:
		if (!store_up) {
			if (draw(4) == 0)
				dead_after = (UINT64_C(300) + draw(6000)) * 1000000 / 3 * 3;
			store_up = 1;
			start_store();
		}
		break;
	}
}

static void
run(unsigned s, bool harmed)
{
	seed = s;
	now = UINT64_C(1000000000);
	ndisk = 0;
	peers = 0;
	store_awake = 0;
	store_up = 1;
	dead_after = ALIVE_DEAD;
	memset(last_work, 0, sizeof last_work);
	memset(node, 0, sizeof node);
	for (unsigned i = 0; i < NODES; i++)
		node[i].skew = draw(1000) * UINT64_C(1000000000);
	start_store();
	for (unsigned i = 0; i < STEPS; i++, now += STEP) {
		if (harmed && draw(150) == 0)
			harm(s % 3 != 0);
		for (unsigned k = 0; k < NODES; k++) {
			node_step(&node[k]);
			worker_step(&node[k]);
		}
		store_step();
	}
	for (unsigned i = 0; i < NODES; i++)
		kept += node[i].lives == 0 && node[i].joined;
}

static void
simple(void)
{
	struct alive_node a = { 0 };
	struct alive_clock c = { .gap = 500 };

	ok(alive_until(&a) == UINT64_MAX && alive_next(&a) == UINT64_MAX);
	ok(alive_beat(&a, 1000) == 1);
	a.limit = 400;
	ok(alive_until(&a) == 400 && alive_next(&a) == 1100);
	alive_came(&a, 1);
	ok(alive_until(&a) == 1400);
	ok(alive_beat(&a, 1100) == 2 && alive_beat(&a, 1200) == 3 && alive_until(&a) == 1400);
	alive_came(&a, 3);
	alive_came(&a, 2);			/* late: it says nothing new */
	alive_came(&a, 4);			/* never sent */
	alive_came(&a, 0);
	ok(alive_until(&a) == 1600);
	alive_nobody(&a, 1300);
	alive_nobody(&a, 1250);
	ok(alive_until(&a) == 1700);
	for (unsigned i = 0; i < ALIVE_BEATS; i++)
		alive_beat(&a, 2000 + i);
	alive_came(&a, 3);			/* its place is another one's now */
	ok(alive_until(&a) == 1700);
	ok(alive_limit(ALIVE_DEAD) == 2 * ALIVE_DEAD / 3 && alive_dead(alive_limit(ALIVE_DEAD)) == ALIVE_DEAD);
	ok(alive_now(&c, 10000) == 10000 && alive_now(&c, 10500) == 10500 && alive_now(&c, 11001) == 10500 && alive_now(&c, 11002) == 10501);
}

int
main(int argc, char *argv[])
{
	unsigned seeds = getenv("ROTA_LONG") ? 20000 : 1000, from = argc > 1 ? (unsigned)atoi(argv[1]) : 1;

	simple();
	control_init(&store, 1);
	run(1, false);
	ok(kept == NODES && deaths == 0 && fenced == 0 && "nobody is given up for nothing");
	for (unsigned s = from; s < from + seeds && early == 0; s++) {
		run(s, true);
		if (early)
			printf("# seed %u\n", s);
	}
	printf("# %u deaths, %u fences\n", deaths, fenced);
	ok(early == 0 && "no work at or after the moment at which others may do it again");
	ok(needless == 0 && deaths > seeds / 2 && fenced > seeds / 2);
	control_release(&store);
	buf_release(&line);
	buf_release(&o.bytes);
	free(o.fx);
	return tap_done();
}
