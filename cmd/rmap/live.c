/*
 * live - --line-buffer and -u: what commands write is written on as it comes, whole lines or at once, by a thread.
 * Workers connect to an abstract socket and send the reading ends of two pipes for each command (client/command.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/die.h"
#include "base/map.h"
#include "os/fd.h"
#include "os/sock.h"
#include "rmap.h"
#include "wire/le.h"

enum { LINE_MAX_KEPT = 1 << 20, PART = 64 << 10 };

struct source {				/* the listener, a connection of a worker, or a command's stdout or stderr */
	enum { LISTENER, NUDGE, WORKER, OUTPUT } kind;
	int to;				/* OUTPUT: 1 or 2 */
	char *tag;			/* OUTPUT: or NULL */
	struct buf line;		/* OUTPUT: what has no end yet */
};

struct tag {
	unsigned tries;			/* how many; one that was given out may come after the next one was, or never */
	char text[];
};

static struct {
	bool on, lines;
	char name[48];
	struct pollfd *fd;
	struct source *src;
	size_t n, cap, outputs;
	int nudge[2];
	pthread_t thread;
	pthread_mutex_t lock;		/* tags */
	struct map tags;		/* seq -> struct tag *, for tries that have not come yet */
	_Atomic bool finish;
	struct client *c;
} live;

static void
add(int fd, struct source s)
{
	if (live.n == live.cap) {
		live.cap = live.cap ? 2 * live.cap : 32;
		live.fd = reallocarray(live.fd, live.cap, sizeof *live.fd);
		live.src = reallocarray(live.src, live.cap, sizeof *live.src);
		if (!live.fd || !live.src)
			die(125, -ENOMEM, "cannot take output");
	}
	live.fd[live.n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	live.src[live.n++] = s;
	live.outputs += s.kind == OUTPUT;
}

static void
drop(size_t i)
{
	live.outputs -= live.src[i].kind == OUTPUT;
	close(live.fd[i].fd);
	free(live.src[i].tag);
	buf_release(&live.src[i].line);
	live.n--;
	live.fd[i] = live.fd[live.n];
	live.src[i] = live.src[live.n];
}

static void
put(const struct source *s, const void *p, size_t n)
{
	struct buf b = BUF_INIT;
	int e;

	if (s->tag && (buf_add(&b, s->tag, strlen(s->tag)) < 0 || buf_add(&b, "\t", 1) < 0 || buf_add(&b, p, n) < 0))
		die(125, -ENOMEM, "cannot write output");
	if ((e = s->tag ? fd_write_all(s->to, b.data, b.len) : fd_write_all(s->to, p, n)) < 0 && s->to == STDOUT_FILENO) {
		if (e != -EPIPE)
			warn(e, "cannot write to stdout");
		run_signal = e == -EPIPE ? SIGPIPE : SIGTERM;	/* the main thread ends everything */
		client_poke(live.c);
	}
	buf_release(&b);
}

/* whole lines; end: what is left is one too */
static void
put_lines(struct source *s, bool end)
{
	size_t at = 0;

	while (at < s->line.len) {
		const unsigned char *p = s->line.data + at, *nl = memchr(p, '\n', s->line.len - at);

		if (!nl)
			break;
		if (!s->tag)			/* all that is there at once */
			nl = memrchr(p, '\n', s->line.len - at);
		put(s, p, (size_t)(nl + 1 - p));
		at += (size_t)(nl + 1 - p);
	}
	buf_drop(&s->line, at);
	if (s->line.len && (end || s->line.len > LINE_MAX_KEPT)) {
		if (end && buf_add(&s->line, "\n", 1) < 0)	/* the next one's begins a line of its own */
			die(125, -ENOMEM, "cannot write output");
		put(s, s->line.data, s->line.len);
		s->line.len = 0;
	}
}

static bool
output(struct source *s, int fd)	/* false: it has ended */
{
	static unsigned char part[PART];
	ssize_t n = read(fd, part, sizeof part);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (!live.lines) {
		if (n > 0)
			put(s, part, (size_t)n);
		return n > 0;
	}
	if (n > 0 && buf_add(&s->line, part, (size_t)n) < 0)
		die(125, -ENOMEM, "cannot take output");
	put_lines(s, n == 0);
	return n > 0;
}

static bool
worker(int fd)				/* false: it has ended, or makes no sense */
{
	unsigned char head[COMMAND_LIVE_HEAD];
	int got[2], n = 2;
	ssize_t k = fd_recv(fd, head, sizeof head, got, &n);
	struct tag *tag;

	if (k == -EAGAIN || k == -EINTR)
		return true;
	if (k != sizeof head || n != 2) {
		while (n > 0 && k > 0)
			close(got[--n]);
		return false;
	}
	pthread_mutex_lock(&live.lock);
	tag = map_get(&live.tags, le_get64(head));
	for (int i = 0; i < 2; i++)
		add(got[i], (struct source){ .kind = OUTPUT, .to = i + 1, .tag = tag ? strdup(tag->text) : NULL });
	if (tag && --tag->tries == 0)
		free(map_del(&live.tags, le_get64(head)));
	pthread_mutex_unlock(&live.lock);
	return true;
}

static void
accept_one(int fd)
{
	int c = sock_accept(fd);
	pid_t pid;
	uid_t uid;

	if (c < 0)
		return;
	if (sock_peer(c, &pid, &uid) < 0 || uid != geteuid())
		close(c);		/* the name is open to all users of the machine */
	else
		add(c, (struct source){ .kind = WORKER });
}

static void *
serve(void *arg)
{
	(void)arg;
	for (;;) {
		bool last = live.finish;	/* everything that will come is in sockets and pipes by now */
		int k = poll(live.fd, live.n, last && live.outputs == 0 ? 0 : -1);

		if (k < 0 && errno != EINTR)
			die(125, -errno, "cannot wait for output");
		if (k == 0 && last && live.outputs == 0)
			return NULL;
		for (size_t i = live.n; k > 0 && i-- > 0;) {
			bool stays = true;
			char c;

			if (!live.fd[i].revents)
				continue;
			switch (live.src[i].kind) {
			case LISTENER: accept_one(live.fd[i].fd); break;
			case NUDGE: stays = read(live.fd[i].fd, &c, 1) > 0; break;
			case WORKER: stays = worker(live.fd[i].fd); break;
			case OUTPUT: stays = output(&live.src[i], live.fd[i].fd); break;
			}
			if (!stays)
				drop(i);
		}
	}
}

const char *
live_start(const struct options *o, struct client *c)
{
	unsigned char r[8];
	sigset_t all, old;
	int fd, e;

	if (!o->live)
		return NULL;
	live.c = c;
	live.lines = o->live == LIVE_LINES;
	if (getrandom(r, sizeof r, 0) != sizeof r || pipe2(live.nudge, O_CLOEXEC) < 0)
		die(125, -errno, "cannot take output");
	snprintf(live.name, sizeof live.name, "rota-output-%d-%016llx", (int)getpid(), (unsigned long long)le_get64(r));
	if ((fd = command_live_listen(live.name)) < 0)
		die(125, fd, "cannot take output");
	add(fd, (struct source){ .kind = LISTENER });
	add(live.nudge[0], (struct source){ .kind = NUDGE });
	pthread_mutex_init(&live.lock, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	e = pthread_create(&live.thread, NULL, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e)
		die(125, -e, "cannot take output");
	live.on = true;
	return live.name;
}

void
live_expect(uint64_t seq, const char *text)
{
	size_t n = text ? strlen(text) + 1 : 0;
	struct tag *t, *had;

	if (!live.on || !text)
		return;
	if (!(t = malloc(sizeof *t + n)))
		die(125, -ENOMEM, "cannot start an item");
	memcpy(t->text, text, n);
	pthread_mutex_lock(&live.lock);
	had = map_get(&live.tags, seq);
	t->tries = had ? had->tries + 1 : 1;
	if (map_put(&live.tags, seq, t) < 0)
		die(125, -ENOMEM, "cannot start an item");
	pthread_mutex_unlock(&live.lock);
	free(had);
}

void
live_finish(void)
{
	if (!live.on)
		return;
	live.finish = true;
	if (write(live.nudge[1], "", 1) < 0)
		die(125, -errno, "cannot take output");
	pthread_join(live.thread, NULL);
	live.on = false;
}
