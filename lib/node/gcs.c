#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "loop/tls.h"
#include "node/gcs_inner.h"
#include "node/node.h"
#include "os/dir.h"
#include "os/fd.h"
#include "os/sock.h"
#include "os/tcp.h"

enum {
	STRANGERS = 256,		/* connections that have not joined: beyond that the oldest goes */
	NODES = 10000,
	STRANGER_TIME = 5,		/* seconds in which a peer from elsewhere has to show the key and join, */
	STRANGER_HASTE = 1,		/* and while others wait at the door; */
	LOCK_TRIES = 50,
	LOCK_PAUSE = 10000,		/* microseconds between them */
	BACKLOG = 32 << 20,		/* bytes of changes that wait for the disk: then nothing more is read */
};

#define STRANGER_MUTE .2			/* one that has said nothing at all goes then */

/* --- sending what is durable ------------------------------------------------------------------------------------------ */

static void	drop(struct gcs_peer *p, int e);

/* what others are told, once what it depends on is durable */
static void
send_batch(struct gcs *g, const struct control_out *o)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct control_fx *fx = &o->fx[i];
		struct gcs_peer *p = fx->peer ? map_get(&g->peers, fx->peer) : NULL;

		if (fx->kind == CONTROL_FX_SEND && p) {
			size_t at = conn_out(p->c)->len;

			conn_done(p->c, at, buf_add(conn_out(p->c), o->bytes.data + fx->val, fx->nval), NULL, 0, 0);
		} else if (fx->kind == CONTROL_FX_UP && p) {
			gcs_nodes_up(p, fx->node);
		} else if (fx->kind == CONTROL_FX_DOWN) {
			gcs_nodes_down(g, fx->node, span_of(o->bytes.data + fx->val, fx->nval));
			gcs_groups_down(g, fx->node);
			if (p && fx->nval)
				drop(p, ERR_CLOSED);
		}
	}
}

/* The disk does not keep up: nodes wait, as their own limits tell them to, instead of our memory growing. */
static void
pause_all(struct gcs *g, bool on)
{
	struct map_iter it = MAP_ITER;

	if (g->paused == on)
		return;
	g->paused = on;
	while (map_next(&g->peers, &it))
		conn_pause(((struct gcs_peer *)it.val)->c, on);
}

/* Request 0: to all nodes, before the end; what waits for the failed commit is not answered. */
static void
tell_all(struct gcs *g, int e)
{
	char text[256];
	struct msg_fail m = { .code = e };
	struct map_iter it = MAP_ITER;

	snprintf(text, sizeof text, "cannot write the control store: %s", err_str(e));
	m.text = span_of(text, strlen(text));
	while (map_next(&g->peers, &it)) {
		struct conn *c = ((struct gcs_peer *)it.val)->c;
		size_t at = conn_out(c)->len;

		conn_done(c, at, msg_put_fail(conn_out(c), &m), NULL, 0, 0);
	}
	conn_set_flush(&g->conns);
}

static void
on_committed(struct ev_loop *loop, ev_async *w, int revents)
{
	struct gcs *g = w->data;
	struct gcs_disk_state disk = gcs_disk_look(&g->disk);
	struct gcs_batch *b;

	(void)loop, (void)revents;
	if (disk.backlog <= BACKLOG / 2)
		pause_all(g, false);
	if (disk.failed) {			/* nothing that depended on it has left: a restart finds the last good state */
		if (g->o.log)
			g->o.log(disk.failed, "cannot write the control store");
		tell_all(g, disk.failed);
		g->result = disk.failed;
		ev_break(g->loop, EVBREAK_ALL);
		return;
	}
	while ((b = g->waiting) != NULL && (b->out.n == 0 || b->out.fx[b->out.n - 1].commit <= disk.done)) {
		g->waiting = b->next;
		if (g->waiting == NULL)
			g->waiting_end = &g->waiting;
		send_batch(g, &b->out);
		gcs_batch_free(b);
	}
}

static void
wake(void *arg)				/* in the committer's thread */
{
	struct gcs *g = arg;

	ev_async_send(g->loop, &g->committed);
}

static bool
is_write(const struct control_fx *fx)
{
	return fx->kind == CONTROL_FX_PUT || fx->kind == CONTROL_FX_DEL;
}

/* what is written only, or what is not, with its bytes */
static struct gcs_batch *
part(const struct control_out *o, bool writes)
{
	struct gcs_batch *b = calloc(1, sizeof *b);

	if (b == NULL || (b->out.fx = calloc(o->n + 1, sizeof *b->out.fx)) == NULL ||
	    (o->bytes.len && buf_add(&b->out.bytes, o->bytes.data, o->bytes.len) < 0)) {
		if (b)
			gcs_batch_free(b);
		return NULL;
	}
	for (size_t i = 0; i < o->n; i++)
		if (is_write(&o->fx[i]) == writes)
			b->out.fx[b->out.n++] = o->fx[i];
	return b;
}

/* Hands this turn's effects on: writes to the committer, frames to those that wait for it, or out at once. */
static void
hand_on(struct gcs *g)
{
	struct gcs_batch *writes, *sends;
	struct gcs_disk_state disk;

	gcs_past_take(&g->past, g->disk.db, &g->out);
	writes = part(&g->out, true);
	sends = part(&g->out, false);
	if (writes == NULL || sends == NULL) {
		g->result = -ENOMEM;
		ev_break(g->loop, EVBREAK_ALL);
		return;
	}
	g->out.n = 0;
	g->out.bytes.len = 0;
	if (writes->out.n) {
		disk = gcs_disk_write(&g->disk, writes);
	} else {
		gcs_batch_free(writes);
		disk = gcs_disk_look(&g->disk);
	}
	if (disk.backlog > BACKLOG)
		pause_all(g, true);
	if (g->waiting == NULL && (sends->out.n == 0 || sends->out.fx[sends->out.n - 1].commit <= disk.done)) {
		send_batch(g, &sends->out);
		gcs_batch_free(sends);
		return;
	}
	*g->waiting_end = sends;
	g->waiting_end = &sends->next;
}

static void
on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct gcs *g = w->data;

	(void)loop, (void)revents;
	do {
		if (g->out.n)
			hand_on(g);
		conn_set_flush(&g->conns);	/* may find that a peer is gone */
	} while (g->out.n && g->result == 0);
}

/* --- nodes --------------------------------------------------------------------------------------------------------------- */

static void
rearm(struct gcs *g)
{
	uint64_t now = gcs_now(g), most = g->nodes.clock.gap / 2, in;

	ev_timer_stop(g->loop, &g->timer);
	if (g->out.at) {
		in = g->out.at > now ? g->out.at - now : 0;
		ev_now_update(g->loop);
		ev_timer_set(&g->timer, (double)(in < most ? in : most) / 1e9, 0.);
		ev_timer_start(g->loop, &g->timer);
	}
}

static void
on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gcs *g = w->data;

	(void)loop, (void)revents;
	control_tick(&g->core, gcs_now(g), &g->out);
	rearm(g);
}

/* --- peers ------------------------------------------------------------------------------------------------------------------ */

static void
known(struct gcs_peer *p)			/* no stranger any more */
{
	if (list_empty(&p->link))
		return;
	list_del(&p->link);
	list_init(&p->link);
	if (--p->g->nstrangers == 0)
		ev_timer_stop(p->g->loop, &p->g->limit);
	if (p->g->open && p->g->door.paused && p->g->nstrangers < STRANGERS)
		listener_pause(&p->g->door, false);
}

static int
on_frame(struct conn *c, const struct frame *f, int *fds, unsigned nfd)
{
	struct gcs_peer *p = c->owner;
	struct gcs *g = p->g;
	bool idle = g->out.at == 0;
	int e;

	(void)fds, (void)nfd;
	if (f->type == MSG_NODE_LOAD_T)
		return gcs_nodes_load(p, f);
	if (f->type == MSG_PAST_T)
		return p->joined ? gcs_past_frame(p, f) : ERR_PROTO;
	if (f->type == MSG_NODE_JOIN_T) {
		if ((e = gcs_nodes_join(p, f)) < 0)
			return e;
		p->joined = true;
		known(p);
	}
	if (f->type == MSG_HEARTBEAT_T && p->joined && !control_joined(&g->core, p->number))
		return 0;			/* it is refused, and has yet to read that */
	e = control_step(&g->core, gcs_now(g), p->number, f, &g->out);
	if (e == 0 && f->type == MSG_NODE_JOIN_T && control_joined(&g->core, p->number))
		gcs_nodes_coming(p);
	if (e == 0 && f->type == MSG_HEARTBEAT_T)
		gcs_nodes_beat(p, f);
	else if (e == 0)
		e = gcs_groups_frame(p, f);
	if (idle && g->out.at)
		rearm(g);
	return e;
}

static void
on_close(struct conn *c, int e)
{
	struct gcs_peer *p = c->owner;
	struct gcs *g = p->g;
	char text[TCP_NAME], line[TCP_NAME + 200];

	if (c->alien && !p->joined) {
		size_t at = conn_out(c)->len;

		snprintf(line, sizeof line, "it speaks version %u of rota's protocol, the node %u", MSG_PROTO, c->alien);
		conn_done(c, at, msg_put_fail(conn_out(c), &(struct msg_fail){ .code = ERR_PROTO, .text = span_text(line) }), NULL, 0, 0);
	}
	if (e == -ENOBUFS && g->o.log)
		g->o.log(0, "a node is dropped: it does not read what it is sent, or sends too much at once");
	if (e == ERR_KEY && g->o.log) {
		tcp_peer(c->io.fd, text);
		snprintf(line, sizeof line, "%s: %s", text, conn_why(c));
		g->o.log(0, line);
	}
	known(p);
	map_del(&g->peers, p->number);
	gcs_groups_gone(p);
	gcs_nodes_gone(p);
	control_gone(&g->core, gcs_now(g), p->number, &g->out);
	free(p);
	rearm(g);
}

static void
drop(struct gcs_peer *p, int e)
{
	struct conn *c = p->c;

	on_close(c, e);
	conn_end(c);
}

static void
on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct gcs *g = w->data;
	bool haste = g->open && g->door.paused;

	(void)revents;
	list_each_safe(l, next, &g->strangers) {
		struct gcs_peer *p = list_entry(l, struct gcs_peer, link);

		if (p->c->tls && ev_now(loop) - p->since >= (!haste ? STRANGER_TIME : p->c->spoke ? STRANGER_HASTE : STRANGER_MUTE))
			drop(p, ERR_CLOSED);
	}
}

static void
on_accept(struct listener *l, int fd, pid_t pid)
{
	struct gcs *g = l->owner;
	struct conn *c = conn_new(&g->conns, fd);
	struct gcs_peer *p = c ? calloc(1, sizeof *p) : NULL;

	(void)pid;
	if (c == NULL) {
		close(fd);
		return;
	}
	if (p == NULL || (l->tcp && conn_secure(c, g->tls, true) < 0) || g->peers.n >= NODES + STRANGERS ||
	    map_put(&g->peers, ++g->next_peer, p) < 0) {
		free(p);
		conn_end(c);
		return;
	}
	*p = (struct gcs_peer){ .g = g, .number = g->next_peer, .c = c, .since = ev_now(g->loop) };
	list_init(&p->follower);
	c->owner = p;
	c->max = FRAME_MAX;		/* NODE_JOIN names all that a node has; who is elsewhere has shown the key before */
	c->on_frame = on_frame;
	c->on_close = on_close;
	list_add_tail(&g->strangers, &p->link);
	if (g->nstrangers++ == 0)
		ev_timer_again(g->loop, &g->limit);
	if (g->paused)
		conn_pause(c, true);
	if (l->tcp && g->nstrangers >= STRANGERS)	/* as when all start at once: they come in turns */
		listener_pause(l, true);
	if (g->nstrangers > STRANGERS)
		drop(list_entry(g->strangers.next, struct gcs_peer, link), ERR_CLOSED);
}

static void
on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)w, (void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* --- start and end ---------------------------------------------------------------------------------------------------------- */

int
gcs_dir(const char *given, char *path, size_t n, char *why, size_t nwhy)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len, fd;

	if (given)
		len = snprintf(path, n, "%s", given);
	else if (state && *state == '/')
		len = snprintf(path, n, "%s/rota", state);
	else if (home && *home == '/')
		len = snprintf(path, n, "%s/.local/state/rota", home);
	else {
		snprintf(why, nwhy, "no place for the control store: HOME is not set; use --dir");
		return -ENOENT;
	}
	if (len >= (int)n) {
		snprintf(why, nwhy, "'%.400s...' is too long a name", path);
		return -ENAMETOOLONG;
	}
	while (len > 1 && path[len - 1] == '/')		/* a link with a slash behind it would be followed */
		path[--len] = '\0';
	for (char *p = path + 1; ; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST) {
			int e = -errno;

			snprintf(why, nwhy, "cannot create '%s': %s", path, err_str(e));
			return e;
		}
		*p = c;
		if (c == '\0')
			break;
	}
	if ((fd = dir_own(path)) < 0)
		snprintf(why, nwhy, "no place for the control store: %s", dir_why());
	return fd;
}

static int
lock_dir(struct gcs *g, const char *path, char *why, size_t nwhy)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int e;

	if ((g->lock = dir_file(g->state, path, "gcs.lock", O_RDWR | O_CREAT)) < 0) {
		snprintf(why, nwhy, "%s", dir_why());
		return g->lock;
	}
	/* one that was killed may be on its way out still */
	for (int tries = 0; (e = fcntl(g->lock, F_OFD_SETLK, &fl)) < 0 && (errno == EAGAIN || errno == EACCES) && tries < LOCK_TRIES; tries++)
		usleep(LOCK_PAUSE);
	if (e < 0) {
		e = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		snprintf(why, nwhy, e == -EBUSY ? "a control store runs already on '%s'" : "cannot lock '%s'", path);
		return e;
	}
	return 0;
}

/* the socket for nodes of this machine */
static int
listen_here(struct gcs *g, const char *dirname, char *why, size_t nwhy)
{
	int fd = g->o.kept;

	if (fd >= 0)
		return fd;
	if ((fd = sock_connect(g->dir, NODE_GCS)) >= 0) {
		close(fd);
		snprintf(why, nwhy, "a control store runs already at '%s/" NODE_GCS "'", dirname);
		return -EBUSY;
	}
	unlinkat(g->dir, NODE_GCS, 0);
	if ((fd = sock_listen(g->dir, NODE_GCS)) < 0)
		snprintf(why, nwhy, "cannot listen at '%s/" NODE_GCS "': %s", dirname, err_str(fd));
	return fd;
}

static int
load_row(void *ctx, const void *key, size_t nkey, const void *val, size_t nval)
{
	struct gcs *g = ctx;

	if (nkey > strlen(GCS_GROUP_KEY) && memcmp(key, GCS_GROUP_KEY, strlen(GCS_GROUP_KEY)) == 0)
		return gcs_groups_load(g, span_of(val, nval));
	if (nkey > strlen(GCS_PAST) && memcmp(key, GCS_PAST, strlen(GCS_PAST)) == 0)
		return 1;			/* what is over is read when it is asked for */
	return control_load(&g->core, key, nkey, val, nval);
}

static int
start(struct gcs *g, char *why, size_t nwhy)
{
	char path[1024], dirname[512];
	int e, fd;

	if ((e = g->state = gcs_dir(g->o.dir, path, sizeof path, why, nwhy)) < 0 || (e = lock_dir(g, path, why, nwhy)) < 0 ||
	    (e = gcs_disk_load(&g->disk, g->state, path, &g->core, load_row, g, why, nwhy)) < 0)
		return e;
	if ((e = gcs_past_load(&g->past, g->disk.db)) < 0) {
		snprintf(why, nwhy, "cannot read '%s/gcs.db': %s", path, err_str(e));
		return e;
	}
	gcs_nodes_start(g);
	gcs_groups_start(g);
	if ((g->dir = dir_open(dirname, sizeof dirname)) < 0) {
		snprintf(why, nwhy, "%s", dir_why());
		return g->dir;
	}
	if ((fd = listen_here(g, dirname, why, nwhy)) < 0)
		return fd;
	listener_init(&g->listen, g->loop, fd);
	g->listening = true;
	g->listen.owner = g;
	g->listen.on_accept = on_accept;
	listener_start(&g->listen);
	if (g->o.listen && (e = gcs_door_open(g, on_accept, why, nwhy)) < 0)
		return e;
	if ((e = gcs_disk_start(&g->disk, g->core.commit)) < 0)
		return e;
	control_tick(&g->core, gcs_now(g), &g->out);	/* nodes of before have until then to come back */
	rearm(g);
	return 0;
}

int
gcs_new(struct gcs **out, const struct gcs_opts *o, char *why, size_t nwhy)
{
	struct gcs *g = calloc(1, sizeof *g);
	int e = -ENOMEM;

	why[0] = '\0';
	if (g == NULL)
		return e;
	g->o = *o;
	g->dir = g->state = g->lock = -1;
	control_init(&g->core, 0);
	g->past.limit = o->history;
	if (o->tables)
		g->core.most = o->tables;
	if (o->dead)
		g->core.limit = o->dead;
	gcs_disk_init(&g->disk, wake, g);
	gcs_nodes_init(g);
	gcs_groups_init(g);
	g->waiting_end = &g->waiting;
	fd_raise_limit();
	if ((g->loop = ev_loop_new(EVFLAG_AUTO)) != NULL) {
		ev_prepare_init(&g->turn, on_turn);
		ev_set_priority(&g->turn, 1);	/* before the conns send */
		ev_prepare_start(g->loop, &g->turn);
		conn_set_init(&g->conns, g->loop);
		ev_signal_init(&g->term, on_term, SIGTERM);
		ev_signal_init(&g->intr, on_term, SIGINT);
		ev_signal_start(g->loop, &g->term);
		ev_signal_start(g->loop, &g->intr);
		ev_timer_init(&g->timer, on_timer, 0., 0.);
		ev_set_priority(&g->timer, EV_MINPRI);	/* what has come is read first */
		ev_async_init(&g->committed, on_committed);
		ev_async_start(g->loop, &g->committed);
		ev_timer_init(&g->limit, on_limit, 0., .25);
		list_init(&g->strangers);
		g->limit.data = g->turn.data = g->timer.data = g->committed.data = g;
		if ((e = start(g, why, nwhy)) == 0) {
			*out = g;
			return 0;
		}
	}
	if (why[0] == '\0')
		snprintf(why, nwhy, "cannot start the control store: %s", err_str(e));
	gcs_free(g);
	return e;
}

int
gcs_run(struct gcs *g, int ready)
{
	char text[TCP_NAME] = "";

	if (g->open)
		tcp_local(g->door.io.fd, text);
	if (g->o.keeper >= 0)
		fd_send(g->o.keeper, text, strlen(text) + 1, &g->listen.io.fd, 1);
	if (ready >= 0) {
		dprintf(ready, "%s\n", text);
		close(ready);
	}
	ev_run(g->loop, 0);
	return g->result;
}

void
gcs_free(struct gcs *g)
{
	struct map_iter it = MAP_ITER;
	struct gcs_batch *b;

	gcs_disk_end(&g->disk);		/* what was asked for is written; nobody hears of it any more */
	if (g->listening) {
		if (g->o.keeper < 0 || g->result == 0)
			unlinkat(g->dir, NODE_GCS, 0);
		listener_stop(&g->listen);
	}
	if (g->open)
		listener_stop(&g->door);
	tls_ctx_free(g->tls);
	while (map_next(&g->peers, &it)) {
		struct gcs_peer *p = it.val;

		gcs_nodes_gone(p);
		conn_end(p->c);
		free(p);
	}
	gcs_nodes_stop(g);
	gcs_groups_stop(g);
	map_release(&g->peers);
	for (; (b = g->waiting) != NULL; gcs_batch_free(b))
		g->waiting = b->next;
	buf_release(&g->out.bytes);
	free(g->out.fx);
	control_release(&g->core);
	if (g->loop) {
		conn_set_release(&g->conns);
		ev_loop_destroy(g->loop);
	}
	if (g->dir >= 0)
		close(g->dir);
	if (g->state >= 0)
		close(g->state);
	if (g->lock >= 0)
		close(g->lock);
	free(g);
}
