/*
 * heir - a node daemon that follows one that died.
 *
 * What outlives a daemon is in the descriptors that its keeper holds (handover.c): the listening socket, where programs wait
 * to come back, the node page, which says who had which bell, the arena with every object in it, the files of those that
 * were moved to the disk, and the journal, which says what is where and what the node had promised.  All that the dead one
 * forked is dead when we start.  Programs that were attached come back with REJOIN and keep their numbers, their objects, their
 * status pages and slabs; they are waited for as long as they live.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/kept.h"
#include "node/logs.h"
#include "os/dir.h"
#include "os/fd.h"
#include "os/proc.h"
#include "os/sock.h"
#include "wire/le.h"

#define MARGIN 1024u			/* process numbers that the last one may have given out without our knowing */

/* --- taking over ----------------------------------------------------------------------------------------------------- */

static int
take(int *fd)
{
	int mine = *fd;

	*fd = -1;
	return mine;
}

int
heir_name(struct node *n)
{
	struct stat st;

	if (n->o.lasting)
		n->lock = take(&n->o.heir.lock);
	if (fstatat(n->dir, n->o.socket, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		n->sock_dev = st.st_dev;
		n->sock_ino = st.st_ino;
	}
	return take(&n->o.heir.listen);
}

int
heir_page(struct node *n)
{
	int e;

	n->np_fd = take(&n->o.heir.np);
	if ((e = nodepage_map(n->np_fd, &n->np)) < 0)
		return e;
	n->number = n->np->node;
	n->next_proc = atomic_load(&n->np->procs) + MARGIN;
	n->next_chan = n->o.heir.last_chan + MARGIN;
	n->set.last = n->next_proc;	/* numbers that programs may remember are not given again */
	atomic_store(&n->np->awake, 0);
	for (unsigned i = 0; i < NODEPAGE_BELLS; i++) {
		uint32_t proc = atomic_load(&n->np->bell[i].proc);

		if (proc && atomic_load(&n->np->bell[i].stays))
			map_put(&n->awaited, proc, (void *)(uintptr_t)(i + 1));
	}
	return 0;
}

static void
number(void *list, struct span key, struct span val)
{
	uint32_t job;

	(void)val;
	memcpy(&job, key.p, sizeof job);
	numbers_add(list, job);
}

void
heir_lists(struct node *n, struct buf *procs, struct buf *jobs, struct buf *actors)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->awaited, &it))
		numbers_add(procs, it.key);
	estate_each(n, ESTATE_JOB, number, jobs);
	actors_list(n, actors);
}

int
heir_arena(struct node *n)
{
	int fd = take(&n->o.heir.arena), e;

	if (fd < 0)
		return 1;
	if ((e = arena_node_adopt(&n->arena, fd)) < 0)
		close(fd);
	return e;
}

struct dead {
	struct node *n;
	struct map procs;		/* whose extents are still lent */
};

static void
borrower(void *ctx, uint64_t off, uint64_t len, uint32_t proc)
{
	static char yes;
	struct dead *d = ctx;

	(void)off, (void)len;
	if (proc && (proc == ARENA_NODE_PROC || !map_get(&d->n->awaited, proc)))
		map_put(&d->procs, proc, &yes);	/* no memory: they stay lent: lost room, not lost objects */
}

static bool
orphan(void *ctx, const struct arena_item *it)	/* what a dead process owned, whoever made it */
{
	struct node *n = ctx;

	if (!it->kept && it->borrower == 0 && it->id.node == n->number && !map_get(&n->awaited, it->id.proc))
		memory_free(n, it->off, it->gen, true);
	return true;
}

static void
bury(struct node *n, uint32_t proc)
{
	spill_disown(n, proc, NULL);
	arena_node_dead(&n->arena, proc);
	arena_node_owner_dead(&n->arena, n->number, proc);
	n->mem_dirty = true;
}

void
heir_start(struct node *n)
{
	struct dead d = { .n = n };
	struct idmap_iter im = IDMAP_ITER;
	struct map_iter it = MAP_ITER;

	n->nbells = 0;
	for (unsigned i = NODEPAGE_BELLS; i-- > 0;) {	/* low ones are taken first: they share pages */
		struct bell *bell = &n->np->bell[i];
		uint32_t proc = atomic_load(&bell->proc);

		if (proc && (uintptr_t)map_get(&n->awaited, proc) == i + 1)
			continue;
		atomic_store(&bell->proc, 0);
		n->bells[n->nbells++] = (uint16_t)i;
	}
	chans_inherit(n);
	kv_inherit(n);
	arena_node_extents(&n->arena, borrower, &d);
	while (map_next(&d.procs, &it))
		arena_node_dead(&n->arena, (uint32_t)it.key);
	map_release(&d.procs);
	arena_node_each(&n->arena, orphan, n);
	while (idmap_next(&n->moved, &im))
		if (im.key.node == n->number && !map_get(&n->awaited, im.key.proc) && !idmap_get(&n->kept, im.key))
			spill_forget(n, im.key);
	n->mem_dirty = true;
	n->heir_at = clock_ns();	/* whoever died with it is late already */
	n->stood = true;
	node_timer(n);
	jobs_inherit(n);
}

/* one that lives comes back, sooner or later: it may be stopped, or get no CPU */
static bool
comes(const struct node *n, uint32_t proc, size_t bell)
{
	const struct njob *j = job_driven(n, proc);

	if (!atomic_load(&n->np->bell[bell].stays))
		return false;			/* it took its leave */
	if (j == NULL || j->pid == 0)
		return clock_ns() - n->since < HEIR_GRACE;
	return proc_pid_alive(j->pid) && proc_start_time(j->pid) == j->born;
}

void
heir_tick(struct node *n)
{
	struct map_iter it = MAP_ITER;
	struct map late = MAP_INIT;
	struct njob *j;

	while (map_next(&n->awaited, &it))
		if (!comes(n, (uint32_t)it.key, (uintptr_t)it.val - 1))
			map_put(&late, it.key, it.val);
	it = (struct map_iter)MAP_ITER;
	while (map_next(&late, &it))			/* first, so that they do not count as alive */
		map_del(&n->awaited, it.key);
	n->heir_at = n->awaited.n ? clock_ns() + HEIR_LOOK : 0;
	it = (struct map_iter)MAP_ITER;
	while (map_next(&late, &it)) {
		unsigned i = (unsigned)(uintptr_t)it.val - 1;

		atomic_store(&n->np->bell[i].proc, 0);
		n->bells[n->nbells++] = (uint16_t)i;
		bury(n, (uint32_t)it.key);
		chans_late(n, (uint32_t)it.key);
		kv_late(n, (uint32_t)it.key);
		if ((j = job_driven(n, (uint32_t)it.key)) != NULL)
			job_late(n, j);
	}
	map_release(&late);
	node_idle(n);
}

/* --- programs that come back ----------------------------------------------------------------------------------------------- */

/* p takes the place that it had */
static int
recognize(struct nproc *p, const struct msg_rejoin *m, int *fds)
{
	struct node *n = p->n;
	unsigned bell = (unsigned)(uintptr_t)map_get(&n->awaited, m->proc);
	int e;

	if (bell == 0 || bell - 1 != m->bell)
		return ERR_NOTFOUND;
	if ((e = page_map(fds[0], &p->page, 0)) < 0)
		return e;
	if (p->page->proc != m->proc || p->page->node != n->number) {
		page_unmap(p->page);
		p->page = NULL;
		return ERR_NOTFOUND;
	}
	map_del(&n->procs, p->number);
	if (map_put(&n->procs, m->proc, p) < 0) {
		page_unmap(p->page);
		p->page = NULL;
		map_put(&n->procs, p->number, p);
		return -ENOMEM;
	}
	p->number = (uint32_t)m->proc;
	p->owned = calloc(1, sizeof *p->owned);
	p->away = calloc(1, sizeof *p->away);
	if (p->owned == NULL || p->away == NULL)
		heir_forget(p);
	map_del(&n->awaited, m->proc);
	n->mem_dirty = true;			/* its pins are seen from now on */
	p->bell = (uint32_t)m->bell;
	if (atomic_load(&n->np->bell[p->bell].word) != 2)
		atomic_fetch_add(&n->np->awake, 1);
	p->slab = take(&fds[1]);
	chans_back(p);
	if (n->awaited.n == 0 && n->heir_at) {
		n->heir_at = clock_ns();	/* nobody else is waited for */
		node_timer(n);
	}
	return 0;
}

int
heir_rejoin(struct nproc *p, const struct frame *f, int *fds, unsigned nfd)
{
	struct msg_rejoin m;
	int e;

	if (p->hello || (e = msg_get_rejoin(&m, f->body, f->len)) < 0 || nfd < 2)
		return ERR_PROTO;
	if (m.proto != MSG_PROTO || (e = recognize(p, &m, fds)) < 0) {
		proc_fail(p, 0, ERR_CLOSED, "this node does not know the program any more");
		return ERR_CLOSED;
	}
	if (nfd > 2)
		p->err = take(&fds[2]);
	return join_driver(p, m.name, m.namespace, m.output);
}

/* --- what they have ------------------------------------------------------------------------------------------------------------ */

static bool
settle(void *ctx, const struct arena_item *it)
{
	struct nproc *p = ctx;
	struct node *n = p->n;
	void *gen;

	if (it->id.proc != p->number || it->id.node != n->number)
		return true;
	if (it->kept) {			/* or was: the last daemon was killed while it moved or freed this one */
		if (idmap_get(&n->kept, it->id)) {
			spill_adopt(n, it);
		} else {
			arena_node_keep(&n->arena, it->off, it->gen, false);
			memory_free(n, it->off, it->gen, true);
		}
		return true;
	}
	if (idmap_get(p->away, it->id)) {
		spill_adopt(n, it);
		return true;
	}
	if (it->borrower)		/* lent to somebody who lives, and frees it */
		return true;
	gen = map_get(p->owned, it->off);
	if ((uintptr_t)gen != (uintptr_t)it->gen + 1)
		memory_free(n, it->off, it->gen, true);
	return true;
}

void
heir_forget(struct nproc *p)
{
	if (p->owned) {
		map_release(p->owned);
		idmap_release(p->away);
	}
	free(p->owned);
	free(p->away);
	p->owned = NULL;
	p->away = NULL;
}

int
heir_owned(struct nproc *p, const struct frame *f)
{
	static char yes;
	struct msg_owned m;
	int e = msg_get_owned(&m, f->body, f->len);

	if (e < 0 || m.objects.n % 12 || m.away.n % 16)
		return e < 0 ? e : ERR_PROTO;
	if (p->owned == NULL)		/* given up, see below */
		return 0;
	for (size_t i = 0; i < m.objects.n && e == 0; i += 12)
		e = map_put(p->owned, le_get64(m.objects.p + i),
		    (void *)((uintptr_t)le_get32(m.objects.p + i + 8) + 1));
	for (size_t i = 0; i < m.away.n && e == 0; i += 16)
		e = idmap_put(p->away, (struct id){ le_get32(m.away.p + i), le_get32(m.away.p + i + 4), le_get64(m.away.p + i + 8) },
		    &yes);
	if (e < 0) {			/* better lost room than a lost object */
		heir_forget(p);
		return 0;
	}
	if (m.last) {
		arena_node_each(&p->n->arena, settle, p);
		spill_disown(p->n, p->number, p->away);
		heir_forget(p);
	}
	return 0;
}
