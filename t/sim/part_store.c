/*
 * part_store.c - nodes that ask things of the control store (core/control.h, core/kv.h), over connections that break.
 *
 * Each joins, and again when the connection or the store was away; what was asked and not answered is asked again, but not a
 * transaction, which may have been done.  They ask for jobs, register actors with names that others want too and let them
 * die, and write keys of their own, whose last value they know, or one of two.
 *
 *	durable-first	a number or revision leaves the store once its disk knows of it
 *	number-once	and is never given again
 *	durable-kept	what a node was told is done is on the disk from then on, after any crash
 *	fence-gap	a node that is given up does not work any more, whatever it has heard (core/alive.h)
 *	name-once	no name is of two actors that live
 *	kv-kept		a read gives what its only writer was last told is done, or a later try
 *	kv-session	in the end no key is left whose session's node is gone
 *	store-serves	in the end every node has joined and all questions are answered
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/numbers.h"
#include "store.h"
#include "wire/mp.h"

enum ask_kind { ASK_JOB, ASK_ACTOR, ASK_READ, ASK_WRITE, ASK_SESSION };

struct ask {
	enum ask_kind kind;
	unsigned key;			/* of a read, or a write */
	char name[8];			/* of an actor */
};

static void	connect_later(struct sim *s, struct store_node *n);

/* --- asking ----------------------------------------------------------------------------------------------------------- */

static void
say(struct sim *s, struct store_node *n, struct buf *b)
{
	if (n->c)
		sim_send(s, n->c, 0, b->data, b->len);
	buf_release(b);
}
#define SAY(s, n, name, ...) do { \
	struct buf b_ = BUF_INIT; \
	if (msg_put_##name(&b_, &(struct msg_##name){ __VA_ARGS__ }) == 0) \
		say(s, n, &b_); \
} while (0)

/* of this life of the node: what an earlier one asked for may yet be done */
static void
key_name(const struct store_node *n, unsigned k, char name[32])
{
	snprintf(name, 32, "n%u/%llu/%u", n->m->i, (unsigned long long)n->life, k);
}

static void
put(struct sim *s, struct store_node *n, uint64_t req, const char *key, uint64_t val, enum kv_session session)
{
	struct buf ops = BUF_INIT;

	if (mp_put_array(&ops, 3) < 0 || mp_put_bin(&ops, key, strlen(key)) < 0 || mp_put_bin(&ops, &val, sizeof val) < 0 ||
	    mp_put_uint(&ops, session) < 0)
		abort();
	SAY(s, n, kv_txn, .req = req, .ops = span_of(ops.data, ops.len), .proc = 1, .job = 1);
	buf_release(&ops);
}

static void
send_ask(struct sim *s, struct store_node *n, uint64_t req, const struct ask *a)
{
	char key[32];

	key_name(n, a->key, key);
	switch (a->kind) {
	case ASK_JOB: SAY(s, n, job_new, .req = req, .name = span_text("sim")); break;
	case ASK_ACTOR:
		SAY(s, n, actor_new, .req = req, .name = span_text(a->name), .class = span_text("C"), .namespace = span_text("x"), .job = 1,
		    .detached = 1);
		break;
	case ASK_READ: SAY(s, n, kv_get, .req = req, .key = span_text(key)); break;
	case ASK_WRITE: put(s, n, req, key, n->key[a->key].asked, KV_LASTS); break;
	case ASK_SESSION:
		snprintf(key, sizeof key, "s/%u", n->number);
		put(s, n, req, key, 1, KV_PROC);
	}
}

static void
ask(struct sim *s, struct store_node *n, struct ask a)
{
	struct ask *p = malloc(sizeof *p);

	if (p == NULL || map_put(&n->asks, ++n->req, p) < 0)
		abort();
	*p = a;
	send_ask(s, n, n->req, p);
}

/* what a node does now and then */
static void
act(struct sim *s, void *arg, uint64_t k)
{
	struct store_node *n = arg;
	struct ask a = { .kind = ASK_JOB };

	(void)k;
	if (s->phase == SIM_CALM)
		return;
	sim_after(s, n->m, sim_about(s, 60 * SIM_MS), act, n, 0);
	if (!n->joined)
		return;
	k = sim_below(s, STORE_KEYS);
	switch (sim_below(s, 6)) {
	case 0: ask(s, n, a); break;
	case 1:
		if (n->nown < STORE_OWN) {
			a.kind = ASK_ACTOR;
			snprintf(a.name, sizeof a.name, "%.*s", sim_chance(s, 700) ? 2 : 0, (const char *[]){ "a0", "a1", "a2", "a3" }[sim_below(s, STORE_NAMES)]);
			ask(s, n, a);
		}
		break;
	case 2:
		if (n->nown) {
			struct store_actor dead = n->own[k % n->nown];

			n->own[k % n->nown] = n->own[n->nown - 1];
			n->nown--;
			SAY(s, n, actor_note, .actor = dead.number, .state = ACTOR_DEAD, .incarnation = 1);
		}
		break;
	case 3:
		if (!n->session) {
			n->session = true;
			ask(s, n, (struct ask){ .kind = ASK_SESSION });
		}
		break;
	default:
		if (n->key[k].asked || n->key[k].reading) {
			if (!n->key[k].reading) {
				n->key[k].reading = n->req + 1;	/* to know what became of it */
				ask(s, n, (struct ask){ .kind = ASK_READ, .key = (unsigned)k });
			}
			break;
		}
		n->key[k].asked = ++n->val << 8 | n->m->i;
		ask(s, n, (struct ask){ .kind = ASK_WRITE, .key = (unsigned)k });
	}
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static bool
on_disk(const struct store *st, const char *name, const struct store_key *q)
{
	const struct disk_row *r;
	char key[40];

	snprintf(key, sizeof key, "kv/%s", name);
	if (q->val == 0)
		return true;
	return (r = disk_get(&st->disk, key)) != NULL &&
	    (memmem(r->val.data, r->val.len, &q->val, 8) || (q->asked && memmem(r->val.data, r->val.len, &q->asked, 8)));
}

/* May it work?  Whoever has the time that it shows its workers says so, whatever else it knows. */
bool
node_works(const struct sim *s, const struct store_node *n)
{
	return n->m->up && n->number && sim_clock(s, n->m) < alive_until(&n->alive);
}

void
node_kept(struct sim *s)
{
	const struct store *st = store_of(s);
	char name[32];

	for (unsigned i = 1; i < s->nmachine; i++) {
		const struct store_node *n = &st->node[i];

		for (unsigned k = 0; k < STORE_KEYS && n->m->up; k++) {
			key_name(n, k, name);
			if (!on_disk(st, name, &n->key[k]))
				sim_fail(s, "durable-kept", "key %u of node %u is not on the disk with value %llx of revision %llu", k, i,
				    (unsigned long long)n->key[k].val, (unsigned long long)n->key[k].rev);
		}
		for (unsigned k = 0; k < STORE_OLD; k++)
			if (!on_disk(st, n->old[k].name, &n->old[k].key))
				sim_fail(s, "durable-kept", "key '%s' is not on the disk with value %llx of revision %llu", n->old[k].name,
				    (unsigned long long)n->old[k].key.val, (unsigned long long)n->old[k].key.rev);
		for (unsigned k = 0; k < n->nown && node_works(s, n); k++)
			if (!store_holds(st, n->own[k].number))
				sim_fail(s, "durable-kept", "actor %llu of node %u is not on the disk", (unsigned long long)n->own[k].number, i);
	}
}

static void
on_actor(struct sim *s, struct store_node *n, const struct ask *a, const struct msg_actor *m)
{
	struct store *st = store_of(s);

	if (m->found)
		return;
	sim_log(s, "node %u: actor %llu '%s'", n->m->i, (unsigned long long)m->actor, a->name);
	for (unsigned i = 1; i < s->nmachine && a->name[0] && node_works(s, n); i++)
		for (unsigned k = 0; k < st->node[i].nown; k++)
			if (strcmp(st->node[i].own[k].name, a->name) == 0 && node_works(s, &st->node[i]))
				sim_fail(s, "name-once", "'%s' is actor %llu of node %u, and was %llu of node %u", a->name,
				    (unsigned long long)m->actor, n->m->i, (unsigned long long)st->node[i].own[k].number, i);
	if (n->nown == STORE_OWN) {
		SAY(s, n, actor_note, .actor = m->actor, .state = ACTOR_DEAD, .incarnation = 1);
		return;
	}
	n->own[n->nown].number = m->actor;
	snprintf(n->own[n->nown++].name, sizeof n->own[0].name, "%s", a->name);
}

static void
on_read(struct sim *s, struct store_node *n, unsigned k, const struct msg_kv_rows *m)
{
	struct store_key *q = &n->key[k];
	struct mp r = mp_read(m->rows.p, m->rows.n);
	struct mp_tok t[5];
	uint64_t val = 0, rev = 0;

	if (q->reading != m->req)
		return;			/* it was answered meanwhile */
	sim_log(s, "node %u reads key %u", n->m->i, k);
	if (m->rows.n) {
		mp_next(&r, &t[0]);
		for (int i = 0; i < 4; i++)
			sim_check(s, "kv-kept", mp_next(&r, &t[i]) == 0);
		sim_check(s, "kv-kept", t[1].n == 8 && t[3].kind == MP_INT);
		memcpy(&val, t[1].p, 8);
		rev = t[3].u;
	}
	if (!(val == q->val && rev == q->rev) && !(q->asked && val == q->asked && rev > q->rev))
		sim_fail(s, "kv-kept", "node %u reads %llx of revision %llu, but had %llx of %llu, and asked for %llx", n->m->i,
		    (unsigned long long)val, (unsigned long long)rev, (unsigned long long)q->val, (unsigned long long)q->rev,
		    (unsigned long long)q->asked);
	*q = (struct store_key){ .val = val, .rev = rev };
}

static void
on_done(struct sim *s, struct store_node *n, const struct ask *a, const struct msg_kv_done *m)
{
	struct store_key *q = &n->key[a->key];

	if (a->kind != ASK_WRITE)
		return;
	sim_log(s, "node %u: key %u is %llx, revision %llu", n->m->i, a->key, (unsigned long long)q->asked, (unsigned long long)m->revision);
	sim_check(s, "kv-kept", m->ok && m->changed == 1 && m->revision > q->rev);
	*q = (struct store_key){ .val = q->asked, .rev = m->revision };
}

/* --- heartbeats -------------------------------------------------------------------------------------------------------- */

static void	join_over(struct sim *s, struct store_node *n);
static void	fence_tick(struct sim *s, void *arg, uint64_t k);

static bool
late(struct sim *s, struct store_node *n)
{
	if (n->number == 0 || sim_clock(s, n->m) < alive_until(&n->alive))
		return false;
	sim_log(s, "node %u was not heard, its work ends: it was number %u", n->m->i, n->number);
	join_over(s, n);
	return true;
}

static void
arm(struct sim *s, struct store_node *n)
{
	uint64_t until = alive_until(&n->alive), next = alive_next(&n->alive);

	if (n->alive.limit)
		sim_at(s, n->m, n->c && next < until ? next : until, fence_tick, n, ++n->ticks);
}

static void
beat(struct sim *s, struct store_node *n)
{
	uint64_t number = alive_beat(&n->alive, sim_clock(s, n->m));

	SAY(s, n, heartbeat, .number = number, .limit = n->alive.limit);
}

static void
fence_tick(struct sim *s, void *arg, uint64_t k)
{
	struct store_node *n = arg;

	if (k != n->ticks || late(s, n))
		return;
	if (n->c && sim_clock(s, n->m) >= alive_next(&n->alive))
		beat(s, n);
	arm(s, n);
}

static void
on_joined(struct sim *s, struct store_node *n, const struct msg_node_joined *m)
{
	struct map_iter it = MAP_ITER;

	sim_check(s, "number-once", m->epoch >= n->epoch);
	n->epoch = m->epoch;
	sim_check(s, "control-proto", n->number == 0 || n->number == m->node);
	alive_came(&n->alive, n->join_beat);		/* NODE_JOIN came, and left no later */
	n->alive.limit = m->limit;
	n->number = (uint32_t)m->node;
	if (late(s, n))
		return;
	arm(s, n);
	n->joined = true;
	sim_log(s, "node %u is number %u", n->m->i, n->number);
	while (map_next(&n->asks, &it)) {
		struct ask *a = it.val;

		if (a->kind != ASK_WRITE)
			send_ask(s, n, it.key, a);
		else {			/* it may have been done: a read will tell */
			map_del(&n->asks, it.key);
			free(a);
		}
	}
}

void
node_frames(struct sim *s, struct store_node *n, struct span b)
{
	struct msg_node_joined joined;
	struct msg_actor actor;
	struct msg_kv_rows rows;
	struct msg_kv_done done;
	struct msg_job any;
	struct ask *a;
	struct frame f;

	if (frame_parse(&f, b.p, b.n, FRAME_MAX) != (ssize_t)b.n)
		sim_fail(s, "control-proto", "half a frame");
	if (f.type == MSG_NODE_JOINED_T) {
		sim_check(s, "control-proto", msg_get_node_joined(&joined, f.body, f.len) == 0);
		on_joined(s, n, &joined);
		return;
	}
	if (f.type == MSG_HEARTBEAT_T) {
		struct msg_heartbeat m;

		sim_check(s, "control-proto", msg_get_heartbeat(&m, f.body, f.len) == 0);
		if (late(s, n))
			return;
		alive_came(&n->alive, m.number);
		arm(s, n);
		return;
	}
	/* all others begin with the request's number */
	if (f.type == MSG_JOB_T ? msg_get_job(&any, f.body, f.len) < 0 : f.type == MSG_ACTOR_T ? msg_get_actor(&actor, f.body, f.len) < 0 :
	    f.type == MSG_KV_ROWS_T ? msg_get_kv_rows(&rows, f.body, f.len) < 0 :
	    f.type == MSG_KV_DONE_T ? msg_get_kv_done(&done, f.body, f.len) < 0 : f.type != MSG_FAIL_T)
		sim_fail(s, "control-proto", "a frame of type %u", f.type);
	if (f.type == MSG_FAIL_T) {
		struct msg_fail fail;

		sim_check(s, "control-proto", msg_get_fail(&fail, f.body, f.len) == 0);
		if (fail.req == 0) {
			sim_log(s, "node %u, number %u, hears: %.*s", n->m->i, n->number, (int)fail.text.n, (const char *)fail.text.p);
			join_over(s, n);
			return;
		}
		free(map_del(&n->asks, fail.req));
		return;
	}
	a = map_del(&n->asks, f.type == MSG_JOB_T ? any.req : f.type == MSG_ACTOR_T ? actor.req : f.type == MSG_KV_ROWS_T ? rows.req : done.req);
	if (a == NULL)
		return;
	if (f.type == MSG_ACTOR_T)
		on_actor(s, n, a, &actor);
	else if (f.type == MSG_KV_ROWS_T)
		on_read(s, n, a->key, &rows);
	else if (f.type == MSG_KV_DONE_T)
		on_done(s, n, a, &done);
	free(a);
}

/* --- joining ---------------------------------------------------------------------------------------------------------- */

static void
connect_now(struct sim *s, void *arg, uint64_t k)
{
	struct store_node *n = arg;
	struct buf actors = BUF_INIT;

	if (k != n->tries)
		return;
	n->c = sim_connect(s, n->m, &s->machine[0], &store_ends, n);
	for (unsigned i = 0; i < n->nown; i++)
		if (numbers_add(&actors, n->own[i].number) < 0)
			abort();
	numbers_sort(&actors);
	SAY(s, n, node_join, .name = span_text("sim"), .node = n->number, .actors = span_of(actors.data, actors.len), .beats = 1,
	    .attempt = sim_clock(s, n->m));
	n->join_beat = alive_beat(&n->alive, sim_clock(s, n->m));
	buf_release(&actors);
}

static void
connect_later(struct sim *s, struct store_node *n)
{
	sim_after(s, n->m, sim_about(s, 100 * SIM_MS), connect_now, n, n->tries);
}

void
node_closed(struct sim *s, struct store_node *n, struct sim_conn *c)
{
	if (n->c != c)
		return;
	n->c = NULL;
	n->joined = false;
	connect_later(s, n);
}

static void
forget(struct store_node *n)		/* all that is in memory */
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->asks, &it))
		free(it.val);
	map_release(&n->asks);
	n->number = 0;
	n->alive = (struct alive_node){ 0 };
	n->ticks++;
	n->nown = 0;
	n->joined = n->session = false;
	for (unsigned k = 0; k < STORE_KEYS; k++) {
		struct store_old *old = &n->old[n->nold++ % STORE_OLD];

		key_name(n, k, old->name);
		old->key = n->key[k];
		n->key[k] = (struct store_key){ 0 };
	}
	n->life++;
}

/* another life of the node, as its ids may not be used again */
static void
join_over(struct sim *s, struct store_node *n)
{
	if (n->c)
		sim_close(s, n->c, 0);
	else
		n->tries++;		/* one that is due is of the life before */
	n->c = NULL;
	forget(n);
	connect_later(s, n);
}

/* --- the part --------------------------------------------------------------------------------------------------------- */

static void
init(struct sim *s)
{
	struct store *st = calloc(1, sizeof *st);

	if (st == NULL || (st->node = calloc(s->nmachine, sizeof *st->node)) == NULL)
		abort();
	s->of[STORE_PART] = st;
	disk_init(&st->disk);
	list_init(&st->peers);
	list_init(&st->sends);
	for (unsigned i = 1; i < s->nmachine; i++)
		st->node[i].m = &s->machine[i];
}

static void
up(struct sim *s, struct sim_machine *m)
{
	struct store_node *n = &store_of(s)->node[m->i];

	if (m->i == 0) {
		store_up(s);
		return;
	}
	connect_now(s, n, n->tries);
	sim_after(s, m, sim_about(s, 60 * SIM_MS), act, n, 0);
}

static void
down(struct sim *s, struct sim_machine *m)
{
	struct store_node *n = &store_of(s)->node[m->i];

	if (m->i == 0) {
		store_down(s);
		return;
	}
	n->c = NULL;
	forget(n);
}

static bool
answered(struct sim *s)
{
	for (unsigned i = 1; i < s->nmachine; i++)
		if (!store_of(s)->node[i].joined || store_of(s)->node[i].asks.n)
			return false;
	return true;
}

static bool
done(struct sim *s)
{
	const struct store *st = store_of(s);

	list_each(l, &st->peers)
		if (!list_entry(l, struct store_peer, link)->c->side[0].open)
			return false;
	return answered(s) && st->tick == 0 && !st->disk.busy;	/* nobody is lost whom it has not given up */
}

static void
end(struct sim *s)
{
	struct store *st = store_of(s);
	struct map_iter it = MAP_ITER;
	unsigned number;
	char key[32];

	if (!answered(s))
		sim_fail(s, "store-serves", "a node has not joined, or has not got its answers");
	node_kept(s);
	for (const struct disk_row *r = NULL; (r = disk_next(&st->disk, &it, r));) {
		bool there = false;

		snprintf(key, sizeof key, "%.*s", (int)(r->key.len < 31 ? r->key.len : 31), (const char *)r->key.data);
		if (sscanf(key, "kv/s/%u", &number) != 1 && sscanf(key, "node/%x", &number) != 1)
			continue;
		for (unsigned i = 1; i < s->nmachine; i++)
			there |= st->node[i].number == number;
		if (!there)
			sim_fail(s, "kv-session", "'%s' is left, and node %u is gone", key, number);
	}
}

static void
release(struct sim *s)
{
	struct store *st = store_of(s);

	for (unsigned i = 1; i < s->nmachine; i++)
		forget(&st->node[i]);
	store_release(s);
	free(st->node);
	free(st);
}

const struct sim_part part_store = { "store", init, up, down, NULL, NULL, NULL, done, end, release };
