/* store_dead.c - kill -9 of borrowers and of rlet at any moment: what was sealed stays, every byte is accounted for */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "store/arena_node.h"
#include "tap.h"

static volatile unsigned char touched;

static struct arena_node an;
static _Atomic uint64_t pin[8];
static uint32_t gone;			/* this owner is dead */
static unsigned nkept, nfreed, ntold;

static bool
pins(void *ctx, unsigned i, const _Atomic uint64_t **slot, unsigned *n)
{
	(void)ctx;
	*slot = pin;
	*n = 8;
	return i == 0;
}

static bool
alive(void *ctx, uint32_t node, uint32_t proc)
{
	(void)ctx, (void)node;
	return proc != gone;
}

static void
freed(void *ctx, struct id id)
{
	(void)ctx, (void)id;
	nfreed++;
}

static void
kept(void *ctx, struct id id, uint64_t off, uint32_t gen)
{
	(void)ctx, (void)id, (void)off, (void)gen;
	nkept++;
}

static void
tell(void *ctx, uint32_t proc, uint64_t off, uint32_t gen)
{
	(void)proc;
	ntold++;
	if (ctx)
		arena_free(ctx, off, gen);
}

static int
start(uint64_t bytes)
{
	struct arena_hooks h = { pins, alive, freed, kept, tell, NULL };

	nkept = nfreed = ntold = 0;
	gone = 0;
	if (arena_node_create_on(&an, seg_create("test", bytes)) < 0)
		return -1;
	an.hook = h;
	return 0;
}

static int
make(struct arena *a, struct id id, uint64_t size, bool seal, struct obj *o)
{
	uint64_t off, len;
	int e;

	while ((e = arena_new(a, id, &size, 1, 8, o)) == -EAGAIN)
		if ((e = arena_node_lend(&an, a->proc, arena_want(arena_run(&size, 1, 8)), &off, &len)) < 0 ||
		    (e = arena_lend(a, off, len)) < 0)
			return e;
	if (e < 0 || (e = arena_ready(a, o)) < 0)
		return e;
	memset(obj_buf(a, o, 0, NULL), (int)id.seq, size);
	if (seal)
		arena_seal(a, o->off);
	return 0;
}

static void
units(void)
{
	struct arena a = ARENA_INIT, r = ARENA_INIT;
	struct obj o[6];
	struct obj_view v;
	uint32_t who = 0;
	uint64_t all;
	unsigned hint = 0;
	int s;

	ok(start(32 << 20) == 0 && arena_attach(&a, an.fd, 1) == 0 && arena_attach(&r, an.fd, 2) == 0);
	all = an.free;
	ok(make(&a, id_make(1, 9, 1, 0), 100000, true, &o[0]) == 0 && make(&a, id_make(1, 9, 2, 0), 1000, false, &o[1]) == 0);
	ok(make(&a, id_make(1, 8, 3, 0), 2000000, true, &o[2]) == 0 && make(&a, id_make(1, 8, 4, 0), 500, true, &o[3]) == 0);
	ok(make(&a, id_make(1, 7, 5, 0), 400000, true, &o[4]) == 0 && make(&a, id_make(1, 7, 6, 0), 10, true, &o[5]) == 0);
	ok(arena_node_free(&an, o[0].off, o[0].gen, &who) == -EPERM && who == 1);
	ok(arena_node_keep(&an, o[5].off, o[5].gen, true) == 0 && arena_node_keep(&an, o[5].off, 0, true) == ERR_NOTFOUND);

	/* an owner dies while the maker lives: it is told */
	an.hook.ctx = NULL;
	arena_node_owner_dead(&an, 1, 7);
	ok(ntold == 1 && nfreed == 0);		/* not the kept one */

	/* the maker dies; of owner 8 it is known that it is dead */
	gone = 8;
	arena_release(&a);
	ok((s = arena_pin(&r, pin, 8, &hint, o[2].off, o[2].gen)) == 0);
	ok(arena_node_dead(&an, 1) == 0 && an.lent == 0 && an.owned > 0 && arena_node_check(&an) == 0);
	ok(nkept == 3 && nfreed == 1);		/* o[3] freed, o[2] pinned, o[1] never finished */
	ok(arena_view(&r, o[0].off, o[0].gen, &v) == 0 && v.head != NULL && v.buf[0].len == 100000 && v.buf[0].p[99999] == 0);
	ok(arena_view(&r, o[1].off, o[1].gen, &v) == ERR_NOTFOUND && arena_view(&r, o[3].off, o[3].gen, &v) == ERR_NOTFOUND);
	ok(arena_view(&r, o[2].off, o[2].gen, &v) == 0);
	ok(arena_node_flush(&an) == 1);
	pin_drop(pin, &hint, s);
	ok(arena_node_flush(&an) == 0 && nfreed == 2 && arena_view(&r, o[2].off, o[2].gen, &v) == ERR_NOTFOUND);
	ok(arena_pin(&r, pin, 8, &hint, o[2].off, o[2].gen) == ERR_NOTFOUND && pin[0] == 0);
	ok(arena_node_check(&an) == 0);

	/* freed one by one, twice, wrongly */
	ok(arena_node_free(&an, o[0].off, o[0].gen, &who) == 0 && arena_node_free(&an, o[0].off, o[0].gen, &who) == 0);
	ok(arena_node_free(&an, o[0].off + 64, o[0].gen, &who) == 0 && arena_node_free(&an, o[4].off, o[4].gen + 1, &who) == 0);
	ok(arena_node_free(&an, 7, 1, &who) == ERR_NOTFOUND && arena_node_free(&an, UINT64_MAX, 1, &who) == ERR_NOTFOUND);
	ok(arena_node_flush(&an) == 0 && nfreed == 3);
	arena_node_owner_dead(&an, 1, 7);
	ok(nfreed == 4 && arena_view(&r, o[5].off, o[5].gen, &v) == 0);		/* kept */
	ok(arena_node_free(&an, o[5].off, o[5].gen, &who) == 0 && arena_node_flush(&an) == 0);
	ok(an.owned == 0 && an.free == all && arena_node_check(&an) == 0);
	arena_release(&r);
	arena_node_release(&an);
}

static int
pid_of(void *ctx, uint32_t proc)
{
	(void)ctx;
	return proc == 5 ? 1005 : 0;
}

static void
report(void)
{
	struct arena a = ARENA_INIT;
	struct buf b = BUF_INIT;
	struct obj o;

	ok(start(32 << 20) == 0 && arena_attach(&a, an.fd, 5) == 0);
	ok(make(&a, id_make(1, 5, 1, 0), 3 << 20, true, &o) == 0 && make(&a, id_make(1, 5, 2, 0), 5 << 20, true, &o) == 0);
	ok(arena_node_report(&an, pid_of, NULL, &b) == 0 && buf_add(&b, "", 1) == 0);
	ok(strstr((char *)b.data, "process 1005") && strstr((char *)b.data, "2 objects"));
	printf("# %s\n", (char *)b.data);
	buf_release(&b);
	arena_release(&a);
	arena_node_release(&an);
}

/* --- random kills --------------------------------------------------------------------------------------- */

enum { SLOTS = 64, EXTENTS = 3 };
struct extent {
	uint64_t off, len;
};

/* The borrower: random work in the extents lent to it, for ever.  Objects' bytes follow from their ids. */
static void
work(const struct extent *x, uint32_t proc, unsigned seed)
{
	struct arena a = ARENA_INIT;
	struct obj o[SLOTS] = { 0 };
	uint64_t off, len;

	srandom(seed);
	if (arena_attach(&a, an.fd, proc) < 0)
		_exit(1);
	for (int i = 0; i < EXTENTS; i++)
		if (arena_lend(&a, x[i].off, x[i].len) < 0)
			_exit(1);
	a.reserve = a.bytes;
	for (uint64_t n = 0;; n++) {
		struct obj *p = &o[random() % SLOTS];
		uint64_t size = (uint64_t)random() % (UINT64_C(1) << (random() % 20));

		if (p->off) {
			if (arena_free(&a, p->off, p->gen) < 0)
				_exit(2);
			p->off = 0;
		} else if (arena_new(&a, id_make(1, proc, n, 0), &size, 1, 0, p) == 0) {
			memset(obj_buf(&a, p, 0, NULL), (int)(n & 0xff), size);
			if (random() % 8)
				arena_seal(&a, p->off);
			else {
				arena_abort(&a, p->off);
				p->off = 0;
			}
		}
		if (random() % 64 == 0 && arena_spare(&a, &off, &len))
			_exit(3);
	}
}

static bool
intact(void *ctx, const struct arena_item *it)
{
	const unsigned char *buf = an.base + it->off + 128;	/* header, table and the head's padding */
	uint64_t size = it->size;
	uint32_t who;

	for (uint64_t i = 0; i < size; i++)
		if (buf[i] != (id_task(it->id) & 0xff)) {
			*(bool *)ctx = false;
			return false;
		}
	arena_node_free(&an, it->off, it->gen, &who);
	return true;
}

static void
kill_borrowers(void)
{
	int rounds = getenv("ROTA_LONG") ? 3000 : 150, status;
	uint64_t all, survivors = 0;
	bool good = true;

	ok(start(24 << 20) == 0);
	all = an.free;
	srandom(11);
	for (int round = 0; round < rounds && good; round++) {
		struct extent x[EXTENTS];
		struct timespec t = { 0, random() % 3000000 };
		uint32_t proc = (uint32_t)round + 1;
		pid_t pid;

		for (int i = 0; i < EXTENTS; i++)
			good &= arena_node_lend(&an, proc, (uint64_t)(i + 1) << 20, &x[i].off, &x[i].len) == 0;
		if ((pid = fork()) == 0)
			work(x, proc, (unsigned)round);
		nanosleep(&t, NULL);		/* the moment of death is what is random here */
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		good &= WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		nkept = nfreed = 0;
		good &= arena_node_dead(&an, proc) == 0 && an.lent == 0 && an.lost == 0 && arena_node_check(&an) == 0;
		good &= an.free + an.owned == all;
		arena_node_each(&an, intact, &good);
		good &= an.nvictim == nkept && arena_node_flush(&an) == 0 && nfreed == nkept;
		good &= an.free == all && an.owned == 0 && arena_node_check(&an) == 0;
		survivors += nkept;
	}
	ok(good);
	ok(survivors > 0);
	printf("# %d kills, %llu sealed objects survived\n", rounds, (unsigned long long)survivors);
	arena_node_release(&an);
}

/* rlet itself: lends, gets back, buries borrowers and frees until it is killed; another one adopts the arena */
static void
serve(int seed)
{
	struct arena a = ARENA_INIT;
	struct obj o;

	srandom((unsigned)seed);
	for (uint32_t proc = 1;; proc++) {
		if (arena_attach(&a, an.fd, proc) < 0)
			_exit(1);
		for (int i = 0; i < 20; i++)
			if (make(&a, id_make(1, proc, (uint64_t)i, 0), (uint64_t)random() % 200000, random() % 4, &o) < 0)
				break;
		arena_release(&a);
		if (arena_node_dead(&an, proc))
			_exit(2);
		if (random() % 8)
			arena_node_owner_dead(&an, 1, (uint32_t)random() % (proc + 1));
		an.reserve = 1 << 20;
		arena_node_trim(&an, 1 << 20);
		arena_node_flush(&an);
	}
}

static bool
count(void *ctx, const struct arena_item *it)
{
	uint32_t who;

	arena_node_free(&an, it->off, it->gen, &who);
	++*(unsigned *)ctx;
	return true;
}

static void
kill_node(void)
{
	int rounds = getenv("ROTA_LONG") ? 2000 : 100, status, fd;
	unsigned left = 0;
	bool good = true;

	srandom(13);
	for (int round = 0; round < rounds && good; round++) {
		struct timespec t = { 0, random() % 4000000 };
		uint64_t all;
		pid_t pid;

		good &= start(16 << 20) == 0;
		all = an.free;
		if ((pid = fork()) == 0) {
			fd = dup(an.fd);
			arena_node_release(&an);
			if (arena_node_adopt(&an, fd) < 0)	/* its mapping is not inherited */
				_exit(3);
			serve(round);
		}
		nanosleep(&t, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		good &= WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		fd = dup(an.fd);
		arena_node_release(&an);
		good &= arena_node_adopt(&an, fd) == 0 && arena_node_check(&an) == 0;
		for (uint32_t proc = 1; an.lent && proc < 100000; proc++)
			good &= arena_node_dead(&an, proc) == 0;
		good &= an.lent == 0 && an.free + an.owned == all && arena_node_check(&an) == 0;
		arena_node_each(&an, count, &left);
		good &= arena_node_flush(&an) == 0 && an.owned == 0 && an.free == all && arena_node_check(&an) == 0;
		arena_node_release(&an);
	}
	ok(good);
	ok(left > 0);
}

/* --- bad headers ---------------------------------------------------------------------------------------- */

/* random words over headers and anywhere in an extent: nothing crashes, nothing outside of it suffers */
static void
hostile(void)
{
	int rounds = getenv("ROTA_LONG") ? 20000 : 2000;
	unsigned bad = 0, seen = 0;
	bool good = true;

	srandom(17);
	for (int round = 0; round < rounds && good; round++) {
		struct arena a = ARENA_INIT, r = ARENA_INIT;
		struct obj o[10], other;
		struct obj_view v;
		uint32_t who;

		good &= start(8 << 20) == 0 && arena_attach(&a, an.fd, 1) == 0 && arena_attach(&r, an.fd, 2) == 0;
		good &= make(&r, id_make(1, 2, 1, 0), 1000, true, &other) == 0;
		for (int i = 0; i < 10; i++)
			good &= make(&a, id_make(1, 1, (uint64_t)i, 0), (uint64_t)random() % 60000, true, &o[i]) == 0;
		for (int i = 0; i < 3; i++) {
			uint64_t *p = (uint64_t *)(void *)(a.base + o[random() % 10].off) + random() % 10;

			*p = random() % 2 ? (uint64_t)random() << (random() % 40) : *p ^ UINT64_C(1) << (random() % 64);
		}
		for (int i = 0; i < 10; i++)
			if (arena_view(&r, o[i].off, o[i].gen, &v) == 0) {
				const unsigned char *p;
				uint64_t len;

				seen++;
				for (unsigned k = 0; k < v.nbuf; k++)
					if (obj_view_buf(&r, &v, k, &p, &len) == 0 && len) {
						good &= p >= r.base && len <= (uint64_t)(r.base + r.bytes - p);
						touched = p[0];		/* they can be read */
						touched = p[len - 1];
					}
			}
		for (int i = 0; i < 10; i++)
			arena_free(&a, o[random() % 10].off, o[i].gen);
		arena_release(&a);
		bad += arena_node_dead(&an, 1);
		good &= arena_node_check(&an) == 0;
		for (int i = 0; i < 10; i++)
			arena_node_free(&an, o[i].off, o[i].gen, &who);
		arena_node_flush(&an);
		arena_node_owner_dead(&an, 1, 1);
		good &= arena_node_check(&an) == 0;
		good &= arena_view(&r, other.off, other.gen, &v) == 0 && arena_free(&r, other.off, other.gen) == 0;
		arena_release(&r);
		arena_node_release(&an);
	}
	ok(good);
	ok(bad > 0 && seen > 0);
	printf("# %u extents were given up\n", bad);
}

int
main(void)
{
	units();
	report();
	kill_borrowers();
	kill_node();
	hostile();
	return tap_done();
}
