/* heir_actors - actors that have restarts left are made again by the next daemon, as after any death of theirs */
#include <stdlib.h>
#include "node/inner.h"
#include "wire/le.h"

struct note {				/* then ACTOR_NEW as it came */
	uint64_t number, set, req;
	uint32_t job, creator, rank, bundle;
	struct id pgroup;
};

struct life {
	uint32_t restarts, incarnation;
};

void
actor_note(struct node *n, const struct ask *a, const struct msg_actor_new *new, uint64_t number)
{
	struct note t = { .number = number, .set = a->set, .req = a->req, .job = a->job->number, .creator = a->proc, .rank = a->rank,
	    .bundle = new->bundle < UINT32_MAX ? (uint32_t)new->bundle : UINT32_MAX, .pgroup = new->pgroup };
	const struct set *s = set_get(&n->set, a->set);
	struct buf b = BUF_INIT;

	if (s && s->gang)			/* it is made again as a whole */
		return;
	if (new->restarts && buf_add(&b, &t, sizeof t) == 0 && buf_add(&b, a->body.data, a->body.len) == 0)
		estate_put(n, ESTATE_ACTOR, &number, sizeof number, span_buf(&b));
	buf_release(&b);
}

void
actor_unnote(struct node *n, uint64_t number)
{
	estate_del(n, ESTATE_ACTOR, &number, sizeof number);
	estate_del(n, ESTATE_LIFE, &number, sizeof number);
	estate_del(n, ESTATE_LEAVING, &number, sizeof number);
}

/* it is made again, to finish what it was sent, but is no member that stays */
void
actor_note_leaving(struct node *n, uint64_t number)
{
	estate_put(n, ESTATE_LEAVING, &number, sizeof number, span_of("", 0));
}

void
actor_note_life(struct node *n, const struct actor_life *a)
{
	struct life l = { a->restarts, a->incarnation };

	if (a->restarts)
		estate_put(n, ESTATE_LIFE, &a->number, sizeof a->number, span_of(&l, sizeof l));
	else
		actor_unnote(n, a->number);	/* the next death is its last */
}

/* --- of the daemon before --------------------------------------------------------------------------------------- */

static void
listed(void *list, struct span key, struct span val)
{
	uint64_t number;

	(void)val;
	memcpy(&number, key.p, sizeof number);
	numbers_add(list, number);
}

void
actors_list(struct node *n, struct buf *list)
{
	estate_each(n, ESTATE_ACTOR, listed, list);
}

struct before {
	struct node *n;
	struct map lives;		/* number -> const unsigned char *: struct life */
	struct map leaving;
};

static void
left(void *ctx, struct span key, struct span val)
{
	static char yes;
	struct before *b = ctx;
	uint64_t number;

	(void)val;
	memcpy(&number, key.p, sizeof number);
	map_put(&b->leaving, number, &yes);
}

static void
lived(void *ctx, struct span key, struct span val)
{
	struct before *b = ctx;
	uint64_t number;

	memcpy(&number, key.p, sizeof number);
	if (val.n == sizeof(struct life))
		map_put(&b->lives, number, (void *)(uintptr_t)val.p);
}

static void
noted(void *ctx, struct span key, struct span val)
{
	struct before *b = ctx;
	struct node *n = b->n;
	struct actor_in in = { .kind = ACTOR_IN_HEIR, .text = "the node's daemon died, and its workers with it" };
	struct msg_actor_new new;
	struct ask a = { .body = BUF_INIT };
	struct life l = { 0, 1 };
	const unsigned char *p;
	bool leaving;
	struct note t;

	(void)key;
	if (val.n < sizeof t)
		return;
	memcpy(&t, val.p, sizeof t);
	leaving = map_get(&b->leaving, t.number) != NULL;
	if (msg_get_actor_new(&new, val.p + sizeof t, val.n - sizeof t) < 0 || (a.job = map_get(&n->jobs, t.job)) == NULL ||
	    res_of(n, &in.need, new.cpus, new.gpus, new.memory, &new.resources) < 0) {
		CTL(n, actor_note, .actor = t.number, .state = ACTOR_DEAD, .text = span_str(in.text));
		return;
	}
	l.restarts = new.restarts > UINT32_MAX ? UINT32_MAX : (uint32_t)new.restarts;
	if ((p = map_get(&b->lives, t.number)) != NULL)
		memcpy(&l, p, sizeof l);
	in.restarts = l.restarts == UINT32_MAX ? UINT32_MAX : l.restarts - 1;
	in.incarnation = l.incarnation + 1;
	in.actor = t.number;
	in.proc = a.proc = t.creator;
	in.req = a.req = t.req;
	in.job = t.job;
	in.namespace = span_buf(&a.job->namespace);
	in.new = &new;
	in.set = a.set = t.set;
	in.rank = a.rank = t.rank;
	new.pgroup = t.pgroup;
	new.bundle = t.bundle;
	a.job->refs++;				/* as in actors_made */
	if (buf_add(&a.body, val.p + sizeof t, val.n - sizeof t) == 0)
		actor_note(n, &a, &new, t.number);
	buf_release(&a.body);
	actors_step(n, &in);
	if (leaving)
		actor_note_leaving(n, t.number);
	if (t.set && !sets_held(n, t.set, t.rank, t.number, leaving))
		actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_KILL, .actor = t.number });
	else if (actor_get(&n->actor, t.number))
		actor_note_life(n, actor_get(&n->actor, t.number));
}

void
actors_inherit(struct node *n)
{
	struct before b = { .n = n };

	estate_each(n, ESTATE_LIFE, lived, &b);
	estate_each(n, ESTATE_LEAVING, left, &b);
	estate_each(n, ESTATE_ACTOR, noted, &b);
	map_release(&b.lives);
	map_release(&b.leaving);
}
