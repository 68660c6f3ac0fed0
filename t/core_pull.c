/* core_pull.c - objects pulled between nodes in virtual time: a broadcast's bytes, deaths at any time, memory that is short */
#include "netsim.h"
#include "tap.h"

#define MIB (UINT64_C(1) << 20)
#define SECONDS (1000 * MS)

static void
never(unsigned owner, unsigned o)
{
	(void)owner;
	wrong("object %u is lost", o);
}

static bool
all_have(unsigned o)
{
	for (unsigned i = 0; i < net.n; i++)
		if (net.node[i].alive && net.node[i].wants[o] && net.node[i].copy[o].state != COPY_WHOLE)
			return false;
	return true;
}

static bool
idle(void)			/* nothing is reserved, asked for or under way anywhere */
{
	for (unsigned i = 0; i < net.n; i++) {
		struct node *n = &net.node[i];
		struct map_iter it = MAP_ITER;

		if (!n->alive)
			continue;
		if (n->t.pull.pulls.n || n->t.pull.active || n->t.pull.peers.n || n->t.pull.bytes)
			wrong("node %u still pulls %zu objects", i, n->t.pull.pulls.n);
		for (unsigned o = 0; o < OBJECTS; o++)
			if (n->copy[o].state == COPY_ROOM)
				wrong("node %u still has room for object %u", i, o);
		while (map_next(&n->t.feed.peers, &it))
			if (((struct feed_peer *)it.val)->nasks)
				wrong("node %u is still to send to %u", i, ((struct feed_peer *)it.val)->node);
		if (n->t.feed.objects.n)
			wrong("node %u still has %zu objects open", i, n->t.feed.objects.n);
	}
	return net.fine;
}

/* how long one transfer takes, relative to what the link alone would take */
static double
one(uint64_t bytes, uint64_t rate, uint64_t delay)
{
	double t;

	begin(1, 2, rate, delay, 1024 * MIB, 512 * MIB);
	net.lost = never;
	made(0, 0, 0, bytes);
	want(1, 0, PULL_GET, bytes);
	run(1000 * SECONDS);
	t = (double)net.node[1].done[0] / 1e9;
	ok(net.fine && all_have(0) && idle() && (rate < 100000 || (net.node[0].sent == bytes && net.node[1].wasted == 0)));
	end();
	return t;
}

static void
single(void)
{
	static const struct { uint64_t rate, delay; } links[] = {
		{ 125000000, 100000 }, { 1250000000, 20000 }, { 1250000000, 1 * MS }, { 125000000, 20 * MS }, { 1000000, 50 * MS },
		{ 40000, 50 * MS },		/* so slow that it seems dead at first */
		{ 10000000000, 10000 },
	};

	for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
		uint64_t bytes = links[i].rate < 10000000 ? 16 * MIB : 256 * MIB;
		double bare = (double)bytes / (double)links[i].rate, t = one(bytes, links[i].rate, links[i].delay);

		printf("# %3u MiB at %8.2f MB/s, %5.2f ms apart: %7.3f s, the link alone %7.3f s\n", (unsigned)(bytes / MIB),
		    (double)links[i].rate / 1e6, (double)links[i].delay / 1e6, t, bare);
		ok(t < 1.15 * bare + 24 * (double)links[i].delay / 1e9);
	}
}

static void
broadcast(unsigned hosts)
{
	double t1 = one(256 * MIB, 1250000000, 100000), t = 0;
	uint64_t twice = 0;

	begin(1, hosts + 1, 1250000000, 100000, 1024 * MIB, 512 * MIB);
	net.lost = never;
	made(0, 0, 0, 256 * MIB);
	for (unsigned i = 1; i <= hosts; i++)
		want(i, 0, PULL_GET, 256 * MIB);
	run(100 * SECONDS);
	for (unsigned i = 1; i <= hosts; i++) {
		double d = (double)net.node[i].done[0] / 1e9;

		t = d > t ? d : t;
		twice += net.node[i].taken[0] - 256 * MIB + net.node[i].wasted;
	}
	printf("# 256 MiB to %u hosts: %.2f x its bytes leave the source, in %.2f x the time of one transfer\n", hosts,
	    (double)net.node[0].sent / (256.0 * MIB), t / t1);
	ok(net.fine && all_have(0) && net.node[0].sent <= 3 * 256 * MIB && twice == 0);
	ok(t < 4 * t1 && idle());
	end();
}

static void
two_sources(void)
{
	begin(1, 3, 125000000, 100000, 1024 * MIB, 512 * MIB);
	net.lost = never;
	made(0, 0, 0, 64 * MIB);
	want(1, 0, PULL_GET, 0);
	run(20 * SECONDS);
	want(2, 0, PULL_GET, 0);
	run(40 * SECONDS);
	ok(all_have(0) && idle() && net.node[0].sent > 70 * MIB && net.node[1].sent > 20 * MIB);	/* both gave some of it */
	end();
}

static void
by_priority(void)
{
	begin(1, 2, 125000000, 100000, 1024 * MIB, 32 * MIB);
	net.lost = never;
	for (unsigned o = 0; o < 6; o++)
		made(0, 0, o, (o == 2 ? 48 : 16) * MIB);
	run(1 * SECONDS);
	for (unsigned o = 0; o < 6; o++)		/* 0 and 1 fit, 2 never does beside another one */
		want(1, o, o == 5 ? PULL_ARGUMENT : o == 4 ? PULL_GET : PULL_AHEAD_OF_USE, 16 * MIB);
	want(1, 3, PULL_GET, 16 * MIB);			/* somebody waits for it now */
	run(100 * SECONDS);
	ok(net.fine && idle());
	for (unsigned o = 0; o < 6; o++)
		ok(net.node[1].copy[o].state == COPY_WHOLE);
	ok(net.node[1].done[5] < net.node[1].done[4] && net.node[1].done[4] < net.node[1].done[3] && net.node[1].done[3] < net.node[1].done[2]);
	end();
}

static void
resumed(void)			/* the connection breaks for a moment, twice: nothing is received again but what was under way */
{
	begin(1, 2, 125000000, 100000, 1024 * MIB, 512 * MIB);
	net.lost = never;
	made(0, 0, 0, 64 * MIB);
	want(1, 0, PULL_GET, 64 * MIB);
	run(100 * MS);
	broken(1, 0, 150 * MS);
	run(300 * MS);
	broken(0, 1, 400 * MS);
	run(20 * SECONDS);
	ok(all_have(0) && idle() && net.node[1].done[0] < 800 * MS && net.node[1].taken[0] == 64 * MIB && net.node[0].sent < 70 * MIB);
	end();
}

static void
taken_over(void)		/* a source dies and nobody is told: the other one goes on from there */
{
	begin(1, 3, 125000000, 100000, 1024 * MIB, 512 * MIB);
	net.lost = never;
	made(0, 2, 0, 64 * MIB);
	run(1 * MS);
	want(2, 0, PULL_GET, 64 * MIB);
	run(2 * SECONDS);
	want(1, 0, PULL_GET, 64 * MIB);
	run(2150 * MS);
	net.node[0].alive = false;
	node_end(&net.node[0]);
	run(20 * SECONDS);
	ok(all_have(0) && idle() && net.node[1].taken[0] == 64 * MIB);
	end();
}

static void
hopeless(unsigned owner, unsigned o)
{
	(void)owner, (void)o;
}

static void
parked(void)			/* what is lost gives its room to what it may need to be made again */
{
	begin(1, 3, 125000000, 100000, 1024 * MIB, 16 * MIB);
	net.lost = hopeless;
	made(2, 1, 0, 16 * MIB);
	made(0, 1, 1, 12 * MIB);
	run(1 * MS);
	want(1, 0, PULL_ARGUMENT, 16 * MIB);
	run(20 * MS);
	want(1, 1, PULL_GET, 12 * MIB);
	die(2);
	run(10 * SECONDS);
	ok(net.fine && net.node[1].copy[1].state == COPY_WHOLE && net.node[1].copy[0].state == COPY_NONE && net.node[1].t.pull.active == 0);
	made(0, 1, 0, 16 * MIB);
	run(20 * SECONDS);
	ok(net.fine && net.node[1].copy[0].state == COPY_WHOLE && idle());
	end();
}

/* --- the receiving half alone --- */

static struct pull_core core;
static struct pull_out pout;
static const struct id one_id = { 9, 1, 1 << 24 };

static int
pull_in(enum pull_in_kind kind, uint32_t node, bool extra)
{
	static const struct form f = { .bytes = 2 * PULL_CHUNK_MIN + 10, .stamp = 7, .size = 1000 };

	pout.n = 0;
	return pull_step(&core, 1, &(struct pull_in){ .kind = kind, .id = one_id, .owner = 9, .node = node, .extra = extra, .stamp = 7,
	    .ticket = 1, .form = f }, &pout);
}

static bool
effect(size_t i, enum pull_fx_kind kind, uint32_t node)
{
	return i < pout.n && pout.fx[i].kind == kind && pout.fx[i].node == node;
}

static bool
comes(uint32_t node, uint64_t chunk)
{
	uint64_t ticket = 0;

	return pull_begin(&core, node, one_id, 7, chunk * PULL_CHUNK_MIN, chunk < 2 ? PULL_CHUNK_MIN : 10, &ticket) && ticket == 1;
}

static void
receive(void)			/* three chunks are asked for: 0 and 2 of node 2, 1 of node 3 */
{
	pull_init(&core, 1, MIB);
	ok(pull_in(PULL_IN_WANT, 0, false) == 0 && pout.n == 1 && effect(0, PULL_FX_WANT, 9));
	ok(pull_in(PULL_IN_SOURCE, 2, false) == 0 && pout.n == 1 && effect(0, PULL_FX_RESERVE, 0) && pull_in(PULL_IN_SOURCE, 3, true) == 0);
	ok(pull_in(PULL_IN_RESERVED, 0, false) == 0 && pout.n == 3 && effect(0, PULL_FX_ASK, 2) && effect(1, PULL_FX_ASK, 3));
	ok(pout.fx[2].off == 2 * PULL_CHUNK_MIN && pout.fx[2].n == 10);
}

static void
strangers(void)
{
	uint64_t t, n = PULL_CHUNK_MIN;

	receive();
	ok(!pull_begin(&core, 2, one_id, 8, 0, n, &t) && !pull_begin(&core, 2, one_id, 7, 0, n - 1, &t));
	ok(!pull_begin(&core, 2, one_id, 7, 1, n, &t) && !pull_begin(&core, 2, one_id, 7, 3 * n, n, &t));
	ok(!pull_begin(&core, 2, one_id, 7, UINT64_MAX / n * n, n, &t) && !pull_begin(&core, 4, one_id, 7, 0, n, &t));
	ok(!comes(3, 0) && !comes(2, 1));			/* asked of the other one */
	ok(pull_in(PULL_IN_CHUNK, 2, false) == ERR_PROTO);	/* what did not begin does not end */
	ok(comes(2, 0) && !comes(2, 2) && pull_in(PULL_IN_CHUNK, 2, false) == 0 && effect(0, PULL_FX_HAVE, 0));
	ok(!comes(2, 0) && comes(3, 1) && pull_in(PULL_IN_CHUNK, 3, false) == 0 && !comes(3, 1));
	ok(pull_in(PULL_IN_SOURCE, 1, false) == ERR_PROTO && pull_check(&core) == 0);		/* from ourselves */
	ok(comes(2, 2) && pull_in(PULL_IN_CHUNK, 2, false) == 0 && effect(1, PULL_FX_DONE, 9) && core.pulls.n == 0 && core.bytes == 0);
	pull_release(&core);
}

static void
writers(void)			/* room is never given back, or used, while somebody writes there */
{
	receive();
	ok(comes(2, 0) && comes(3, 1) && pull_in(PULL_IN_CANCEL, 0, false) == 0 && effect(0, PULL_FX_QUIT, 9) && core.pulls.n == 0);
	for (size_t i = 0; i < pout.n; i++)
		ok(pout.fx[i].kind != PULL_FX_UNRESERVE);
	ok(pull_in(PULL_IN_CHUNK, 2, false) == 0 && pout.n == 0);
	ok(pull_in(PULL_IN_BROKEN, 3, false) == 0 && pout.n == 1 && effect(0, PULL_FX_UNRESERVE, 0) && pout.fx[0].ticket == 1);
	ok(core.bytes == 0);
	pull_release(&core);
	receive();
	ok(comes(2, 0) && pull_in(PULL_IN_REFUSED, 2, false) == 0 && effect(0, PULL_FX_WANT, 9) && pout.fx[0].not == 2);
	ok(effect(1, PULL_FX_ASK, 3) && effect(2, PULL_FX_ASK, 3));
	for (uint64_t k = 0; k < 3; k++)
		ok(comes(3, k) && pull_in(PULL_IN_CHUNK, 3, false) == 0 && pull_find(&core, one_id));
	ok(pull_in(PULL_IN_CHUNK, 2, false) == 0 && effect(0, PULL_FX_DONE, 9) && core.bytes == 0);
	pull_release(&core);
	free(pout.fx);
	pout = (struct pull_out){ 0 };
}

static void
refused_again(void)		/* sources that refuse, one after the other: it is not asked again at once for ever */
{
	pull_init(&core, 1, MIB);
	ok(pull_in(PULL_IN_WANT, 0, false) == 0 && pull_in(PULL_IN_SOURCE, 2, false) == 0 && pull_in(PULL_IN_RESERVED, 0, false) == 0);
	for (int i = 0; i < 3; i++)
		ok(pull_in(PULL_IN_REFUSED, 2, false) == 0 && effect(0, PULL_FX_WANT, 9) && pull_in(PULL_IN_SOURCE, 2, false) == 0);
	ok(pull_in(PULL_IN_REFUSED, 2, false) == 0 && pout.n == 0 && pout.at == 1 + PULL_AGAIN);
	ok(pull_step(&core, pout.at, &(struct pull_in){ .kind = PULL_IN_TICK }, &pout) == 0 && effect(0, PULL_FX_WANT, 9) && pout.fx[0].not == 2);
	pull_release(&core);
	free(pout.fx);
	pout = (struct pull_out){ 0 };
}

/* --- messages --- */

static struct transfer one_node;
static struct transfer_out tout;

static int
hears(uint32_t node, struct buf *b)
{
	struct frame f;
	int e = ERR_PARTIAL;

	tout.n = tout.bytes.len = 0;
	if (frame_parse(&f, b->data, b->len, FRAME_MAX) == (ssize_t)b->len)
		e = transfer_step(&one_node, 1, &(struct transfer_in){ .kind = TRANSFER_FRAME, .node = node, .type = f.type,
		    .body = span_of(f.body, f.len) }, &tout);
	buf_release(b);
	return e;
}

#define HEARS(node_, name, ...) (msg_put_##name(&b, &(struct msg_##name){ __VA_ARGS__ }) == 0 ? hears(node_, &b) : 1)

static void
rights(void)			/* of an object its owner's node alone may say where it is, and only that node is told */
{
	const struct id far = { 9, 1, 1 << 24 }, here = { 1, 1, 1 << 24 };
	const struct form f = { .bytes = 1000, .stamp = 7, .size = 900 };
	struct buf b = BUF_INIT;

	transfer_init(&one_node, 1, MIB);
	ok(transfer_step(&one_node, 1, &(struct transfer_in){ .kind = TRANSFER_WANT, .id = far, .form = f }, &tout) == 0 && tout.n == 1);
	ok(HEARS(8, pull_source, .id = far, .node = 3, .bytes = 1000, .stamp = 7) == ERR_PROTO);
	ok(HEARS(8, place_drop, .id = far) == ERR_PROTO && HEARS(8, place_primary, .id = far) == ERR_PROTO && pull_find(&one_node.pull, far));
	ok(HEARS(9, pull_source, .id = far, .node = 1, .bytes = 1000, .stamp = 7) == ERR_PROTO);		/* from ourselves */
	ok(HEARS(9, pull_source, .id = far, .node = 3, .bytes = 1000, .stamp = 7, .nbuf = 65536) == ERR_PROTO);
	ok(HEARS(9, pull_source, .id = far, .node = 3, .bytes = 1000, .stamp = 7) == 0 && tout.fx[0].kind == TRANSFER_RESERVE);
	ok(HEARS(8, pull_want, .id = far) == ERR_PROTO && HEARS(8, place_has, .id = far, .bytes = 10, .stamp = 7) == ERR_PROTO);
	ok(HEARS(9, chunk, .id = far) == ERR_PROTO && HEARS(9, hello, .proto_min = 1) == ERR_PROTO);
	ok(HEARS(9, place_drop, .id = far, .code = ERR_LOST, .text = span_text("why")) == 0 && one_node.pull.pulls.n == 0);
	tout.n = 0;			/* one of ours that is wanted here, and made here meanwhile */
	ok(transfer_step(&one_node, 1, &(struct transfer_in){ .kind = TRANSFER_WANT, .id = here, .form = f }, &tout) == 0);
	ok(tout.n == 1 && tout.fx[0].kind == TRANSFER_LOST);
	ok(transfer_step(&one_node, 1, &(struct transfer_in){ .kind = TRANSFER_HAVE, .id = here, .form = f }, &tout) == 0);
	ok(one_node.pull.pulls.n == 0 && places_find(&one_node.places, here, 1) && places_find(&one_node.places, here, 1)->state == PLACE_WHOLE);
	transfer_release(&one_node);
	free(tout.fx);
	buf_release(&tout.bytes);
}

/* --- the sending half alone --- */

static struct feed_out fout;

static int
feed_in(struct feed *f, enum feed_in_kind kind, uint32_t node, uint64_t seq, uint64_t stamp, uint64_t off, uint64_t n, unsigned priority)
{
	fout.n = 0;
	return feed_step(f, 1, &(struct feed_in){ .kind = kind, .node = node, .id = { 1, 1, seq }, .stamp = stamp, .off = off, .n = n,
	    .priority = priority, .bytes = 1000, .have = off }, &fout);
}

static bool
next(struct feed *f, uint32_t node, uint64_t seq, uint64_t off)
{
	struct feed_chunk c;

	return feed_next(f, &c) && c.node == node && c.id.seq == seq && c.off == off;
}

static bool
refused(uint32_t node, int code)
{
	return fout.n == 1 && fout.fx[0].kind == FEED_FX_REFUSE && fout.fx[0].node == node && fout.fx[0].code == code;
}

static void
turns(void)
{
	struct feed f;
	struct feed_chunk c;
	unsigned n = 0;

	feed_init(&f);
	ok(feed_in(&f, FEED_IN_ASK, 1, 5, 7, 0, 100, 1) == 0 && fout.n == 1 && fout.fx[0].kind == FEED_FX_OPEN);
	ok(feed_in(&f, FEED_IN_ASK, 2, 5, 8, 0, 100, 1) == 0 && fout.n == 0);
	ok(feed_in(&f, FEED_IN_OPENED, 0, 5, 7, 500, 0, 0) == 0 && refused(2, ERR_NOTFOUND));	/* of another making */
	ok(feed_in(&f, FEED_IN_ASK, 2, 5, 8, 0, 100, 1) == 0 && refused(2, ERR_NOTFOUND));
	ok(feed_in(&f, FEED_IN_ASK, 2, 5, 7, 950, 100, 1) == 0 && refused(2, ERR_PROTO));
	ok(feed_in(&f, FEED_IN_ASK, 2, 5, 7, UINT64_MAX, 100, 1) == 0 && refused(2, ERR_PROTO));
	ok(feed_in(&f, FEED_IN_ASK, 2, 5, 7, 0, PULL_CHUNK_MAX + 1, 1) == 0 && refused(2, ERR_PROTO));
	ok(!feed_next(&f, &c));						/* no connection has room */
	feed_in(&f, FEED_IN_ASK, 1, 5, 7, 100, 100, 1);
	feed_in(&f, FEED_IN_ASK, 1, 5, 7, 450, 100, 1);
	feed_in(&f, FEED_IN_ASK, 2, 5, 7, 300, 100, 1);
	feed_in(&f, FEED_IN_ASK, 1, 6, 9, 0, 100, 0);
	feed_in(&f, FEED_IN_OPENED, 0, 6, 9, 1000, 0, 0);
	feed_in(&f, FEED_IN_ROOM, 1, 0, 0, 0, 1000, 0);
	feed_in(&f, FEED_IN_ROOM, 2, 0, 0, 0, 1000, 0);
	ok(next(&f, 1, 6, 0) && next(&f, 2, 5, 300) && next(&f, 1, 5, 0) && next(&f, 1, 5, 100));	/* an argument first, nodes in turn */
	ok(!feed_next(&f, &c));						/* 450 to 550 has not come yet */
	ok(feed_in(&f, FEED_IN_OPENED, 0, 5, 7, 550, 0, 0) == 0 && next(&f, 1, 5, 450) && !feed_next(&f, &c));
	feed_in(&f, FEED_IN_ASK, 1, 5, 7, 0, 100, 1);
	ok(feed_in(&f, FEED_IN_STOP, 1, 5, 0, 0, 0, 0) == 0 && !feed_next(&f, &c));
	feed_in(&f, FEED_IN_ASK, 1, 5, 7, 0, 100, 1);
	ok(feed_in(&f, FEED_IN_GONE, 0, 5, 0, 0, 0, 0) == 0 && fout.n == 2 && fout.fx[0].kind == FEED_FX_REFUSE &&
	    fout.fx[1].kind == FEED_FX_CLOSE && feed_check(&f) == 0);
	while (feed_in(&f, FEED_IN_ASK, 3, 6, 9, 0, 1, 0) == 0 && fout.n == 0)
		n++;
	ok(n == FEED_ASKS && refused(3, ERR_FULL) && feed_check(&f) == 0);	/* and what it asked for of this object is void */
	ok(feed_in(&f, FEED_IN_BROKEN, 1, 0, 0, 0, 0, 0) == 0 && feed_check(&f) == 0 && f.peers.n == 2);
	feed_release(&f);
	free(fout.fx);
}

/* --- anything may happen --- */

static unsigned rebuilds;		/* how many of eight lost objects are made again */
static uint64_t size_of[OBJECTS];

static void
rebuilt(unsigned what)
{
	unsigned o = what % OBJECTS, owner = what / OBJECTS, k = draw(net.n);
	struct node *n = &net.node[k];

	if (!net.node[owner].alive)
		return;
	if (draw(8) >= rebuilds || rebuilds == 0) {
		transfer_do(owner, &(struct transfer_in){ .kind = TRANSFER_FREE, .id = net.id[o], .code = ERR_LOST, .text = "it cannot be made again" });
		return;
	}
	if (n->alive && net.node[owner].told[k] == false && n->copy[o].state != COPY_WHOLE && !n->copy[o].writers) {
		transfer_do(k, &(struct transfer_in){ .kind = TRANSFER_CANCEL, .id = net.id[o] });
		made(k, owner, o, size_of[o] + (draw(2) ? UNIT * draw(3) : 0));
		return;
	}
	user_at(net.now + 5 * MS, rebuilt, what);
}

static void
is_lost(unsigned owner, unsigned o)
{
	user_at(net.now + (1 + draw(500)) * MS, rebuilt, owner * OBJECTS + o);
}

static void
someone_wants(unsigned what)
{
	unsigned o = what % OBJECTS, i = what / OBJECTS;

	if (net.node[i].alive && !net.node[i].told[index_of(net.id[o].node)] && net.node[i].copy[o].state != COPY_WHOLE)
		want(i, o, (enum pull_priority)draw(PULL_PRIORITIES), draw(2) ? size_of[o] : draw(3) * UNIT);
}

static void
let_go(unsigned o)
{
	unsigned owner = index_of(net.id[o].node);

	for (unsigned i = 0; i < net.n; i++)
		net.node[i].wants[o] = false;
	net.freed[o] = true;
	if (net.node[owner].alive)
		transfer_do(owner, &(struct transfer_in){ .kind = TRANSFER_FREE, .id = net.id[o] });
}

static void
trouble(unsigned kind)
{
	unsigned a = draw(net.n), b = draw(net.n), o = draw(OBJECTS);
	struct node *n = &net.node[a];

	if (!n->alive || id_none(net.id[o]))
		return;
	switch (kind) {
	case 0:
		die(a);
		break;
	case 1:
		if (a != b && net.node[b].alive)
			broken(a, b, net.now + draw(5000) * MS);
		break;
	case 2:				/* room is made: a copy that is not the only one goes */
		for (unsigned k = 0; k < net.n; k++)
			if (k != a && n->copy[o].state == COPY_WHOLE && net.node[k].alive && net.node[k].copy[o].state == COPY_WHOLE) {
				n->wants[o] = false;
				copy_gone(a, o);
				break;
			}
		break;
	case 3:
		n->wants[o] = false;
		transfer_do(a, &(struct transfer_in){ .kind = TRANSFER_CANCEL, .id = net.id[o] });
		break;
	case 4:
		let_go(o);
		break;
	}
}

static bool
chaos(uint64_t seed, bool traced)
{
	unsigned n, objects;

	seed = seed * 7919;
	begin(seed, 0, 125000000, 0, 0, 0);
	net.n = n = 2 + draw(10);
	objects = 1 + draw(OBJECTS);
	rebuilds = 4 + draw(5);
	begin(net.seed, n, draw(2) ? 125000000 : 20000000, (1 + draw(100)) * MS / 10, (draw(4) ? 100 : 3 + draw(30)) * MIB, (1 + draw(12)) * MIB);
	net.trace = traced;
	net.lost = is_lost;
	for (unsigned o = 0; o < objects; o++) {
		size_of[o] = 200 + (draw(30) == 0 ? draw(20 << 20) : draw(4) ? draw(3 << 20) : draw(100000));
		made(draw(n), draw(n), o, size_of[o]);
	}
	for (unsigned o = 0; o < objects; o++)
		for (unsigned i = 0; i < n; i++)
			if (draw(3))
				for (unsigned k = draw(5) ? 1 : 2; k > 0; k--)
					user_at((15 + draw(300)) * MS, someone_wants, i * OBJECTS + o);
	for (unsigned i = draw(12); i > 0; i--)
		user_at(draw(1000) * MS, trouble, draw(4) == 0 ? 0 : 1 + draw(4));
	run(400 * SECONDS);
	for (unsigned i = 0; i < n; i++)
		for (unsigned o = 0; o < objects; o++) {
			struct node *x = &net.node[i];

			if (x->alive && x->wants[o] && x->copy[o].state != COPY_WHOLE && !x->failed[o])
				wrong("node %u waits for object %u for ever", i, o);
			if (x->alive && x->taken[o] > (uint64_t)x->rooms[o] * (size_of[o] + 3 * UNIT) + 4 * PULL_CHUNK_MAX)
				wrong("node %u received object %u again: %llu bytes, %u times room for %llu", i, o, (unsigned long long)x->taken[o],
				    x->rooms[o], (unsigned long long)size_of[o]);
		}
	idle();
	rebuilds = 0;
	for (unsigned o = 0; o < objects; o++)
		let_go(o);
	run(500 * SECONDS);
	for (unsigned i = 0; i < n; i++)
		if (net.node[i].alive && net.node[i].t.places.bytes)
			wrong("node %u still knows of %zu objects", i, net.node[i].t.places.objects.n);
	for (unsigned o = 0; o < objects; o++)
		for (unsigned i = 0; i < n; i++)
			if (net.node[i].alive && net.node[index_of(net.id[o].node)].alive && net.node[i].copy[o].state != COPY_NONE)
				wrong("node %u still has object %u", i, o);
	if (!net.fine)
		printf("# seed %llu\n", (unsigned long long)seed / 7919);
	end();
	return net.fine;
}

int
main(int argc, char **argv)
{
	uint64_t seeds = getenv("ROTA_LONG") ? 20000 : 300, good = 0;

	if (argc > 1) {				/* core_pull.t SEED [TO] */
		for (uint64_t s = strtoull(argv[1], NULL, 10), to = argc > 2 ? strtoull(argv[2], NULL, 10) : s; s <= to; s++)
			good += chaos(s, getenv("TRACE") != NULL);
		printf("%llu good\n", (unsigned long long)good);
		return 0;
	}
	single();
	broadcast(8);
	two_sources();
	by_priority();
	resumed();
	taken_over();
	parked();
	strangers();
	writers();
	refused_again();
	rights();
	turns();
	for (uint64_t s = 1; s <= seeds; s++)
		good += chaos(s, false);
	ok(good == seeds);
	printf("# %llu courses of events\n", (unsigned long long)seeds);
	return tap_done();
}
