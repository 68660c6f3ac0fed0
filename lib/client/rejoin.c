/*
 * rejoin - the node daemon died and another one takes over: this program stays, with all its objects.
 *
 * The workers died with the daemon: what ran there is tried again as after any death, uncharged.  Actors and sets are made
 * again, placement groups reserved again: we say what we know of and are told how it is.  Channels go on, if the other end lives.
 * What was asked is asked again, with the same number, and done once; or fails: it may or may not have been done.
 *
 * The new daemon listens where the old one did (its keeper holds the socket), so we connect at once, say who we are, and what is sent from here on goes out with its WELCOME.  Should that one die too before it has answered, the same
 * goes to the next.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "client/inner.h"
#include "os/fd.h"
#include "os/sock.h"
#include "wire/frame.h"
#include "wire/le.h"

enum { TRIES = 100 };			/* daemons in a row that died, or hung up, before they had welcomed us */

static const char gone[] = "the node's daemon died, and its workers with it";
static const char unknown[] = "the node's daemon died: it may or may not have been done";

static int
reconnect(const struct client *c)
{
	int dir = c->home.dir[0] ? open(c->home.dir, O_PATH|O_DIRECTORY|O_CLOEXEC) : AT_FDCWD, sock;

	if (dir < 0 && dir != AT_FDCWD)
		return -errno;
	sock = sock_connect(dir, c->home.name);
	if (dir >= 0)
		close(dir);
	return sock;
}

static int
say_who(const struct client *c, int sock)
{
	const char *name = c->home.as, *ns = c->home.namespace;
	int fds[3] = { c->home.page, c->home.slab, c->home.err }, n = fcntl(c->home.err, F_GETFD) >= 0 ? 3 : 2, e;
	struct buf b = BUF_INIT;

	e = msg_put_rejoin(&b, &(struct msg_rejoin){ .proto = MSG_PROTO, .proc = c->me.proc,
	    .bell = c->me.bell, .name = span_of(name, strlen(name)), .namespace = span_of(ns, strlen(ns)),
	    .output = c->home.output });
	if (e == 0)
		e = home_send(sock, &b, fds, n);
	buf_release(&b);
	return e;
}

/* --- what we have ------------------------------------------------------------------------------------------------------ */

enum { OWNED_PART = 48 << 10 };		/* bytes of one message */

static void
owned_send_l(struct client *c, struct buf *lie, struct buf *away, bool last)
{
	LINK_SEND(c, owned, .objects = span_of(lie->data, lie->len), .away = span_of(away->data, away->len), .last = last);
	lie->len = away->len = 0;
}

/*
 * Our objects that are left.  What a dead worker made for us and did not tell, or was told to free and did not, is not among
 * them, and the node takes it back; what it may move it has to know again.
 */
static void
owned_l(struct client *c)
{
	uint32_t chunks = (uint32_t)((uint64_t)c->slab.next * SLAB_UNIT / SLAB_CHUNK), per = SLAB_CHUNK / SLAB_UNIT;
	struct buf lie = BUF_INIT, away = BUF_INIT;

	for (uint32_t k = 0; k < chunks; k++)
		for (uint32_t u = k * per; c->slab.chunk_class && c->slab.chunk_class[k] == 1 && u < (k + 1) * per; u++) {
			const struct rec *r = u ? slab_at(&c->slab, u) : NULL;
			struct rec_where w;
			unsigned char p[16];
			struct id id;

			if (!r || r->state != REC_READY || r->kind < REC_ARENA || r->flags & REC_BORROWED)
				continue;
			memcpy(&w, r->inl, sizeof w);
			if (r->kind == REC_ARENA) {
				le_put64(p, w.off);
				le_put32(p + 8, w.gen);
				buf_add(&lie, p, 12);
			} else {
				id = rec_id(c, r);
				le_put32(p, id.node);
				le_put32(p + 4, id.proc);
				le_put64(p + 8, id.seq);
				buf_add(&away, p, 16);
			}
			if (lie.len + away.len > OWNED_PART)
				owned_send_l(c, &lie, &away, false);
		}
	owned_send_l(c, &lie, &away, true);
	buf_release(&lie);
	buf_release(&away);
}

/* --- what the dead one had not heard, or not done --------------------------------------------------------------------- */

/* An object that nobody of us knows any more: the word to free it, ours or the node's, was on its way. */
static void
found_l(void *ctx, struct id id, uint64_t off, uint32_t gen, uint32_t keep)
{
	struct client *c = ctx;
	unsigned char p[12];

	if (keep & OBJ_KEEP || id.node != c->me.node || id.proc != c->me.proc || away_known_l(c, id.seq, keep))
		return;
	le_put64(p, off);
	le_put32(p + 8, gen);
	LINK_SEND(c, free, .objects = span_of(p, sizeof p), .spare = 1);
}

static void
unheard_l(void *ctx, uint64_t off, uint64_t bytes)
{
	struct client *c = ctx;

	LINK_SEND(c, unlend, .off = off, .bytes = bytes);
}

/* --- what died with it ------------------------------------------------------------------------------------------------ */

static void
requests_again_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->request, &it)) {
		struct request *rq = it.val;

		if (rq->type)
			continue;
		rq->rows.len = 0;
		if (rq->sent.len == 0 || buf_add(&c->out, rq->sent.data, rq->sent.len) < 0)
			link_unanswered(rq, ERR_CLOSED, unknown);
	}
}

/* those that can be are made again; we say which ones we hold, and are told */
static void
actors_again_l(struct client *c)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&c->actor, &it))
		actor_rejoin_l(c, it.val);
}

/* nobody but us is known to live; other programs that held something of ours ask again */
static void
holders_die_l(struct client *c)
{
	struct map procs = MAP_INIT;
	struct idmap_iter ib = IDMAP_ITER;
	struct map_iter it = MAP_ITER;
	static char yes;

	while (map_next(&c->side, &it)) {
		const struct side *s = it.val;

		for (unsigned i = 0; i < s->nholder; i++)
			map_put(&procs, s->holder[i].proc, &yes);
	}
	while (idmap_next(&c->borrowed, &ib))
		if (ib.key.node == c->me.node)
			map_put(&procs, ib.key.proc, &yes);
	map_del(&procs, c->me.proc);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&procs, &it))
		proc_dead_l(c, (uint32_t)it.key, (uint32_t)c->me.node, (uint32_t)it.key, gone);
	map_release(&procs);
}

static void
all_die_l(struct client *c)
{
	c->drops.len = c->holds.len = 0;
	chans_die_l(c);
	for (unsigned i = 0; i < c->nlease; i++)
		if (c->lease[i])
			lease_dead_l(c, c->lease[i], ERR_CRASHED, false, gone);
	holders_die_l(c);
	c->out.len = 0;				/* ABANDON, FREE: of the last daemon's processes; OWNED says it all */
	arena_unheard(&c->arena, unheard_l, c);
	owned_l(c);
	actors_again_l(c);
	groups_again_l(c);
	sets_again_l(c);
	buf_add(&c->out, c->unsure.data, c->unsure.len);
	requests_again_l(c);
	for (unsigned i = 0; i < c->nshape; i++)
		c->shape[i]->asked = 0;
	for (unsigned i = 0; i < c->nshape; i++)
		feed_l(c, c->shape[i]);
}

int
rejoin_l(struct client *c)
{
	bool again = c->rejoining;
	int sock, e;

	if (c->worker || c->me.job == 0 || c->leaving || c->rejoins++ == TRIES || (sock = reconnect(c)) < 0)
		return ERR_CLOSED;
	if ((e = say_who(c, sock)) < 0 || (e = fd_nonblock(sock)) < 0) {
		close(sock);
		return e;
	}
	for (unsigned i = 0; i < c->nfds; i++)
		close(c->fds[i]);
	c->nfds = 0;
	c->in.len = 0;
	c->corked = false;
	c->rejoining = true;
	if (dup3(sock, c->sock, O_CLOEXEC) < 0) {	/* others may be waiting for its number */
		close(sock);
		return -errno;
	}
	close(sock);
	if (!again)				/* else all that we have to say still waits for a WELCOME */
		all_die_l(c);
	bell_ring(c->np, c->bell);
	return 0;
}

/* WELCOME of a daemon that knows us */
int
rejoined_l(struct client *c, const struct msg_welcome *m)
{
	if (!c->rejoining || m->proc != c->me.proc || m->node != c->me.node)
		return ERR_PROTO;
	c->me.job = m->job;
	snprintf(c->namespace, sizeof c->namespace, "%.*s", (int)m->namespace.n, (const char *)m->namespace.p);
	c->me.namespace = span_of(c->namespace, strlen(c->namespace));
	c->rejoining = false;
	c->rejoins = 0;
	arena_rejoin(&c->arena, found_l, c);
	link_flush_l(c);
	bell_ring(c->np, c->bell);
	return 0;
}
