/* store_arena.c - objects are made, sealed, read, freed and lent back; nothing overlaps; random use agrees with a model */
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/err.h"
#include "os/seg.h"
#include "store/arena_node.h"
#include "tap.h"

enum { P = 3 };
static struct arena_node an;

static int
make(struct arena *a, struct id id, const uint64_t *size, unsigned nbuf, uint64_t head, struct obj *o)
{
	uint64_t off, len;
	int e;

	while ((e = arena_new(a, id, size, nbuf, head, o)) == -EAGAIN)
		if ((e = arena_node_lend(&an, a->proc, arena_want(arena_run(size, nbuf, head)), &off, &len)) < 0 ||
		    (e = arena_lend(a, off, len)) < 0)
			break;
	if (e == 0 && (e = arena_ready(a, o)) < 0)
		arena_abort(a, o->off);
	return e;
}

static void
give_back(struct arena *a)
{
	uint64_t off, len;

	while (arena_spare(a, &off, &len))
		if (arena_node_unlend(&an, a->proc, off, len) < 0)
			abort();
}

/* what is free and has no pages gets some, and is counted as such; what was lent meanwhile is not */
static void
prepared(void)
{
	uint64_t off, len, at, got, sum = 0;
	unsigned char *base = NULL;
	struct stat st;

	ok(arena_node_create(&an, 64 << 20) == 0 && (base = arena_prepare_map(an.fd)) != NULL && an.warm == 0);
	ok(!arena_node_cold(&an, 100, &off, &len));
	while (sum < 16 << 20 && arena_node_cold(&an, 4 << 20, &off, &len) && len <= 4 << 20) {
		if (arena_prepare(base, off, len) < 0)
			break;
		arena_node_warmed(&an, off, len);
		sum += len;
	}
	ok(sum >= 16 << 20 && an.warm == sum && arena_node_check(&an) == 0);
	ok(fstat(an.fd, &st) == 0 && (uint64_t)st.st_blocks * 512 >= sum && (uint64_t)st.st_blocks * 512 < sum + (4 << 20));
	ok(arena_node_lend(&an, P, 1 << 20, &at, &got) == 0 && an.warm == sum - got);	/* what is ready is lent first */
	ok(arena_node_cold(&an, 4 << 20, &off, &len) && arena_node_lend(&an, P, 46 << 20, &at, &got) == 0 && at < off + len && off < at + got);
	sum = an.warm;
	arena_node_warmed(&an, off, len);
	ok(an.warm <= sum + len && arena_node_check(&an) == 0);
	munmap(base, an.bytes);
	arena_node_release(&an);
}

static void
basics(void)
{
	struct arena a = ARENA_INIT, r = ARENA_INIT;
	uint64_t size[6] = { 0, 1, 64, 100, 5000, 70 }, len, off;
	const unsigned char *p;
	struct obj_view v;
	struct obj o, first;
	bool good = true;

	ok(arena_node_create(&an, 1000) == -ERANGE);
	ok(arena_node_create(&an, 32 << 20) == 0 && arena_node_check(&an) == 0);
	ok(arena_attach(&a, an.fd, 1) == 0 && arena_attach(&r, an.fd, 2) == 0);
	ok(arena_new(&a, id_make(1, 1, 1, 0), size, 6, 33, &o) == -EAGAIN);
	ok(make(&a, id_make(1, 1, 1, 0), size, 6, 33, &o) == 0 && o.off % 64 == 0 && o.off >= ARENA_GRANULE);
	ok(a.lent == 1 << 20 && an.lent == 1 << 20);	/* the first extent */
	memset(o.head, 'h', 33);
	for (unsigned i = 0; i < 6; i++) {
		unsigned char *b = obj_buf(&a, &o, i, &len);

		good &= len == size[i] && (uintptr_t)b % 64 == 0;
		memset(b, '0' + (int)i, len);
	}
	ok(good);
	ok(arena_view(&r, o.off, o.gen, &v) == ERR_NOTFOUND);	/* not sealed yet */
	arena_name(&a, o.off, id_make(1, 1, 7, 3), 9);
	arena_seal(&a, o.off);
	ok(arena_view(&r, o.off, o.gen, &v) == 0 && v.nbuf == 6 && v.headlen == 33 && v.flags == 9 && v.proc == 1);
	ok(id_eq(v.id, id_make(1, 1, 7, 3)) && v.size == 33 + 0 + 1 + 64 + 100 + 5000 + 70);
	for (unsigned i = 0; i < 6; i++) {
		good &= obj_view_buf(&r, &v, i, &p, &len) == 0 && len == size[i];
		for (uint64_t k = 0; good && k < len; k++)
			good &= p[k] == '0' + i;
	}
	for (unsigned k = 0; k < 33; k++)
		good &= v.head[k] == 'h';
	ok(good && obj_view_buf(&r, &v, 6, &p, &len) == ERR_NOTFOUND);
	ok(arena_view(&r, o.off, o.gen + 1, &v) == ERR_NOTFOUND && arena_view(&r, o.off + 8, o.gen, &v) == ERR_PROTO);
	ok(arena_view(&r, 0, 0, &v) == ERR_PROTO && arena_view(&r, UINT64_MAX - 63, 1, &v) == ERR_PROTO &&
	    arena_view(&r, r.bytes, 1, &v) == ERR_PROTO);
	ok(arena_mine(&a, o.off) && !arena_mine(&r, o.off) && !arena_mine(&a, 0) && !arena_mine(&a, UINT64_MAX));
	ok(arena_free(&r, o.off, o.gen) == -EPERM && arena_free(&a, o.off, o.gen + 1) == ERR_NOTFOUND);
	ok(arena_free(&a, o.off + 64, o.gen) == ERR_NOTFOUND);
	ok(arena_free(&a, o.off, o.gen) == 0 && arena_free(&a, o.off, o.gen) == ERR_NOTFOUND && a.used == 0);
	ok(arena_view(&r, o.off, o.gen, &v) == ERR_NOTFOUND);
	first = o;
	ok(make(&a, id_make(1, 1, 1, 0), size, 6, 33, &o) == 0 && o.off == first.off && o.gen != first.gen); /* warm */
	arena_abort(&a, o.off);
	ok(a.used == 0);
	ok(arena_run(&(uint64_t){ UINT64_MAX - 5 }, 1, 0) == 0 && arena_run(NULL, 0, UINT64_MAX) == 0);
	ok(arena_new(&a, (struct id){ 0 }, &(uint64_t){ 64 << 20 }, 1, 0, &o) == -E2BIG);
	ok(make(&a, (struct id){ 0 }, &(uint64_t){ 31 << 20 }, 1, 0, &o) == ERR_FULL);
	ok(arena_lend(&a, first.off & ~(ARENA_GRANULE - 1), ARENA_GRANULE) == ERR_PROTO);	/* ours already */
	ok(arena_lend(&a, 0, ARENA_GRANULE) == ERR_PROTO && arena_lend(&a, 1 << 30, ARENA_GRANULE) == ERR_PROTO);
	ok(!arena_spare(&a, &off, &len));		/* within the reserve */
	a.reserve = 0;
	give_back(&a);
	ok(a.lent == 0 && an.lent == 0 && an.free > 31 << 20 && arena_node_check(&an) == 0);
	ok(!arena_mine(&a, first.off));
	ok(arena_node_unlend(&an, 1, 1 << 20, 1 << 20) == -EPERM);
	arena_release(&a);
	arena_release(&r);
	arena_node_release(&an);
}

/* what a borrower had is preferred for it; pages beyond the reserve are given back */
static void
lending(void)
{
	uint64_t o1, o2, o3, n1, n2, n3;

	ok(arena_node_create(&an, 64 << 20) == 0);
	ok(arena_node_lend(&an, 1, 4 << 20, &o1, &n1) == 0 && arena_node_lend(&an, 2, 4 << 20, &o2, &n2) == 0);
	ok(o1 % ARENA_HUGE == 0 && n1 == 4 << 20 && o2 % ARENA_HUGE == 0);
	ok(arena_node_unlend(&an, 2, o1, n1) == -EPERM && arena_node_unlend(&an, 1, o1, n1 / 2) == -EPERM);
	ok(arena_node_unlend(&an, 1, o1, n1) == 0 && arena_node_unlend(&an, 2, o2, n2) == 0);
	ok(arena_node_lend(&an, 2, 3 << 20, &o3, &n3) == 0 && o3 == o2);
	ok(an.warm == 5 << 20);
	an.reserve = 1 << 20;
	ok(arena_node_trim(&an, 1 << 20) && an.warm == 4 << 20 && arena_node_check(&an) == 0);
	ok(!arena_node_trim(&an, UINT64_MAX) && an.warm == 1 << 20 && arena_node_check(&an) == 0);
	ok(arena_node_lend(&an, 3, 40 << 20, &o1, &n1) == 0 && n1 == 40 << 20);
	ok(arena_node_lend(&an, 3, 40 << 20, &o1, &n1) == ERR_FULL);
	an.limit = 44 << 20;
	ok(arena_node_lend(&an, 3, 2 << 20, &o1, &n1) == ERR_FULL);	/* the test hook */
	ok(arena_node_lend(&an, 0, 1 << 20, &o1, &n1) == -EINVAL);
	ok(arena_node_dead(&an, 3) == 0 && arena_node_dead(&an, 2) == 0 && an.lent == 0 && arena_node_check(&an) == 0);
	an.limit = 0;
	ok(arena_node_lend(&an, 9, 63 << 20, &o1, &n1) == 0);		/* all runs join again */
	arena_node_release(&an);
}

/* doubling: a process that has much is lent more at a time */
static void
growing(void)
{
	struct arena a = ARENA_INIT;
	struct obj o;
	uint64_t size = 100 << 10, n = 0;
	bool good = true;

	ok(arena_node_create(&an, (uint64_t)2 << 30) == 0 && arena_attach(&a, an.fd, 1) == 0);
	for (int i = 0; i < 500; i++) {
		good &= make(&a, id_make(1, 1, 1, 0), &size, 1, 0, &o) == 0;
		n += size;
	}
	ok(good && a.lent < 3 * n && a.used >= n);
	arena_release(&a);
	arena_node_release(&an);
}

struct item {
	struct obj o;
	unsigned char fill;
	uint64_t size;
	bool sealed;
};

static bool
whole(const struct arena *a, const struct item *it)
{
	const unsigned char *p = obj_buf(a, &it->o, 0, NULL);

	return it->size == 0 || (p[0] == it->fill && p[it->size - 1] == it->fill && p[it->size / 2] == it->fill &&
	    memcmp(p, p + 1, it->size - 1) == 0);
}

static bool
take_out(struct arena *a, struct item *it)
{
	bool good = whole(a, it);
	struct obj_view v;

	if (it->sealed)
		good &= arena_view(a, it->o.off, it->o.gen, &v) == 0 && arena_free(a, it->o.off, it->o.gen) == 0;
	else
		arena_abort(a, it->o.off);
	it->o.off = 0;
	return good;
}

/* random sizes in P processes' arenas; every byte keeps its value until it is freed, then all space is one again */
static void
random_use(void)
{
	enum { SLOTS = 300 };
	static struct item item[P][SLOTS];
	struct arena a[P] = { ARENA_INIT };
	int steps = getenv("ROTA_LONG") ? 200000 : 30000, full = 0;
	bool good = true;
	int e;

	srandom(7);
	ok(arena_node_create(&an, 48 << 20) == 0);
	for (unsigned p = 0; p < P; p++)
		good &= arena_attach(&a[p], an.fd, p + 1) == 0;
	for (int step = 0; step < steps && good; step++) {
		unsigned p = (unsigned)random() % P;
		struct item *it = &item[p][random() % SLOTS];

		if (it->o.off)
			good &= take_out(&a[p], it);
		else {
			it->size = (uint64_t)random() % (UINT64_C(1) << (random() % 22));
			it->fill = (unsigned char)random();
			it->sealed = random() % 4;
			e = make(&a[p], id_make(1, p + 1, (uint64_t)step, 0), &it->size, 1, (uint64_t)random() % 100, &it->o);
			if (e < 0) {
				full += e == ERR_FULL;
				good &= e == ERR_FULL;
				it->o.off = 0;
				a[p].reserve = 0;
				give_back(&a[p]);
				continue;
			}
			memset(obj_buf(&a[p], &it->o, 0, NULL), it->fill, it->size);
			if (it->sealed)
				arena_seal(&a[p], it->o.off);
		}
		if (step % 1000 == 0)
			good &= arena_node_check(&an) == 0 && a[0].lent + a[1].lent + a[2].lent == an.lent;
	}
	ok(good);
	ok(full > 0);
	for (unsigned p = 0; p < P; p++) {
		for (unsigned i = 0; i < SLOTS; i++)
			if (item[p][i].o.off)
				good &= take_out(&a[p], &item[p][i]);
		a[p].reserve = 0;
		give_back(&a[p]);
		good &= a[p].lent == 0 && a[p].used == 0;
		arena_release(&a[p]);
	}
	ok(good && an.lent == 0 && an.owned == 0 && arena_node_check(&an) == 0);
	arena_node_release(&an);
}

/* another process reads what we made; it cannot write there, and its own objects are its own */
static void
two_processes(void)
{
	struct arena a = ARENA_INIT;
	uint64_t size = 300000;
	struct obj o;
	int status;
	pid_t pid;

	/* this time in a memfd, as where there are no user namespaces */
	ok(arena_node_create_on(&an, seg_create("test", 32 << 20)) == 0 && arena_attach(&a, an.fd, 1) == 0);
	ok(make(&a, id_make(1, 1, 1, 0), &size, 1, 0, &o) == 0);
	memset(obj_buf(&a, &o, 0, NULL), 42, size);
	arena_seal(&a, o.off);
	for (int write_it = 0; write_it < 2; write_it++) {
		if ((pid = fork()) == 0) {
			struct arena r = ARENA_INIT;
			struct obj_view v;

			if (arena_attach(&r, an.fd, 2) < 0 || arena_view(&r, o.off, o.gen, &v) < 0)
				_exit(1);
			for (uint64_t i = 0; i < v.buf[0].len; i++)
				if (v.buf[0].p[i] != 42)
					_exit(2);
			signal(SIGSEGV, SIG_DFL);
			if (write_it)
				*(volatile unsigned char *)(uintptr_t)v.buf[0].p = 1;
			_exit(0);
		}
		waitpid(pid, &status, 0);
		ok(write_it ? status != 0 : status == 0);
	}
	arena_release(&a);
	arena_node_release(&an);
}

static void
put_text(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0 && write(fd, s, strlen(s)) < 0)
		perror(path);
	close(fd);
}

/* In a child: an arena of 64 MiB on a tmpfs of 8: objects until it is full, none damaged, and room again after one is freed. */
static int
full_child(void)
{
	static struct item item[64];
	struct arena a = ARENA_INIT;
	char uid[32], gid[32];
	int fs, n = 0, e = 0, fd;

	snprintf(uid, sizeof uid, "0 %u 1", geteuid());
	snprintf(gid, sizeof gid, "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return 77;
	put_text("/proc/self/setgroups", "deny");
	put_text("/proc/self/uid_map", uid);
	put_text("/proc/self/gid_map", gid);
	if ((fs = (int)syscall(SYS_fsopen, "tmpfs", 0)) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "8M", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
	    (fs = (int)syscall(SYS_fsmount, fs, 0, 0)) < 0 ||
	    (fd = openat(fs, ".", O_TMPFILE | O_RDWR, 0600)) < 0)
		return 77;
	if (ftruncate(fd, 64 << 20) < 0 || arena_node_create_on(&an, fd) < 0 || arena_attach(&a, fd, 1) < 0)
		return 1;
	for (; n < 64; n++) {
		item[n].size = 100000 + (uint64_t)n * 20000;
		item[n].fill = (unsigned char)n;
		if ((e = make(&a, id_make(1, 1, (uint64_t)n, 0), &item[n].size, 1, 0, &item[n].o)) < 0)
			break;
		memset(obj_buf(&a, &item[n].o, 0, NULL), n, item[n].size);
		arena_seal(&a, item[n].o.off);
	}
	if ((e != ERR_FULL && e != -ENOSPC) || n < 8)
		return 2;
	for (int i = 0; i < n; i++)
		if (!whole(&a, &item[i]))
			return 3;
	if (arena_free(&a, item[n - 1].o.off, item[n - 1].o.gen) < 0 ||
	    make(&a, id_make(1, 1, 1, 0), &item[n - 1].size, 1, 0, &item[n - 1].o) < 0)
		return 4;
	return arena_node_check(&an) == 0 ? 0 : 5;
}

static void
full_machine(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(full_child());
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("# no user namespaces here: a full tmpfs is not tried\n");
	else if (!ok(status == 0))
		printf("# status %x\n", (unsigned)status);
}

int
main(void)
{
	basics();
	prepared();
	lending();
	growing();
	random_use();
	two_processes();
	full_machine();
	return tap_done();
}
