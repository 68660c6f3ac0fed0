/*
 * chans - channels: rlet makes their segments, knows who has which end, and tells the other when that process dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "node/inner.h"
#include "ring/chan.h"

enum { CHANS_MAX = 4096 };		/* on a node; each keeps a descriptor open */

struct nend {
	struct list link;		/* in nproc.chans while somebody has it */
	struct nchan *ch;
	struct nproc *p;		/* who has it, or had it when it went on its way; NULL: nobody any more */
	bool over;			/* closed, or its process died */
};

struct nchan {
	uint64_t number;
	uint32_t job;			/* of who made it */
	int fd;
	struct chan_shm *shm;
	struct nend end[2];		/* writing, reading */
};

static struct chan_side *
side(struct nchan *ch, unsigned end)
{
	return end ? &ch->shm->r : &ch->shm->w;
}

static void
chan_free(struct node *n, struct nchan *ch)
{
	for (unsigned i = 0; i < 2; i++)
		if (ch->end[i].p)
			list_del(&ch->end[i].link);
	map_del(&n->chans, ch->number);
	if (!n->stopping && atomic_load(&ch->shm->kept))
		hand_chan(n, ch->number, 0, -1);
	chan_unmap_head(ch->shm);
	close(ch->fd);
	free(ch);
}

static void
wake(struct node *n, struct nchan *ch, unsigned end)
{
	uint32_t bell = atomic_load(&side(ch, end)->bell) - 1;

	if (!ch->end[end].over && atomic_load(&side(ch, end)->owner) && bell < NODEPAGE_BELLS)
		bell_rescue(n->np, &n->np->bell[bell]);
}

/* nothing comes from this end any more; dead: as chan_side.dead, 0: it was closed */
static void
end_over(struct node *n, struct nchan *ch, unsigned end, uint32_t dead)
{
	struct nend *e = &ch->end[end];

	if (e->p)
		list_del(&e->link);
	e->p = NULL;
	e->over = true;
	if (dead)
		atomic_fetch_or(&side(ch, end)->dead, dead);
	if (ch->end[!end].over)
		chan_free(n, ch);
	else
		wake(n, ch, !end);
}

static void
end_take(struct nchan *ch, unsigned end, struct nproc *p)
{
	struct nend *e = &ch->end[end];

	if (e->p)
		list_del(&e->link);
	e->p = p;
	list_add_tail(&p->chans, &e->link);
	atomic_store(&side(ch, end)->bell, p->bell + 1);
	atomic_store(&side(ch, end)->taken, 0);
	atomic_store(&side(ch, end)->owner, p->number);
	if (ch->end[!end].p)
		proc_know(p, ch->end[!end].p);
}

static int
answer(struct nproc *p, struct nchan *ch, uint64_t req)
{
	int fd = fcntl(ch->fd, F_DUPFD_CLOEXEC, 3);
	size_t at = conn_out(p->conn)->len;

	if (fd < 0)
		return -errno;
	conn_done(p->conn, at, msg_put_chan(conn_out(p->conn), &(struct msg_chan){ .req = req, .chan = ch->number }),
	    (int[]){ fd }, 1, 1);
	return 0;
}

/* the channel that the daemon before this one made for that request, if it died before it had answered; NULL */
static struct nchan *
made_before(const struct nproc *p, uint64_t req)
{
	struct map_iter it = MAP_ITER;

	while (p->n->heir && map_next(&p->n->chans, &it)) {
		struct nchan *ch = it.val;

		if (ch->shm->maker == p->number && ch->shm->asked == req && ch->end[0].p == p && ch->end[1].p == p)
			return ch;
	}
	return NULL;
}

static int
on_new(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct msg_chan_new m;
	struct nchan *ch;
	int e = msg_get_chan_new(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (p->job == NULL) {
		proc_fail(p, m.req, -EPERM, "a tool has no channels");
		return 0;
	}
	if ((ch = made_before(p, m.req)) != NULL) {
		if ((e = answer(p, ch, m.req)) < 0)
			proc_fail(p, m.req, e, "cannot make a channel: %s", err_str(e));
		return 0;
	}
	if (n->chans.n >= CHANS_MAX) {
		proc_fail(p, m.req, ERR_FULL, "this node has %u channels already; close some", (unsigned)CHANS_MAX);
		return 0;
	}
	if ((ch = calloc(1, sizeof *ch)) == NULL)
		return -ENOMEM;
	ch->number = n->next_chan + 1;
	ch->job = p->job->number;
	if ((e = ch->fd = chan_create("rota-chan", m.bytes, m.items)) < 0 || (ch->shm = chan_map_head(ch->fd, &e)) == NULL ||
	    (e = map_put(&n->chans, ch->number, ch)) < 0) {
		proc_fail(p, m.req, e, e == -EINVAL ? "a channel of %llu bytes cannot be" : "cannot make a channel of %llu bytes",
		    (unsigned long long)m.bytes);
		if (ch->fd >= 0)
			close(ch->fd);
		if (ch->shm)
			chan_unmap_head(ch->shm);
		free(ch);
		return 0;
	}
	n->next_chan++;
	ch->shm->maker = p->number;
	ch->shm->asked = m.req;
	for (unsigned i = 0; i < 2; i++) {
		ch->end[i].ch = ch;
		end_take(ch, i, p);
	}
	atomic_store(&ch->shm->kept, hand_chan(n, ch->number, ch->job, ch->fd));	/* complete: we may die here */
	if ((e = answer(p, ch, m.req)) < 0) {
		proc_fail(p, m.req, e, "cannot make a channel: %s", err_str(e));
		chan_free(n, ch);
	}
	return 0;
}

/* p may have it; also if it had been given it, and the daemon died before it was told */
static bool
free_for(struct nchan *ch, unsigned end, const struct nproc *p)
{
	uint32_t owner = atomic_load(&side(ch, end)->owner);

	return owner == 0 || (owner == p->number && !atomic_load(&side(ch, end)->taken));
}

static int
on_open(struct nproc *p, const struct frame *f)
{
	struct msg_chan_open m;
	struct nchan *ch;
	struct nend *end;
	int e = msg_get_chan_open(&m, f->body, f->len);

	if (e < 0 || m.end > 1)
		return e < 0 ? e : ERR_PROTO;
	if ((ch = map_get(&p->n->chans, m.chan)) == NULL) {
		proc_fail(p, m.req, ERR_CLOSED, "channel %llu is closed at both ends", (unsigned long long)m.chan);
		return 0;
	}
	end = &ch->end[m.end];
	if (end->over)
		proc_fail(p, m.req, ERR_CLOSED, "the %s end of channel %llu %s", m.end ? "reading" : "writing",
		    (unsigned long long)m.chan, atomic_load(&side(ch, (unsigned)m.end)->closed) ? "was closed" : "died with its process");
	else if (!free_for(ch, (unsigned)m.end, p))
		proc_fail(p, m.req, -EBUSY, "the %s end of channel %llu is in use by process %d: each end has one user at a time",
		    m.end ? "reading" : "writing", (unsigned long long)m.chan, end->p ? (int)end->p->pid : 0);
	else if ((e = answer(p, ch, m.req)) < 0)
		proc_fail(p, m.req, e, "cannot open channel %llu: %s", (unsigned long long)m.chan, err_str(e));
	else
		end_take(ch, (unsigned)m.end, p);
	return 0;
}

static int
on_closed(struct nproc *p, const struct frame *f)
{
	struct msg_chan_close m;
	struct nchan *ch;
	int e = msg_get_chan_close(&m, f->body, f->len);

	if (e < 0 || m.end > 1 || (ch = map_get(&p->n->chans, m.chan)) == NULL || ch->end[m.end].p != p)
		return e;
	end_over(p->n, ch, (unsigned)m.end, 0);
	return 0;
}

int
chans_frame(struct nproc *p, const struct frame *f)
{
	switch (f->type) {
	case MSG_CHAN_NEW_T: return on_new(p, f);
	case MSG_CHAN_OPEN_T: return on_open(p, f);
	case MSG_CHAN_CLOSE_T: return on_closed(p, f);
	}
	return 0;
}

/* p is dead: the ends that it has die with it; one that it had sent on lives on its way, as long as its job does */
void
chans_lost(struct nproc *p)
{
	struct node *n = p->n;
	struct list *l;

	while ((l = list_first(&p->chans)) != NULL) {
		struct nend *e = list_entry(l, struct nend, link);
		struct nchan *ch = e->ch;
		unsigned end = e == &ch->end[1];

		if (atomic_load(&side(ch, end)->closed) || atomic_load(&side(ch, end)->owner) != 0)
			end_over(n, ch, end, CHAN_CRASHED);	/* one that was closed still held something for the other */
		else {
			list_del(&e->link);
			e->p = NULL;
		}
	}
}

/* the job is over: what is on its way arrives nowhere */
void
chans_job_over(struct node *n, uint32_t job)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->chans, &it)) {
		struct nchan *ch = it.val;
		bool last;

		for (unsigned i = 0; ch->job == job && i < 2; i++)
			if (!ch->end[i].over && atomic_load(&side(ch, i)->owner) == 0) {
				last = ch->end[!i].over;
				end_over(n, ch, i, CHAN_GONE);
				if (last)
					break;	/* it was freed */
			}
	}
}

/* --- of the daemon before this one: the segments say who has which end ----------------------------------------------- */

/* whoever had the end is dead, or took it along */
static void
bury(struct node *n, struct nchan *ch, unsigned end)
{
	struct chan_side *s = side(ch, end);

	end_over(n, ch, end, atomic_load(&s->dead) ? 0 : CHAN_CRASHED);
}

static void
inherit(struct node *n, const struct node_heir_file *f)
{
	struct nchan *ch = calloc(1, sizeof *ch);
	int e;

	if (ch == NULL || (ch->shm = chan_map_head(f->fd, &e)) == NULL || map_put(&n->chans, f->number, ch) < 0) {
		if (ch && ch->shm)
			chan_unmap_head(ch->shm);
		close(f->fd);
		free(ch);
		return;
	}
	ch->number = f->number;
	ch->job = f->job;
	ch->fd = f->fd;
	for (unsigned i = 0; i < 2; i++) {
		const struct chan_side *s = side(ch, i);
		uint32_t owner = atomic_load(&s->owner);

		ch->end[i].ch = ch;
		list_init(&ch->end[i].link);
		ch->end[i].over = atomic_load(&s->closed) || atomic_load(&s->dead) || (owner && !map_get(&n->awaited, owner));
	}
	if (ch->end[0].over && ch->end[1].over) {
		chan_free(n, ch);
		return;
	}
	for (unsigned i = 0; i < 2; i++)
		if (ch->end[i].over)
			bury(n, ch, i);
}

void
chans_inherit(struct node *n)
{
	struct node_heir_files *h = &n->o.heir.chans;

	while (h->n)
		inherit(n, &h->v[--h->n]);
}

/* those that nobody has here and that were proc's: p's, or nobody's any more if that is NULL */
static void
claim(struct node *n, uint32_t proc, struct nproc *p)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->chans, &it)) {
		struct nchan *ch = it.val;
		bool freed = false;

		for (unsigned i = 0; i < 2 && !freed; i++) {
			struct nend *e = &ch->end[i];

			if (e->p || e->over || atomic_load(&side(ch, i)->owner) != proc)
				continue;
			if (p && !atomic_load(&side(ch, i)->closed)) {
				e->p = p;
				list_add_tail(&p->chans, &e->link);
				if (ch->end[!i].p)
					proc_know(p, ch->end[!i].p);
			} else {
				freed = ch->end[!i].over;
				bury(n, ch, i);
			}
		}
	}
}

void
chans_back(struct nproc *p)
{
	claim(p->n, p->number, p);
}

void
chans_late(struct node *n, uint32_t proc)
{
	claim(n, proc, NULL);
}

void
chans_stop(struct node *n)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->chans, &it))
		chan_free(n, it.val);
	map_release(&n->chans);
}
