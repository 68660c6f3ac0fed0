/*
 * link.c - what a node with the key says in a session and beside it, to a link that has a worker here for a process there
 * and a driver here with a worker there; and what these two do meanwhile.  The bytes are a program of all their deeds.
 */
#include "../fuzz.h"
#include <sys/mman.h>
#include "base/err.h"
#include "link/inner.h"
#include "link/packed.h"
#include "ring/page.h"

enum { HERE = 1, THERE = 2, PROC = 5, WORKER = 11, DRIVER = 12, RING = 1, OUT = 1000, FAR = 77 };

static struct nodepage *np;
static struct slab slab[2];		/* of the worker and the driver here */
static int slab_fd[2];
static struct link *l;

static void
news(void *arg)
{
	(void)arg;
}

static void
start(void)
{
	static struct arena arena;
	char why[200];
	int fd = nodepage_create("np", 1, 4);

	fuzz_must(fd >= 0 && nodepage_map(fd, &np) == 0);
	for (int i = 0; i < 2; i++)
		fuzz_must((slab_fd[i] = slab_create("s")) >= 0 && slab_init(&slab[i], slab_fd[i]) == 0);
	fuzz_must(link_start(&l, &(struct link_opts){ .node = HERE, .incarnation = 1, .listen = -1, .np = np, .bell = 1, .slab = slab_create("l"),
	    .arena = &arena, .budget = 1 << 20, .news = news }, why, sizeof why) == 0);
}

/* one frame of the peer: true if the session can go on */
static bool
frame(struct fuzz *f, unsigned how)
{
	static const uint16_t types[] = { MSG_FAR_TASKS_T, MSG_FAR_DONES_T, MSG_FAR_FN_T, MSG_FAR_RING_T, MSG_PULL_WANT_T, MSG_PULL_SOURCE_T,
	    MSG_PLACE_HAS_T, MSG_PLACE_PROGRESS_T, MSG_PLACE_DROPPED_T, MSG_PLACE_DROP_T, MSG_PLACE_PRIMARY_T, MSG_CHUNK_ASK_T, MSG_CHUNK_T,
	    MSG_CHUNK_REFUSED_T, MSG_CHUNK_STOP_T, MSG_FAR_JOB_T };
	uint16_t type = types[how & 15];
	bool bulk = type >= MSG_CHUNK_ASK_T && type <= MSG_CHUNK_STOP_T;
	size_t k;
	const unsigned char *q = fuzz_bytes(f, fuzz_int(f, 1), &k);
	struct buf b = BUF_INIT;
	struct peer *p;
	struct frame fr;
	int e = 0;

	if (type == MSG_FAR_TASKS_T && how & 16)
		e = msg_put_far_tasks(&b, &(struct msg_far_tasks){ .ring = RING, .tasks = span_of(q, k) });
	else if (type == MSG_FAR_DONES_T && how & 16)
		e = msg_put_far_dones(&b, &(struct msg_far_dones){ .ring = FAR, .dones = span_of(q, k) });
	else if (type == MSG_FAR_FN_T && how & 16)
		e = msg_put_far_fn(&b, &(struct msg_far_fn){ .proc = PROC, .serial = how >> 5, .kind = 1, .code = span_of(q, k), .name = span_of(q, k) });
	else if ((e = buf_reserve(&b, FRAME_HEAD + k + 1)) == 0) {
		frame_pack(b.data, &(struct frame){ .type = type, .version = MSG_PROTO, .len = (uint32_t)k });
		memcpy(b.data + FRAME_HEAD, q, k);
		b.len = FRAME_HEAD + k;
	}
	fuzz_must(e == 0);
	q = fuzz_copy(b.data, b.len);			/* a byte too far is seen */
	fuzz_must(frame_parse(&fr, q, b.len, FRAME_MAX) == (ssize_t)b.len);
	link_take(l);
	p = map_get(&l->peers, THERE);
	e = bulk ? bulk_frame(p, &fr) : peer_take(p, &fr);
	link_drop(l);
	free((void *)(uintptr_t)q);
	buf_release(&b);
	return e == 0;
}

/* the worker: claims one, says anything of anything */
static void
work(struct fuzz *f, struct ring_wrk *w)
{
	struct done *d;
	uint32_t slot = 0;
	unsigned how = (unsigned)fuzz_int(f, 1);

	if (how & 1)
		ring_claim(w, &slot);
	if (how & 2 && ring_room(w) > 0) {
		size_t k;
		const unsigned char *q = fuzz_bytes(f, sizeof *d - sizeof d->seq, &k);

		d = ring_next_done(w);
		memset((char *)d + sizeof d->seq, 0, sizeof *d - sizeof d->seq);
		memcpy((char *)d + sizeof d->seq, q, k);
		if (how & 4)
			d->slot = slot;
		ring_publish(w);
	}
	if (how & 8)
		atomic_store(&w->shm->blocked, how >> 4 & 1);
	if (how & 32)
		atomic_store(&w->shm->want, how >> 6);
}

/* the driver: a task that is anything */
static void
drive(struct fuzz *f, struct ring_sub *s)
{
	struct done *d;
	uint32_t unit = (uint32_t)fuzz_int(f, 1);
	struct rec *r = slab_rec(&slab[1]);
	size_t k;
	const unsigned char *q = fuzz_bytes(f, sizeof *r, &k);

	if (r != NULL && ring_unclaimed(s, RING_WORDS) < RING_WORDS) {
		memset(r, 0, sizeof *r);
		memcpy(r, q, k);
		ring_push(s, unit & 1 ? unit : slab_unit(&slab[1], r));
	}
	while ((d = ring_completion(s)) != NULL)
		ring_take(s);
	ring_tell(s);
}

static void
hear(void)					/* as a node that has no room for anything */
{
	struct link_news n;
	struct transfer_fx fx;

	while (link_next(l, &n)) {
		if (n.kind != LINK_OBJECT || n.body.n != sizeof fx)
			continue;
		memcpy(&fx, n.body.p, sizeof fx);
		if (fx.kind == TRANSFER_RESERVE)
			link_room(l, fx.id, fx.ticket, NULL, ERR_FULL, "no room");
		else if (fx.kind == TRANSFER_OPEN)
			link_opened(l, fx.id, NULL, NULL);
		else if (fx.kind == TRANSFER_FAILED)
			link_here(l, fx.id, 0, 0, fx.code, "it failed");
	}
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	struct ring_sub sub = { 0 };
	struct ring_wrk wrk = { 0 };
	int a, b;

	if (l == NULL)
		start();
	fuzz_must((a = ring_create("a")) >= 0 && (b = ring_create("b")) >= 0);
	fuzz_must(ring_map(a, &wrk.shm) == 0 && ring_map(b, &sub.shm) == 0);
	fuzz_must(link_peer(l, THERE, NULL) == 0);
	fuzz_must(link_submit(l, &(struct link_ring){ .number = RING, .node = THERE, .shm = a, .slab = slab_fd[0], .bell = 2, .proc = PROC, .here = WORKER }) == 0);
	fuzz_must(link_work(l, &(struct link_ring){ .number = OUT, .node = THERE, .far = FAR, .shm = b, .slab = slab_fd[1], .bell = 3, .proc = DRIVER,
	    .here = DRIVER }) == 0);
	for (unsigned i = 0; i < 64 && f.n; i++) {
		unsigned how = (unsigned)fuzz_int(&f, 1);
		bool good = true;

		switch (how & 7) {
		case 0: work(&f, &wrk); break;
		case 1: drive(&f, &sub); break;
		case 2: hear(); break;
		default: good = frame(&f, (unsigned)fuzz_int(&f, 1));
		}
		link_take(l);
		rings_look(l);
		link_drop(l);
		if (!good)
			break;
	}
	link_gone(l, THERE);
	link_submit_end(l, RING);
	link_work_end(l, OUT);
	link_forget(l, THERE, PROC);
	link_forget(l, 0, DRIVER);
	link_forget(l, 0, WORKER);
	hear();
	ring_unmap(wrk.shm);
	ring_unmap(sub.shm);
	close(a);
	close(b);
}

void
fuzz_seeds(void)
{
	static const unsigned char code[] = "return 1", args[] = { 1, 2, 3, 4 };
	struct buf t = BUF_INIT, all = BUF_INIT;

	buf_add(&all, (unsigned char[]){ 3, 2 | 16 | 3 << 5, sizeof code }, 3);		/* function 3 */
	buf_add(&all, code, sizeof code);
	packed_task_put(&t, &(struct packed_task){ .slot = 9, .n = sizeof args, .fn = 3, .seq = 1, .nvals = 1, .bytes = args });
	buf_add(&all, (unsigned char[]){ 3, 0 | 16, (unsigned char)t.len }, 3);
	buf_add(&all, t.data, t.len);
	buf_add(&all, (unsigned char[]){ 0, 7 }, 2);					/* the worker does it */
	buf_add(&all, (unsigned char[56]){ 0 }, 56);
	buf_add(&all, (unsigned char[]){ 1, 0 }, 2);
	buf_add(&all, (unsigned char[64]){ 0 }, 64);
	buf_add(&all, (unsigned char[]){ 2 }, 1);
	fuzz_seed(all.data, all.len);
	t.len = 0;
	packed_done_put(&t, &(struct packed_done){ .slot = 9, .n = sizeof args, .nvals = 1, .kind = DONE_HERE, .bytes = args });
	buf_add(&all, (unsigned char[]){ 3, 1 | 16, (unsigned char)t.len }, 3);
	buf_add(&all, t.data, t.len);
	fuzz_seed(all.data, all.len);
	buf_release(&t);
	buf_release(&all);
}
