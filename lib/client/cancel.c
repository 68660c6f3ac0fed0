/*
 * cancel - ending tasks before their time: queued ones are taken back, running ones are asked, then killed.
 *
 * The claim word decides: what was not claimed never runs.  For what was, the owner marks the record, which the
 * worker can read, and rlet, which has the worker's pidfd, sends it SIGURG; the rest is the worker's (script/cancel.c).
 * Children are found by the parent that their context names, members of a scope by its number.
 */
#include <signal.h>
#include <unistd.h>
#include "base/grow.h"
#include "base/hash.h"
#include "client/inring.h"
#include "client/serve.h"

struct scope {
	uint64_t id, parent;
	struct scope *next;
};

/* --- one task ------------------------------------------------------------------------------------------------- */

static bool
take_l(struct client *c, struct lease *l, struct rec *r)
{
	uint32_t u = slab_unit(&c->slab, r);
	struct ring_sub *g = &l->ring;

	ring_unclaimed(g, 0);
	for (uint64_t pos = g->tail; pos-- > g->seen;) {
		uint64_t w = atomic_load_explicit(&g->shm->word[pos % RING_WORDS], memory_order_acquire);

		if ((uint32_t)w == u && ring_claim_of(w) == RING_QUEUED)
			return ring_revoke(g, pos, u);
	}
	return false;
}

bool
lease_revoke_l(struct client *c, struct rec *r, int code, const char *text)
{
	struct lease *l = r->link == OWN ? NULL : c->lease[r->link];
	struct shape *s;
	struct actor *a;

	if (!l || !take_l(c, l, r))
		return false;
	s = l->shape;
	a = l->actor;
	lease_less_l(c, l);
	rec_fail_l(c, r, code, text);
	rec_unref_l(c, r);
	if (a)
		actor_call_end_l(c, a);
	else if (s->queued)
		feed_l(c, s);
	return true;
}

static bool
is_program(struct client *c, const struct rec *r)	/* no Lua runs that could be asked */
{
	const struct fnblk *b = slab_at(&c->slab, r->fn);

	return b->kind == FN_COMMAND || b->kind == FN_LINES;
}

void
cancel_ask_l(struct client *c, struct rec *r, unsigned how, uint64_t kill_at)
{
	const struct side *s = side_find_l(c, r);
	uint8_t flags = r->flags;

	if (!(flags & REC_CANCEL) && how & CANCEL_ALONE)
		flags |= REC_SPARE;
	else if (!(how & CANCEL_ALONE))
		flags &= (uint8_t)~REC_SPARE;
	__atomic_store_n(&r->flags, flags | REC_CANCEL, __ATOMIC_RELEASE);
	if (r->link == OWN)
		pthread_kill(c->main, SIGURG);
	else
		LINK_SEND(c, cancel, .lease = c->lease[r->link]->number, .slot = slab_unit(&c->slab, r), .task = r->seq, .spare = (flags & REC_SPARE) != 0,
		    .late = s && s->late);
	if (is_program(c, r))
		kill_at = clock_ns();
	if (kill_at)
		timer_set_l(c, r, TIMER_KILL, kill_at);
}

/* rlet kills only what it sees running, unless the worker can be busy with nothing else; so ask again until it is dead */
void
cancel_kill_l(struct client *c, struct rec *r)
{
	struct lease *l;

	if (r->state != REC_PUSHED)
		return;
	if (r->link == OWN) {			/* it runs in this very process and will not let go of it */
		kill(getpid(), SIGKILL);
		return;
	}
	l = c->lease[r->link];
	if (l->actor) {				/* not killed for one slow call: its end is not awaited */
		rec_fail_l(c, r, ERR_TIMEOUT, "the call took longer than its timeout");
		return;
	}
	lease_takeback_l(c, l);
	l->slow = true;
	LINK_SEND(c, kill, .lease = l->number, .task = l->inflight == 1 ? 0 : r->seq);
	timer_set_l(c, r, TIMER_KILL, clock_ns() + CANCEL_GRACE_NS);
	if (l->shape->queued)
		feed_l(c, l->shape);
}

/* What it made in spite of being told does not count: who was told that it ends does not get a value by chance. */
bool
cancel_end_l(struct client *c, struct rec *r, bool error)
{
	struct side *s = side_find_l(c, r);

	r->flags &= (uint8_t)~(REC_CANCEL|REC_SPARE);
	if (error)
		return false;
	if (s && s->late)
		rec_fail_l(c, r, ERR_TIMEOUT, LATE_TEXT);
	else
		rec_fail_l(c, r, ERR_CANCELLED, CANCEL_TEXT);
	return true;
}

static void
seen_l(struct client *c, struct rec *r)		/* who cancels does not have to be told that it failed */
{
	struct side *s = side_find_l(c, r);

	r->flags |= REC_SEEN;
	for (unsigned i = 0; s && i < s->nchild; i++)
		((struct rec *)slab_at(&c->slab, s->child[i]))->flags |= REC_SEEN;
}

static void
unqueue_l(struct client *c, struct rec *r)
{
	struct side *s = side_find_l(c, r);

	if (r->state == REC_WAITING && s->what == TIMER_RETRY) {
		c->queued--;
		rec_fail_l(c, r, ERR_CANCELLED, CANCEL_TEXT);
		rec_unref_l(c, r);
		return;
	}
	if (r->state == REC_WAITING)
		s->late = true;
	task_expire_l(c, r, ERR_CANCELLED, CANCEL_TEXT);
}

static int
end_l(struct client *c, struct rec *r, unsigned how)
{
	if (r->state == REC_READY)
		return 0;
	seen_l(c, r);
	if (r->state != REC_PUSHED) {
		unqueue_l(c, r);
		return 1;
	}
	if (lease_revoke_l(c, r, ERR_CANCELLED, CANCEL_TEXT))
		return 1;
	cancel_ask_l(c, r, how, how & CANCEL_FORCE && fn_of(c, r->fn)->shape ? clock_ns() + CANCEL_GRACE_NS : 0);
	return 1;
}

/* the task that makes r; NULL: none of ours */
static struct rec *
maker_l(struct client *c, struct rec *r)
{
	struct rec *t;

	if (r->fn)
		return r;
	if (r->state != REC_PENDING || r->flags & REC_BORROWED || !r->link)
		return NULL;
	t = slab_at(&c->slab, r->link);		/* several returns: the record of the call */
	return t->fn && t->seq == (r->seq & ~(uint64_t)ID_RET_MAX) ? t : NULL;
}

int
cancel_l(struct client *c, struct rec *r, unsigned how)
{
	struct rec *t;

	if (r->flags & REC_BORROWED) {
		struct id id = rec_id(c, r);

		if (r->state == REC_READY)
			return 0;
		LINK_SEND(c, route, .proc = id.proc, .kind = ROUTE_CANCEL, .id = id, .arg = how, .node = id.node);
		return 1;
	}
	if ((t = maker_l(c, r)))
		return end_l(c, t, how);
	return r->state == REC_READY && r->seq & ID_RET_MAX ? 0 : ERR_VALUE;
}

int
client_cancel(struct client *c, struct rec *r, unsigned how)
{
	int e;

	lock_take(&c->lock);
	progress_l(c);				/* what has ended counts */
	e = cancel_l(c, r, how);
	lock_drop(&c->lock);
	return e;
}

bool
client_is_call(struct client *c, struct rec *r)
{
	struct rec *t;
	bool is;

	lock_take(&c->lock);
	t = maker_l(c, r);
	is = t && !fn_of(c, t->fn)->shape;
	lock_drop(&c->lock);
	return is;
}

/* --- many --------------------------------------------------------------------------------------------------------- */

struct which {
	struct client *c;
	struct id owner;		/* children of its task seq: node and process; or */
	uint64_t seq;
	uint64_t scope;			/* members of this scope */
};

static bool
within(const struct client *c, uint64_t scope, uint64_t outer)
{
	for (unsigned depth = 0; scope && depth < 64; depth++) {
		const struct scope *s = c->scopes;

		if (scope == outer)
			return true;
		while (s && s->id != scope)
			s = s->next;
		scope = s ? s->parent : 0;
	}
	return false;
}

static bool
meant(const struct which *w, const struct rec *r)
{
	const struct rec_context *x;

	if (r->state != REC_WAITING && r->state != REC_QUEUED && r->state != REC_PUSHED)
		return false;
	if (!r->fn || !(r->flags & REC_CONTEXT))
		return false;
	x = slab_at(&w->c->slab, r->ext);
	if (w->scope)
		return x->scope && within(w->c, x->scope, w->scope);
	return x->parent_proc == w->owner.proc && x->parent_node == w->owner.node && x->parent_seq == w->seq;
}

static void
all_l(struct client *c, const struct which *w)
{
	uint32_t chunks = (uint32_t)((uint64_t)c->slab.next * SLAB_UNIT / SLAB_CHUNK), per = SLAB_CHUNK / SLAB_UNIT;
	struct rec **v = NULL, **more;
	size_t n = 0, cap = 0;

	for (uint32_t k = 0; k < chunks; k++) {
		if (!c->slab.chunk_class || c->slab.chunk_class[k] != 1)
			continue;
		for (uint32_t u = k * per; u < (k + 1) * per; u++) {
			struct rec *r = slab_at(&c->slab, u);

			if (!meant(w, r))
				continue;
			if (!(more = grow(v, &cap, n, sizeof *v)))
				break;		/* the rest is not cancelled */
			v = more;
			r->count++;		/* the end of one may let go of another */
			v[n++] = r;
		}
	}
	for (size_t i = 0; i < n; i++) {
		end_l(c, v[i], 0);
		rec_unref_l(c, v[i]);
	}
	free(v);
}

void
cancel_scope_l(struct client *c, uint64_t scope)
{
	if (scope)
		all_l(c, &(struct which){ .c = c, .scope = scope });
}

/* --- the worker's end ------------------------------------------------------------------------------------------ */

int
serve_cancelled(struct client *c, const struct task_in *t, bool children)
{
	struct peerslab slab = { t->from ? t->from->slab.base : c->slab.base };
	const struct rec *r = peerslab_at(&slab, t->slot, sizeof *r);
	uint8_t flags = r ? __atomic_load_n(&r->flags, __ATOMIC_ACQUIRE) : 0;
	const struct rec_context *x;
	uint64_t deadline = 0;

	if (!(flags & REC_CANCEL) || r->seq != t->rec.seq)
		return 0;
	if (children && !(flags & REC_SPARE)) {
		lock_take(&c->lock);
		all_l(c, &(struct which){ .c = c, .owner = t->owner, .seq = t->rec.seq });
		lock_drop(&c->lock);
	}
	if (t->rec.flags & REC_CONTEXT && (x = peerslab_at(&slab, t->rec.ext, sizeof *x)) != NULL)
		deadline = __atomic_load_n(&x->deadline, __ATOMIC_RELAXED);	/* it may be past since the task was read */
	return deadline && clock_ns() >= deadline ? ERR_TIMEOUT : ERR_CANCELLED;
}

void
serve_scope(struct client *c, struct task_in *t)
{
	t->context.scope = c->context.scope;
}

/* --- scopes -------------------------------------------------------------------------------------------------------- */

struct scope *
client_scope_new(struct client *c)
{
	struct scope *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	lock_take(&c->lock);
	s->id = hash64((uint64_t[]){ c->me.node, c->me.proc, ++c->next_scope }, 3 * sizeof(uint64_t)) | 1;	/* one of the cluster's */
	s->parent = c->context.scope;
	s->next = c->scopes;
	c->scopes = s;
	lock_drop(&c->lock);
	return s;
}

uint64_t
client_scope_enter(struct client *c, const struct scope *s)
{
	uint64_t was = c->context.scope;

	client_scope_set(c, s->id);
	return was;
}

void
client_scope_set(struct client *c, uint64_t id)
{
	c->context.scope = id;
	c->inherits = c->in_task || id;
}

void
client_scope_cancel(struct client *c, struct scope *s)
{
	lock_take(&c->lock);
	cancel_scope_l(c, s->id);
	for (struct scope *t = c->scopes; t; t = t->next)
		if (within(c, t->id, s->id))
			LINK_SEND(c, cancel, .scope = t->id);
	lock_drop(&c->lock);
}

void
client_scope_free(struct client *c, struct scope *s)
{
	struct scope **p = &c->scopes;

	lock_take(&c->lock);
	while (*p && *p != s)
		p = &(*p)->next;
	if (*p)
		*p = s->next;
	lock_drop(&c->lock);
	free(s);
}
