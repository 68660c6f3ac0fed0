/* store.c - the control store's machine: its core, its disk, and frames that leave once their commit is done */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "store.h"
#include "wire/mp.h"

static struct sim_machine *
machine(struct sim *s)
{
	return &s->machine[0];
}

bool
store_holds(const struct store *st, uint64_t actor)
{
	char key[32];

	snprintf(key, sizeof key, "actor/%016" PRIx64, actor);
	return disk_get(&st->disk, key) != NULL;
}

static uint64_t
number_on_disk(const struct store *st, const char *key)
{
	const struct disk_row *r = disk_get(&st->disk, key);
	struct mp m = r ? mp_read(r->val.data, r->val.len) : mp_read(NULL, 0);
	struct mp_tok t;

	return r && mp_next(&m, &t) == 0 && t.kind == MP_INT ? t.u : 0;
}

/* in which the store does not count what it slept through */
static uint64_t
now(struct sim *s)
{
	return alive_now(&store_of(s)->clock, sim_clock(s, machine(s)));
}

/* --- what leaves ------------------------------------------------------------------------------------------------------ */

/* A number that is given is given once, and the disk knows of it before anybody else. */
static void
given(struct sim *s, const char *what, const char *key, uint64_t *last, uint64_t number)
{
	if (number_on_disk(store_of(s), key) < number)
		sim_fail(s, "durable-first", "%s %llu is answered, but the disk knows numbers up to %llu", what, (unsigned long long)number,
		    (unsigned long long)number_on_disk(store_of(s), key));
	if (number <= *last)
		sim_fail(s, "number-once", "%s %llu is given after %llu was", what, (unsigned long long)number, (unsigned long long)*last);
	*last = number;
}

static void
look(struct sim *s, struct store_peer *q, const struct frame *f)
{
	struct store *st = store_of(s);
	struct msg_node_joined joined;
	struct msg_kv_done done;
	struct msg_actor actor;
	struct msg_job job;

	if (f->type == MSG_NODE_JOINED_T && msg_get_node_joined(&joined, f->body, f->len) == 0) {
		if (joined.node > st->last_node)
			given(s, "node", "next/node", &st->last_node, joined.node);
		q->node = (uint32_t)joined.node;
	} else if (f->type == MSG_JOB_T && msg_get_job(&job, f->body, f->len) == 0)
		given(s, "job", "next/job", &st->last_job, job.job);
	else if (f->type == MSG_ACTOR_T && msg_get_actor(&actor, f->body, f->len) == 0 && !actor.found)
		given(s, "actor", "next/actor", &st->last_actor, actor.actor);
	else if (f->type == MSG_KV_DONE_T && msg_get_kv_done(&done, f->body, f->len) == 0 && done.ok && done.changed)
		given(s, "revision", "next/revision", &st->last_rev, done.revision);
}

/* its actors and names may be others' from now on */
static void
given_up(struct sim *s, uint32_t number)
{
	const struct store *st = store_of(s);

	sim_log(s, "store gives node number %u up", number);
	for (unsigned i = 1; i < s->nmachine; i++)
		if (st->node[i].number == number && node_works(s, &st->node[i]))
			sim_fail(s, "fence-gap", "node %u, number %u, is given up and works for another %.6f s", i, number,
			    (double)(alive_until(&st->node[i].alive) - sim_clock(s, st->node[i].m)) / 1e9);
}

static void
leave(struct sim *s)
{
	struct store *st = store_of(s);

	list_each_safe(l, next, &st->sends) {
		struct store_send *f = list_entry(l, struct store_send, link);
		struct frame h;

		if (f->commit > st->disk.done)
			break;
		if (f->down)
			given_up(s, f->down);
		list_each(k, &st->peers) {
			struct store_peer *q = list_entry(k, struct store_peer, link);

			if (q->number != f->peer || f->b.len == 0)
				continue;
			if (frame_parse(&h, f->b.data, f->b.len, FRAME_MAX) > 0)
				look(s, q, &h);
			sim_send(s, q->c, 1, f->b.data, f->b.len);
		}
		list_del(&f->link);
		buf_release(&f->b);
		free(f);
	}
}

/* --- the committer ------------------------------------------------------------------------------------------------------ */

static void	commit_next(struct sim *s);

static void
committed(struct sim *s, void *arg, uint64_t upto)
{
	struct store *st = store_of(s);

	(void)arg;
	disk_commit(&st->disk, upto);
	st->disk.busy = false;
	node_kept(s);
	leave(s);
	commit_next(s);
}

static void
commit_next(struct sim *s)
{
	struct disk *d = &store_of(s)->disk;

	if (d->busy || list_empty(&d->waiting))
		return;
	d->busy = true;
	sim_after(s, machine(s), 100 * SIM_US + sim_about(s, 3 * SIM_MS), committed, NULL,
	    list_entry(d->waiting.prev, struct disk_write, link)->commit);
}

static void	tick(struct sim *s, void *arg, uint64_t n);

static void
hand_on(struct sim *s)
{
	struct store *st = store_of(s);
	struct control_out *o = &st->out;

	sim_check(s, "control-check", control_check(&st->core) == 0);
	for (size_t i = 0; i < o->n; i++) {
		struct store_send *f;

		if (o->fx[i].kind == CONTROL_FX_UP)
			continue;
		if (o->fx[i].kind == CONTROL_FX_PUT || o->fx[i].kind == CONTROL_FX_DEL || o->fx[i].kind == CONTROL_FX_PAST) {
			disk_write(&st->disk, &o->fx[i], o->bytes.data);
			continue;
		}
		if ((f = calloc(1, sizeof *f)) == NULL || (o->fx[i].kind == CONTROL_FX_SEND &&
		    buf_add(&f->b, o->bytes.data + o->fx[i].val, o->fx[i].nval) < 0))
			abort();
		if (o->fx[i].kind == CONTROL_FX_DOWN)
			f->down = o->fx[i].node;
		f->peer = o->fx[i].peer;
		f->commit = o->fx[i].commit;
		list_add_tail(&st->sends, &f->link);
	}
	o->n = 0;
	o->bytes.len = 0;
	commit_next(s);
	leave(s);
	if (o->at && o->at != st->tick) {
		uint64_t wait = o->at - now(s) < st->core.limit / 12 ? o->at - now(s) : st->core.limit / 12;

		st->tick = o->at;
		sim_after(s, machine(s), o->at > now(s) ? wait : 0, tick, NULL, o->at);
	}
}

static void
tick(struct sim *s, void *arg, uint64_t n)
{
	struct store *st = store_of(s);

	(void)arg;
	if (n != st->tick)
		return;
	st->tick = 0;			/* it may be too early: the clock wants to be looked at */
	control_tick(&st->core, now(s), &st->out);
	hand_on(s);
}

/* --- peers ---------------------------------------------------------------------------------------------------------------- */

static void
opened(struct sim *s, struct sim_conn *c)
{
	struct store *st = store_of(s);
	struct store_peer *q = calloc(1, sizeof *q);

	if (q == NULL)
		abort();
	*q = (struct store_peer){ .c = c, .number = ++st->next_peer };
	c->side[1].arg = q;
	list_add_tail(&st->peers, &q->link);
}

static void
gone(struct sim *s, struct store_peer *q)
{
	struct store *st = store_of(s);
	uint64_t number = q->number;

	list_del(&q->link);
	free(q);
	control_gone(&st->core, now(s), number, &st->out);
	hand_on(s);
}

static void
frames(struct sim *s, struct sim_conn *c, int side, struct span b)
{
	struct store *st = store_of(s);
	struct store_peer *q = c->side[1].arg;
	struct frame f;
	ssize_t n;

	if (side == 0) {
		node_frames(s, c->side[0].arg, b);
		return;
	}
	for (; b.n; b.p += n, b.n -= (size_t)n) {
		n = frame_parse(&f, b.p, b.n, FRAME_MAX);
		sim_check(s, "control-proto", n > 0);
		if (f.type == MSG_HEARTBEAT_T) {	/* does not wait for the disk */
			struct buf out = BUF_INIT;
			struct msg_heartbeat m;

			if (msg_get_heartbeat(&m, f.body, f.len) == 0 && msg_put_heartbeat(&out, &(struct msg_heartbeat){ .number = m.number }) == 0)
				sim_send(s, c, 1, out.data, out.len);
			buf_release(&out);
		}
		if (control_step(&st->core, now(s), q->number, &f, &st->out) < 0) {
			sim_log(s, "store drops peer %llu", (unsigned long long)q->number);
			hand_on(s);
			sim_close(s, c, 1);
			gone(s, q);
			return;
		}
		hand_on(s);
	}
}

static void
closed(struct sim *s, struct sim_conn *c, int side)
{
	if (side == 0)
		node_closed(s, c->side[0].arg, c);
	else
		gone(s, c->side[1].arg);
}

const struct sim_ends store_ends = { opened, frames, closed };

/* --- start and end ---------------------------------------------------------------------------------------------------------- */

void
store_up(struct sim *s)
{
	struct store *st = store_of(s);
	struct map_iter it = MAP_ITER;

	control_init(&st->core, ++st->epoch);
	st->clock = (struct alive_clock){ .gap = st->core.limit / 6 };
	for (const struct disk_row *r = NULL; (r = disk_next(&st->disk, &it, r));)
		sim_check(s, "control-load", control_load(&st->core, r->key.data, r->key.len, r->val.data, r->val.len) == 0);
	st->up = true;
	node_kept(s);
	control_tick(&st->core, now(s), &st->out);
	hand_on(s);
}

static void
forget(struct store *st)
{
	list_each_safe(l, next, &st->peers)
		free(list_entry(l, struct store_peer, link));
	list_init(&st->peers);
	list_each_safe(l, next, &st->sends) {
		buf_release(&list_entry(l, struct store_send, link)->b);
		free(list_entry(l, struct store_send, link));
	}
	list_init(&st->sends);
	control_release(&st->core);
	st->out.n = st->out.bytes.len = 0;
	st->out.at = st->tick = 0;
}

void
store_down(struct sim *s)
{
	struct store *st = store_of(s);

	forget(st);
	disk_crash(&st->disk);
	st->up = false;
}

void
store_release(struct sim *s)
{
	struct store *st = store_of(s);

	if (st->up)
		forget(st);
	free(st->out.fx);
	buf_release(&st->out.bytes);
	disk_release(&st->disk);
}
