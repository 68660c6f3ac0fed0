/*
 * pages.c - memory for objects is got from the machine behind the work, ahead of the next objects: the first use of a page costs
 * ten times a copy.
 *
 * A child of ours touches free room of the arena, as much again as is lent, up to a bound, at the lowest priority.  It is
 * a process and not a thread, as the kernel would have every mmap of ours wait for it.  It gets a place, touches it, says so.
 * Without it, or if it dies, everything is as before, only slower.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/inner.h"

#define STEP (UINT64_C(4) << 20)
#define LEAST (UINT64_C(8) << 20)	/* lent: before that nobody needs much */
#define MOST (UINT64_C(256) << 20)

struct place {
	uint64_t off, len;
};

static _Noreturn void
child(int sock, int arena)		/* of a process with threads: system calls only */
{
	unsigned char *base;
	struct place p;
	sigset_t none;
	char done;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpriority(PRIO_PROCESS, 0, 19);
	if (dup2(arena, 0) != 0 || dup2(sock, 1) != 1 || close_range(2, ~0u, 0) < 0 || (base = arena_prepare_map(0)) == NULL)
		_exit(1);
	while (read(1, &p, sizeof p) == sizeof p) {
		done = arena_prepare(base, p.off, p.len) == 0;
		if (write(1, &done, 1) != 1)
			break;
	}
	_exit(0);
}

static void
end(struct node *n)
{
	if (n->pages_pid <= 0)
		return;
	ev_io_stop(n->loop, &n->pages);
	close(n->pages.fd);
	kill(n->pages_pid, SIGKILL);
	while (waitpid(n->pages_pid, NULL, 0) < 0 && errno == EINTR)
		;
	n->pages_pid = -1;		/* not again */
}

static void
on_done(struct ev_loop *loop, ev_io *w, int revents)
{
	struct node *n = w->data;
	char done = 0;

	(void)loop, (void)revents;
	if (read(w->fd, &done, 1) != 1 || !done) {	/* it died, or the machine has no more memory */
		end(n);
		return;
	}
	arena_node_warmed(&n->arena, n->pages_off, n->pages_len);
	n->pages_len = 0;
	pages_turn(n);
}

static bool
start(struct node *n)
{
	int sock[2];
	pid_t pid;

	n->pages_pid = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return false;
	if ((pid = fork()) == 0)
		child(sock[1], n->arena.fd);
	close(sock[1]);
	if (pid < 0) {
		close(sock[0]);
		return false;
	}
	n->pages_pid = pid;
	ev_io_init(&n->pages, on_done, sock[0], EV_READ);
	n->pages.data = n;
	ev_io_start(n->loop, &n->pages);
	return true;
}

void
pages_turn(struct node *n)
{
	uint64_t want = n->arena.lent < MOST ? n->arena.lent : MOST, part = node_memory() / 20;
	struct place p;

	if (n->arena.lent < LEAST || n->pages_len || n->pages_pid < 0)
		return;
	want = want < part ? want : part;
	want = want < n->arena.reserve ? want : n->arena.reserve;
	if (n->arena.warm >= want || !arena_node_cold(&n->arena, want - n->arena.warm < STEP ? want - n->arena.warm : STEP, &p.off, &p.len))
		return;
	if (n->pages_pid == 0 && !start(n))
		return;
	n->pages_off = p.off;
	n->pages_len = p.len;
	if (send(n->pages.fd, &p, sizeof p, MSG_NOSIGNAL) != sizeof p)
		end(n);
}

void
pages_stop(struct node *n)
{
	end(n);
}
