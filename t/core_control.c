/* core_control.c - names and numbers of the control store; what left it survives a crash at any moment */
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/control.h"
#include "wire/le.h"
#include "tap.h"
#include "wire/le.h"

#define SEC UINT64_C(1000000000)

static struct control_out o;
static uint64_t now = SEC;

/* a disk: what was put, in the order of commits; rows beyond the last sync are lost in a crash */
static struct row {
	uint64_t commit;
	size_t nkey, nval;
	bool del;
	unsigned char key[64], val[600];
} disk[20000];
static unsigned nrow;
static unsigned broken;

struct answer {
	uint16_t type;
	uint64_t num, req, commit;
	int64_t code;
	char text[300];
};

static struct answer
settle(void)				/* writes go to the disk; the last frame is the answer */
{
	struct answer a = { 0 };
	struct frame f;

	for (size_t i = 0; i < o.n; i++) {
		struct control_fx *fx = &o.fx[i];

		if (fx->kind == CONTROL_FX_UP || fx->kind == CONTROL_FX_DOWN || fx->kind == CONTROL_FX_PAST)
			continue;
		if (fx->kind != CONTROL_FX_SEND) {
			struct row *r = &disk[nrow++];

			*r = (struct row){ .commit = fx->commit, .nkey = fx->nkey, .nval = fx->nval, .del = fx->kind == CONTROL_FX_DEL };
			broken += fx->nkey > sizeof r->key || fx->nval > sizeof r->val || (nrow > 1 && r->commit < r[-1].commit);
			memcpy(r->key, o.bytes.data + fx->key, fx->nkey);
			memcpy(r->val, o.bytes.data + fx->val, fx->nval);
			continue;
		}
		if (frame_parse(&f, o.bytes.data + fx->val, fx->nval, FRAME_MAX) <= 0) {
			broken++;
			continue;
		}
		a = (struct answer){ .type = f.type, .commit = fx->commit };
		if (f.type == MSG_FAIL_T) {
			struct msg_fail m;

			msg_get_fail(&m, f.body, f.len);
			a.req = m.req;
			a.code = m.code;
			snprintf(a.text, sizeof a.text, "%.*s", (int)m.text.n, (const char *)m.text.p);
		} else if (f.type == MSG_JOB_T) {
			struct msg_job m;

			msg_get_job(&m, f.body, f.len);
			a.req = m.req;
			a.num = m.job;
		} else if (f.type == MSG_ACTOR_T) {
			struct msg_actor m;

			msg_get_actor(&m, f.body, f.len);
			a.req = m.req;
			a.num = m.actor;
		} else if (f.type == MSG_NODE_JOINED_T) {
			struct msg_node_joined m;

			msg_get_node_joined(&m, f.body, f.len);
			a.num = m.node;
		}
	}
	o.n = 0;
	o.bytes.len = 0;
	return a;
}

#define SAY(c, peer, name, ...) say(c, peer, msg_put_##name(&line, &(struct msg_##name){ __VA_ARGS__ }))
static struct buf line;
static int said;

static struct answer
say(struct control *c, uint64_t peer, int e)
{
	struct frame f;

	broken += e < 0 || frame_parse(&f, line.data, line.len, FRAME_MAX) <= 0;
	said = control_step(c, now, peer, &f, &o);
	broken += control_check(c) != 0;
	line.len = 0;
	return settle();
}

static struct span
s(const char *t)
{
	return span_of(t, strlen(t));
}

/* the state that a restart finds when everything up to commit had reached the disk */
static void
reload(struct control *c, uint64_t commit, uint64_t epoch)
{
	control_release(c);
	control_init(c, epoch);
	for (unsigned i = 0; i < nrow && disk[i].commit <= commit; i++) {
		bool last = !disk[i].del;

		for (unsigned j = i + 1; last && j < nrow && disk[j].commit <= commit; j++)
			last = !(disk[j].nkey == disk[i].nkey && memcmp(disk[j].key, disk[i].key, disk[i].nkey) == 0);
		if (last)
			broken += control_load(c, disk[i].key, disk[i].nkey, disk[i].val, disk[i].nval) < 0;
		c->commit = disk[i].commit;	/* only so that the disk here stays in order */
	}
	while (nrow && disk[nrow - 1].commit > commit)
		nrow--;
	control_tick(c, now, &o);
	settle();
}

static void
names(struct control *c)
{
	struct answer a, b;

	ok(SAY(c, 1, job_new, .req = 1).type == 0 && said == ERR_PROTO);	/* not joined */
	a = SAY(c, 1, node_join, .name = s("here"));
	ok(a.type == MSG_NODE_JOINED_T && a.num == 1);
	ok(SAY(c, 1, node_join, .name = s("here")).type == 0 && said == ERR_PROTO);
	a = SAY(c, 1, job_new, .req = 7, .name = s("x"));
	ok(a.type == MSG_JOB_T && a.num == 1 && a.req == 7);
	a = SAY(c, 1, actor_new, .req = 8, .name = s("hits"), .namespace = s("x"), .class = s("C"), .job = 1);
	ok(a.type == MSG_ACTOR_T && a.num == 1);
	b = SAY(c, 1, actor_new, .req = 9, .name = s("hits"), .namespace = s("x"));
	ok(b.type == MSG_FAIL_T && b.code == -EEXIST && strcmp(b.text, "an actor 'hits' exists in namespace 'x'") == 0);
	ok(SAY(c, 1, actor_new, .req = 9, .name = s("hits"), .namespace = s("y")).num == 2);
	ok(SAY(c, 1, actor_find, .req = 3, .name = s("hits"), .namespace = s("x")).num == 1);
	b = SAY(c, 1, actor_find, .req = 3, .name = s("miss"), .namespace = s("x"));
	ok(b.code == ERR_NOTFOUND && strcmp(b.text, "no actor 'miss' in namespace 'x'") == 0);
	SAY(c, 1, actor_note, .actor = 1, .state = ACTOR_DEAD);
	ok(SAY(c, 1, actor_find, .req = 3, .name = s("hits"), .namespace = s("x")).type == MSG_FAIL_T);
	ok(SAY(c, 1, actor_new, .req = 9, .name = s("hits"), .namespace = s("x")).num == 3);
}

static struct span
list(uint64_t first, uint64_t last)	/* numbers of actors, as NODE_JOIN has them */
{
	static unsigned char b[8 * 600];
	size_t n = 0;

	for (; first <= last; first++, n += 8)
		le_put64(b + n, first);
	return span_of(b, n);
}

static void
restart(struct control *c)
{
	struct answer a;

	reload(c, UINT64_MAX, 2);
	a = SAY(c, 5, node_join, .node = 1, .actors = list(3, 3));
	ok(a.num == 1);				/* the same incarnation is back */
	ok(SAY(c, 5, actor_find, .name = s("hits"), .namespace = s("y")).type == MSG_FAIL_T);	/* it has it no more */
	ok(SAY(c, 5, actor_find, .name = s("hits"), .namespace = s("x")).num == 3);
	ok(SAY(c, 5, job_new, .req = 1).num == 2);
	control_gone(c, now, 5, &o);
	now += 2 * SEC;
	control_tick(c, now, &o);
	settle();
	ok(o.at == now + SEC);
	now = o.at;
	control_tick(c, now, &o);
	settle();
	ok(SAY(c, 6, node_join, .node = 1).code == -ESTALE);	/* given up: it joins as another one, its actors are gone */
	ok(SAY(c, 6, node_join).num == 2);
	ok(SAY(c, 6, actor_find, .name = s("hits"), .namespace = s("x")).type == MSG_FAIL_T);
}

/* A connection that a node gave up is read after the next one: what the node has since is not lost by it. */
static void
older(struct control *c)
{
	uint64_t node = SAY(c, 10, node_join, .attempt = 100).num, made;

	control_gone(c, now, 10, &o);
	ok(SAY(c, 12, node_join, .node = node, .attempt = 300).num == node);
	made = SAY(c, 12, actor_new, .req = 1, .name = s("late"), .namespace = s("z")).num;
	ok(SAY(c, 13, node_join, .node = node, .attempt = 200).type == 0 && said == ERR_PROTO);
	control_gone(c, now, 13, &o);
	ok(SAY(c, 12, actor_find, .name = s("late"), .namespace = s("z")).num == made && said == 0);
	ok(SAY(c, 14, node_join, .node = node, .attempt = 400, .actors = list(made, made)).num == node);	/* a later one is taken */
	ok(SAY(c, 14, actor_find, .name = s("late"), .namespace = s("z")).num == made);
	SAY(c, 14, bye);
	control_tick(c, now, &o);
	settle();
}

static struct span
u64s(unsigned char b[16], uint64_t x, uint64_t y)
{
	le_put64(b, x);
	le_put64(b + 8, y);
	return span_of(b, y ? 16 : 8);
}

/* another daemon of the node says what goes on */
static void
heir(struct control *c)
{
	unsigned char actors[16], jobs[16], procs[16];
	struct answer kept, gone;
	uint64_t node = SAY(c, 20, node_join).num, job = SAY(c, 20, job_new).num;

	kept = SAY(c, 20, actor_new, .name = s("kept"), .namespace = s("z"), .job = job);
	gone = SAY(c, 20, actor_new, .name = s("gone"), .namespace = s("z"), .job = job);
	ok(kept.num && gone.num == kept.num + 1);
	ok(SAY(c, 21, node_join, .node = node, .heir = 1, .actors = u64s(actors, kept.num, 0), .jobs = u64s(jobs, job, 0),
	    .procs = u64s(procs, 1, 2)).num == node);
	ok(SAY(c, 21, actor_find, .name = s("kept"), .namespace = s("z")).num == kept.num);
	ok(SAY(c, 21, actor_find, .name = s("gone"), .namespace = s("z")).type == MSG_FAIL_T);
	control_gone(c, now, 20, &o);		/* the dead one's connection ends late */
	ok(o.at == 0 && SAY(c, 21, job_new).num == job + 1);
	SAY(c, 21, actor_note, .actor = kept.num, .state = ACTOR_DEAD);
}

/*
 * Crashes: after each answer the disk holds at least its commit, and maybe not what came later.  No number is ever
 * given twice, and a name that was answered stays taken.
 */
static void
crashes(struct control *c, unsigned seed)
{
	uint64_t top = 0, topjob = 0, durable = 0, peer = 100, node, taken = 0;
	char name[16] = "";

	srandom(seed);
	nrow = 0;
	control_release(c);
	control_init(c, 1);
	node = SAY(c, peer, node_join, .node = 0).num;
	for (int i = 0; i < 500; i++) {
		struct answer a;
		char n[16];

		switch (random() % 4) {
		case 0:
			a = SAY(c, peer, job_new, .req = 1);
			broken += a.num <= topjob;
			topjob = a.num;
			durable = a.commit;
			break;
		case 1: case 2:
			snprintf(n, sizeof n, "a%ld", random() % 30);
			a = SAY(c, peer, actor_new, .req = 1, .name = s(n), .namespace = s("x"));
			if (a.type == MSG_ACTOR_T) {
				broken += a.num <= top;
				taken = top = a.num;
				strcpy(name, n);
			}
			durable = a.commit > durable ? a.commit : durable;
			break;
		case 3:
			if (random() % 3 == 0) {
				SAY(c, peer, actor_note, .actor = (uint64_t)random() % (top + 1), .state = ACTOR_DEAD);
				name[0] = '\0';		/* maybe it was that one */
			}
			if (random() % 8)
				break;
			/* a crash: something between what was answered and what was written is there */
			{
				uint64_t span = c->commit - durable, at = durable + (span ? (uint64_t)random() % (span + 1) : 0);

				reload(c, at, 2);
			}
			broken += SAY(c, ++peer, node_join, .node = node, .actors = list(1, top)).num != node;
			if (name[0])
				broken += SAY(c, peer, actor_find, .name = s(name), .namespace = s("x")).num != taken;
			break;
		}
	}
}

int
main(void)
{
	static struct control c;

	control_init(&c, 1);
	names(&c);
	restart(&c);
	older(&c);
	heir(&c);
	ok(broken == 0);
	for (unsigned seed = 1; seed <= 20; seed++)
		crashes(&c, seed);
	ok(broken == 0);
	control_release(&c);
	buf_release(&line);
	buf_release(&o.bytes);
	free(o.fx);
	return tap_done();
}
