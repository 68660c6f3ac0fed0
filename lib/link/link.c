/* link.c - the threads, and what goes to the node */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "link/inner.h"
#include "wire/le.h"

enum { NEWS_HEAD = 16 };

void
link_take(struct link *l)
{
	pthread_mutex_lock(&l->lock);
}

void
link_drop(struct link *l)
{
	struct bell *v[LINK_RUNG];
	unsigned n = l->nrung;

	memcpy(v, l->rung, n * sizeof *v);
	l->nrung = 0;
	pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < n; i++)
		bell_ring(l->o.np, v[i]);
}

void
link_ring(struct link *l, struct bell *b)
{
	l->stirred = true;
	for (unsigned i = 0; i < l->nrung; i++)
		if (l->rung[i] == b)
			return;
	if (l->nrung == LINK_RUNG)
		bell_ring(l->o.np, b);
	else
		l->rung[l->nrung++] = b;
}

/* --- for the node --------------------------------------------------------------------------------------------- */

void
link_tell(struct link *l, enum link_news_kind kind, uint32_t node, uint16_t type, struct span body)
{
	unsigned char head[NEWS_HEAD];

	le_put32(head, kind);
	le_put32(head + 4, node);
	le_put32(head + 8, type);
	le_put32(head + 12, (uint32_t)body.n);
	if (buf_reserve(&l->news, sizeof head + body.n) < 0)
		return;				/* as if the peer had not said it: the session breaks with the next allocation */
	buf_add(&l->news, head, sizeof head);
	buf_add(&l->news, body.p, body.n);
	if (!l->told) {
		l->told = true;
		l->o.news(l->o.arg);
	}
}

bool
link_next(struct link *l, struct link_news *news)
{
	const unsigned char *p;

	if (l->at == l->taken.len) {
		l->taken.len = l->at = 0;
		link_take(l);
		struct buf b = l->taken;
		l->taken = l->news;
		l->news = b;
		l->told = false;
		if (l->full) {
			l->full = false;
			ev_async_send(l->loop, &l->wake);
		}
		link_drop(l);
		if (l->taken.len == 0)
			return false;
	}
	p = l->taken.data + l->at;
	*news = (struct link_news){ (enum link_news_kind)le_get32(p), le_get32(p + 4), (uint16_t)le_get32(p + 8),
	    span_of(p + NEWS_HEAD, le_get32(p + 12)) };
	l->at += NEWS_HEAD + news->body.n;
	return true;
}

void
link_push(struct link *l)
{
	struct map_iter it = MAP_ITER;

	conn_set_flush(&l->conns);
	while (map_next(&l->peers, &it)) {
		const struct peer *p = it.val;

		for (int k = 0; k < LANES; k++)
			if (p->lane[k].conn && conn_waits(p->lane[k].conn)) {	/* the socket took no more: its thread is to see when it does */
				ev_async_send(l->loop, &l->wake);
				return;
			}
	}
}

int
link_peer(struct link *l, uint32_t node, const char *address)
{
	struct peer *p;
	int e = 0;

	link_take(l);
	if ((p = peer_get(l, node)) == NULL)
		e = -ENOMEM;
	else if (!(p->address && address && strcmp(p->address, address) == 0)) {
		free(p->address);
		p->address = address ? strdup(address) : NULL;
		if (address && p->address == NULL)
			e = -ENOMEM;
		peer_moved(p);
	}
	link_drop(l);
	return e;
}

void
link_gone(struct link *l, uint32_t node)
{
	struct peer *p;

	link_take(l);
	if ((p = map_del(&l->peers, node)) != NULL)
		peer_end(p);
	link_drop(l);
}

int
link_send(struct link *l, uint32_t node, enum session_class class, const void *frame, size_t n)
{
	struct peer *p;
	int e;

	link_take(l);
	if ((p = map_get(&l->peers, node)) == NULL)
		e = ERR_NOTFOUND;
	else if ((e = session_push(&p->s, class, frame, n)) < 0)
		peer_wrong(p, e == ERR_FULL ? "64 MiB wait for it" : err_str(e));
	else {
		peer_pump(p);
		link_push(l);
		if (p->lane[LANE_SMALL].conn == NULL)
			ev_async_send(l->loop, &l->wake);	/* to be connected */
	}
	link_drop(l);
	return e;
}

void
link_wrong(struct link *l, uint32_t node, const char *why)
{
	struct peer *p;

	link_take(l);
	if ((p = map_get(&l->peers, node)) != NULL)
		peer_wrong(p, why);
	link_drop(l);
}

bool
link_state(struct link *l, uint32_t node, struct link_peer_state *s)
{
	const struct peer *p;

	link_take(l);
	if ((p = map_get(&l->peers, node)) != NULL) {
		*s = (struct link_peer_state){ p->lane[LANE_SMALL].up, p->s.next - 1, p->s.received, p->s.kept.b.len - p->s.kept.off, "" };
		memcpy(s->why, p->why, sizeof s->why);
	}
	link_drop(l);
	return p != NULL;
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

static void
release(struct ev_loop *loop)
{
	struct link *l = ev_userdata(loop);

	rings_linger(l);
	link_drop(l);
}

static void
acquire(struct ev_loop *loop)
{
	struct link *l = ev_userdata(loop);

	link_take(l);
	bell_borrow(l->o.np, l->bell);
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w, (void)revents;
	peers_tick(ev_userdata(loop));
}

static void
on_wake(struct ev_loop *loop, ev_async *w, int revents)
{
	struct link *l = ev_userdata(loop);

	(void)w, (void)revents;
	if (l->stopping)
		ev_break(loop, EVBREAK_ALL);
	else
		peers_tick(l);
}

static void *
sockets(void *arg)
{
	struct link *l = arg;

	link_take(l);
	ev_run(l->loop, 0);
	link_drop(l);
	return NULL;
}

static int
prepare(struct link *l)
{
	if ((l->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK)) == NULL)
		return -ENOMEM;
	ev_set_userdata(l->loop, l);
	ev_set_loop_release_cb(l->loop, release, acquire);
	conn_set_init(&l->conns, l->loop);
	ev_async_init(&l->wake, on_wake);
	ev_async_start(l->loop, &l->wake);
	ev_init(&l->timer, on_timer);
	if (l->o.listen >= 0) {
		listener_init(&l->listen, l->loop, l->o.listen);
		l->listen.tcp = true;
		l->listen.owner = l;
		l->listen.on_accept = door_accept;
		listener_start(&l->listen);
	}
	return 0;
}

int
link_start(struct link **out, const struct link_opts *o, char *why, size_t n)
{
	struct link *l = calloc(1, sizeof *l);
	sigset_t all, was;
	int e;

	if (l == NULL) {
		if (o->listen >= 0)
			close(o->listen);
		snprintf(why, n, "out of memory");
		return -ENOMEM;
	}
	l->o = *o;
	bulk_start(l);
	list_init(&l->works_over);
	list_init(&l->submits_over);
	l->bell = &l->o.np->bell[l->o.bell];
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->strangers);
	if ((e = slab_init(&l->slab, o->slab)) == 0 && (e = prepare(l)) == 0) {
		sigfillset(&all);		/* signals are the node's */
		pthread_sigmask(SIG_SETMASK, &all, &was);
		if ((e = -pthread_create(&l->sockets, NULL, sockets, l)) == 0) {
			l->started = true;
			l->ringing = (e = rings_start(l)) == 0;
		}
		pthread_sigmask(SIG_SETMASK, &was, NULL);
	}
	if (e < 0) {
		snprintf(why, n, "cannot start the link to other nodes: %s", err_str(e));
		link_stop(l);
		return e;
	}
	*out = l;
	return 0;
}

void
link_stop(struct link *l)
{
	if (l == NULL)
		return;
	if (l->started) {
		link_take(l);
		l->stopping = true;
		ev_async_send(l->loop, &l->wake);
		link_drop(l);
		pthread_join(l->sockets, NULL);
	}
	if (l->ringing)
		rings_stop(l);
	if (l->loop) {
		door_stop(l);
		peers_stop(l);
		lookup_stop(l);
		if (l->o.listen >= 0)
			listener_stop(&l->listen);
		ev_async_stop(l->loop, &l->wake);
		ev_timer_stop(l->loop, &l->timer);
		conn_set_release(&l->conns);
		ev_loop_destroy(l->loop);
	} else if (l->o.listen >= 0)
		close(l->o.listen);
	bulk_stop(l);
	if (l->slab.base)
		slab_release(&l->slab);
	map_release(&l->peers);
	buf_release(&l->news);
	buf_release(&l->taken);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
