/*
 * handover - what outlives a node daemon is in descriptors that its keeper holds.
 *
 * The daemon sends them over a socket pair: those of its start at once, which says too that it serves, later files when
 * they are made and when they are needed no more.  What was sent is there even if the daemon died right after.  The
 * keeper forks the next daemon, which finds them in its options.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "node/inner.h"
#include "os/fd.h"

enum { HEIRS = 5 };
enum { HAND_ALL, HAND_JOURNAL, HAND_FILE, HAND_FILE_END, HAND_CHAN, HAND_CHAN_END };

struct hand {
	uint64_t what, number, job;
};

/* --- the daemon ------------------------------------------------------------------------------------------------- */

static int
hand(struct node *n, uint64_t what, uint64_t number, uint32_t job, const int *fds, int nfd)
{
	struct hand h = { what, number, job };

	return n->o.keeper >= 0 ? fd_send(n->o.keeper, &h, sizeof h, fds, nfd) : 0;
}

void
hand_all(struct node *n)
{
	int fds[HEIRS] = { n->listen.io.fd, n->np_fd, n->arena.fd, n->journal.fd, n->lock };

	hand(n, HAND_ALL, 0, 0, fds, n->lock >= 0 ? HEIRS : HEIRS - 1);
}

int
hand_journal(void *node, int fd)
{
	return hand(node, HAND_JOURNAL, 0, 0, &fd, 1);
}

void
hand_file(void *node, uint64_t number, int fd)
{
	hand(node, fd >= 0 ? HAND_FILE : HAND_FILE_END, number, 0, &fd, fd >= 0);
}

bool
hand_chan(struct node *n, uint64_t number, uint32_t job, int fd)
{
	int e = hand(n, fd >= 0 ? HAND_CHAN : HAND_CHAN_END, number, job, &fd, fd >= 0);

	return e > 0;
}

/* --- the keeper -------------------------------------------------------------------------------------------------- */

static void
replace(int *fd, int new)
{
	if (*fd >= 0)
		close(*fd);
	*fd = new;
}

static void
replace_all(struct node_heir *h, const int *fds, int nfd)
{
	int *to[HEIRS] = { &h->listen, &h->np, &h->arena, &h->journal, &h->lock };

	for (int i = 0; i < HEIRS; i++)
		replace(to[i], i < nfd ? fds[i] : -1);
}

static int
file_add(struct node_heir_files *h, const struct hand *m, int fd)
{
	struct node_heir_file *v = realloc(h->v, (h->n + 1) * sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	h->v = v;
	v[h->n++] = (struct node_heir_file){ m->number, (uint32_t)m->job, fd };
	return 0;
}

static void
file_del(struct node_heir_files *h, uint64_t number)
{
	for (unsigned i = h->n; i-- > 0;)
		if (h->v[i].number == number) {
			close(h->v[i].fd);
			h->v[i] = h->v[--h->n];
		}
}

static void
files_close(struct node_heir_files *h)
{
	while (h->n)
		close(h->v[--h->n].fd);
	free(h->v);
	h->v = NULL;
}

int
node_heir_recv(int sock, struct node_heir *h)
{
	int fds[FD_MAX], nfd = FD_MAX;
	struct hand m;
	ssize_t r = fd_recv(sock, &m, sizeof m, fds, &nfd);

	if (r <= 0)
		return r < 0 ? (int)r : ERR_CLOSED;
	if (r == sizeof m && m.what == HAND_ALL && nfd >= HEIRS - 1 && nfd <= HEIRS) {
		replace_all(h, fds, nfd);
		return 0;
	}
	if (r == sizeof m && m.what == HAND_JOURNAL && nfd == 1) {
		replace(&h->journal, fds[0]);
		return 0;
	}
	if (r == sizeof m && m.what == HAND_FILE && nfd == 1 && file_add(&h->disk, &m, fds[0]) == 0)
		return 0;
	if (r == sizeof m && m.what == HAND_CHAN && m.number > h->last_chan)
		h->last_chan = m.number;
	if (r == sizeof m && m.what == HAND_CHAN && nfd == 1 && file_add(&h->chans, &m, fds[0]) == 0)
		return 0;
	if (r == sizeof m && (m.what == HAND_FILE_END || m.what == HAND_CHAN_END))
		file_del(m.what == HAND_FILE_END ? &h->disk : &h->chans, m.number);
	while (nfd > 0)
		close(fds[--nfd]);
	return 0;
}

void
node_heir_close(struct node_heir *h)
{
	replace_all(h, NULL, 0);
	files_close(&h->disk);
	files_close(&h->chans);
}
