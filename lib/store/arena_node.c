#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/err.h"
#include "base/grow.h"
#include "os/seg.h"
#include "store/arena_own.h"

static uint64_t
ngran(const struct arena_node *an)
{
	return an->bytes >> ARENA_SHIFT;
}

/* --- free runs ------------------------------------------------------------------------------------------ */

static size_t
run_after(const struct arena_node *an, uint64_t g)	/* index of the first run that begins at or after g */
{
	size_t lo = 0, hi = an->nrun, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (an->run[mid].g < g)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
run_remove(struct arena_node *an, size_t i)
{
	memmove(&an->run[i], &an->run[i + 1], (--an->nrun - i) * sizeof *an->run);
}

static bool
run_insert(struct arena_node *an, size_t i, struct arena_run r)
{
	struct arena_run *more = grow(an->run, &an->caprun, an->nrun, sizeof *more);

	if (more == NULL)
		return false;
	an->run = more;
	memmove(&an->run[i + 1], &an->run[i], (an->nrun++ - i) * sizeof *an->run);
	an->run[i] = r;
	return true;
}

/* Joins run i with the next one if they touch; alike: only if both have the same past. */
static bool
run_join(struct arena_node *an, size_t i, bool alike)
{
	struct arena_run *r = &an->run[i], *s = r + 1;

	if (i + 1 >= an->nrun || r->g + r->n != s->g || (alike && (r->last != s->last || r->warm != s->warm)))
		return false;
	if (r->warm != s->warm)
		an->warm += (r->warm ? s->n : r->n) << ARENA_SHIFT;
	r->last = r->last == s->last ? r->last : 0;
	r->warm = r->warm || s->warm;
	r->n += s->n;
	run_remove(an, i + 1);
	return true;
}

void
own_give(struct arena_node *an, uint64_t g, uint64_t n, uint32_t last, bool warm)
{
	size_t i = run_after(an, g);

	an->free += n << ARENA_SHIFT;
	if (warm)
		an->warm += n << ARENA_SHIFT;
	if (!run_insert(an, i, (struct arena_run){ g, n, last, warm }))
		return;		/* no memory for 24 bytes: these granules rest until the next rlet adopts the arena */
	run_join(an, i, true);
	if (i > 0)
		run_join(an, i - 1, true);
}

static uint64_t
fit(const struct arena_run *r, uint64_t n)	/* where in r, aligned if that costs little; 0: nowhere */
{
	uint64_t huge = ARENA_HUGE >> ARENA_SHIFT, g = (r->g + huge - 1) / huge * huge;

	if (r->n < n)
		return 0;
	return n >= huge && (n % huge == 0 || g - r->g <= n / 8) && g + n <= r->g + r->n ? g : r->g;
}

/* what of r may be lent: the larger part of it that is not avoided */
static struct arena_run
lendable(const struct arena_node *an, const struct arena_run *r)
{
	uint64_t from = an->avoid >> ARENA_SHIFT, to = (an->avoid_end + ARENA_GRANULE - 1) >> ARENA_SHIFT, end = r->g + r->n;
	uint64_t front = from > r->g ? from - r->g : 0, rear = end > to ? end - to : 0;

	if (r->g >= to || end <= from)
		return *r;
	return front >= rear ? (struct arena_run){ r->g, front, r->last, r->warm } : (struct arena_run){ to, rear, r->last, r->warm };
}

/* proc's own before anybody's warm one, before an untouched one, before what others may want back; then the smallest */
static size_t
run_pick(const struct arena_node *an, uint32_t proc, uint64_t n)
{
	size_t best = an->nrun;
	unsigned rank, best_rank = 4;

	for (size_t i = 0; i < an->nrun; i++) {
		const struct arena_run *r = &an->run[i];

		if (r->n < n || lendable(an, r).n < n)
			continue;
		rank = r->last == proc ? 0 : !r->warm ? 2 : r->last ? 3 : 1;
		if (rank < best_rank || (rank == best_rank && r->n < an->run[best].n)) {
			best = i;
			best_rank = rank;
		}
	}
	return best;
}

static uint64_t
run_take(struct arena_node *an, uint32_t proc, uint64_t n)	/* first granule, 0: no run is that long */
{
	size_t i = run_pick(an, proc, n);
	struct arena_run r, part;
	uint64_t g;

	if (i == an->nrun) {
		for (size_t k = 0; k < an->nrun; k++)
			while (run_join(an, k, false))
				;
		if ((i = run_pick(an, proc, n)) == an->nrun)
			return 0;
	}
	r = an->run[i];
	part = lendable(an, &r);
	g = fit(&part, n);
	if (g > r.g && g + n < r.g + r.n) {
		if (!run_insert(an, i + 1, (struct arena_run){ g + n, r.g + r.n - g - n, r.last, r.warm }))
			return 0;
		an->run[i].n = g - r.g;
	} else if (g > r.g)
		an->run[i].n = g - r.g;
	else if (r.n > n) {
		an->run[i].g += n;
		an->run[i].n -= n;
	} else
		run_remove(an, i);
	an->free -= n << ARENA_SHIFT;
	if (r.warm)
		an->warm -= n << ARENA_SHIFT;
	return g;
}

/* --- extents -------------------------------------------------------------------------------------------- */

bool
own_next(const struct arena_node *an, uint64_t *g, struct own_extent *x)
{
	uint64_t at = *g < an->first ? an->first : *g, end = ngran(an), w;
	size_t i = run_after(an, at);

	while (at < end) {
		w = atomic_load_explicit(&own_log(an, at)->word, memory_order_relaxed);
		if (w) {
			*x = (struct own_extent){ at, log_n(w), log_state(w), (uint32_t)w };
			*g = at + x->n;
			return true;
		}
		while (i < an->nrun && an->run[i].g < at)
			i++;
		at += i < an->nrun && an->run[i].g == at ? an->run[i].n : 1;
	}
	*g = end;
	return false;
}

bool
own_find(const struct arena_node *an, uint64_t off, struct own_extent *x)
{
	uint64_t g = off >> ARENA_SHIFT, at;

	if (off % 64 || off >= an->bytes)
		return false;
	for (at = g; at >= an->first; at--)
		if (atomic_load_explicit(&own_log(an, at)->word, memory_order_relaxed))
			return own_next(an, &at, x) && x->g <= g && g < x->g + x->n;
	return false;
}

static int
setup(struct arena_node *an, int fd)
{
	int e;

	*an = (struct arena_node)ARENA_NODE_INIT;
	if ((an->base = arena_map(fd, &an->bytes, true, &e)) == NULL)
		return e;
	an->fd = fd;
	an->first = arena_first(an->bytes);
	an->reserve = an->bytes / 4;
	return 0;
}

int
arena_node_create_on(struct arena_node *an, int fd)
{
	struct arena_head *head;
	int e;

	if ((e = seg_reserve(fd, 0, ARENA_GRANULE)) < 0 || (e = setup(an, fd)) < 0)
		return e;
	head = (struct arena_head *)(void *)an->base;
	if (head->magic || ngran(an) <= an->first) {
		an->fd = -1;		/* stays the caller's */
		arena_node_release(an);
		return ERR_LAYOUT;
	}
	head->layout = ARENA_LAYOUT;
	head->bytes = an->bytes;
	head->magic = ARENA_MAGIC;
	own_give(an, an->first, ngran(an) - an->first, 0, false);
	return 0;
}

int
arena_node_create(struct arena_node *an, uint64_t bytes)
{
	int fd, e;

	bytes = (bytes + ARENA_GRANULE - 1) & ~(ARENA_GRANULE - 1);
	if (bytes < ARENA_LEND_MIN + ARENA_GRANULE || bytes > ARENA_MAX)
		return -ERANGE;
	if ((fd = own_file(bytes)) < 0)
		return fd;
	if ((e = arena_node_create_on(an, fd)) < 0)
		close(fd);
	return e;
}

int
arena_node_adopt(struct arena_node *an, int fd)
{
	const struct arena_head *head;
	struct own_extent x;
	uint64_t g, from, w;
	int e;

	if ((e = setup(an, fd)) < 0)
		return e;
	head = (const struct arena_head *)(const void *)an->base;
	if (head->magic != ARENA_MAGIC || head->layout != ARENA_LAYOUT || head->bytes != an->bytes)
		goto bad;
	for (g = from = an->first; g < ngran(an); g++) {
		if ((w = atomic_load_explicit(&own_log(an, g)->word, memory_order_relaxed)) == 0)
			continue;
		if (log_n(w) == 0 || log_n(w) > ngran(an) - g || log_state(w) == EXTENT_FREE || log_state(w) > EXTENT_OWNED)
			goto bad;
		if (g > from)
			own_give(an, from, g - from, 0, true);
		*(log_state(w) == EXTENT_LENT ? &an->lent : &an->owned) += log_n(w) << ARENA_SHIFT;
		g += log_n(w) - 1;
		from = g + 1;
	}
	if (g > from)
		own_give(an, from, g - from, 0, true);
	for (g = 0; own_next(an, &g, &x); )
		if (x.state == EXTENT_OWNED)
			own_settle(an, &x, true);	/* what the last rlet was doing to it may be half done */
	return 0;
bad:
	an->fd = -1;		/* stays the caller's */
	arena_node_release(an);
	return ERR_LAYOUT;
}

void
arena_node_release(struct arena_node *an)
{
	if (an->base)
		munmap(an->base, an->bytes);
	if (an->fd >= 0)
		close(an->fd);
	free(an->run);
	free(an->victim);
	*an = (struct arena_node)ARENA_NODE_INIT;
}

static uint64_t
growth(const struct arena_node *an, uint32_t proc)	/* granules to lend to proc if it asks for few */
{
	uint64_t sum = 0, most = an->bytes / 16, least = most / 2 < ARENA_LEND_MIN ? most / 2 : ARENA_LEND_MIN;
	struct own_extent x;

	for (uint64_t g = 0; own_next(an, &g, &x); )
		if (x.state == EXTENT_LENT && x.borrower == proc)
			sum += x.n << ARENA_SHIFT;
	if (sum > ARENA_LEND_MAX)
		sum = ARENA_LEND_MAX;
	if (sum > most)
		sum = most;
	if (sum < least)
		sum = least;			/* of a small arena a 32nd: many processes want some of it */
	return (sum + ARENA_GRANULE - 1) >> ARENA_SHIFT;
}

/*
 * Takes the first header's page; the borrower takes the others before it writes (arena_new).  Through the mapping
 * where it may be a huge one: fallocate does not know the advice.
 */
static int
first_page(struct arena_node *an, uint64_t g, uint64_t n)
{
	unsigned char *p = an->base + (g << ARENA_SHIFT);

	if (n << ARENA_SHIFT >= 2 * ARENA_HUGE && madvise(p, n << ARENA_SHIFT, MADV_HUGEPAGE) == 0) {
		if (madvise(p, 4096, MADV_POPULATE_WRITE) == 0)
			return 0;
		if (errno != EINVAL)
			return errno == EFAULT ? -ENOSPC : -errno;
	}
	return seg_reserve(an->fd, g << ARENA_SHIFT, ARENA_GRANULE);
}

int
arena_node_lend(struct arena_node *an, uint32_t proc, uint64_t bytes, uint64_t *off, uint64_t *len)
{
	uint64_t need, n, g, room = an->free;
	struct arena_log *log;
	int e;

	if (proc == 0 || bytes == 0 || bytes > an->bytes)
		return bytes > an->bytes ? ERR_FULL : -EINVAL;
	if (an->limit) {
		room = an->lent + an->owned;
		room = an->limit > room ? an->limit - room : 0;
	}
	need = (bytes + ARENA_GRANULE - 1) >> ARENA_SHIFT;
	n = proc == ARENA_NODE_PROC ? need : growth(an, proc);
	if (need >= ARENA_LEND_MIN >> ARENA_SHIFT && need > n / 8)
		n -= n % need;			/* a rest would hold nothing of this size */
	if (need > room >> ARENA_SHIFT)
		return ERR_FULL;
	if (n <= need || n > room >> ARENA_SHIFT || (g = run_take(an, proc, n)) == 0) {
		n = need;
		if ((g = run_take(an, proc, n)) == 0)
			return ERR_FULL;
	}
	if ((e = first_page(an, g, n)) < 0) {
		own_give(an, g, n, 0, false);
		return e;
	}
	arena_hdr_free(an->base, g << ARENA_SHIFT, n << ARENA_SHIFT);
	log = own_log(an, g);
	log->gen++;
	log->last = proc;
	atomic_store_explicit(&log->word, log_word(EXTENT_LENT, n, proc), memory_order_release);
	an->lent += n << ARENA_SHIFT;
	*off = g << ARENA_SHIFT;
	*len = n << ARENA_SHIFT;
	return 0;
}

/* The part [g, g + n) leaves x: what lies behind it becomes an extent of its own first, then the front one gets shorter. */
static void
cut(struct arena_node *an, const struct own_extent *x, uint64_t g, uint64_t n)
{
	uint64_t end = x->g + x->n;

	if (g + n < end) {
		own_log(an, g + n)->gen = own_log(an, x->g)->gen;
		own_log(an, g + n)->last = x->borrower;
		atomic_store_explicit(&own_log(an, g + n)->word, log_word(EXTENT_LENT, end - g - n, x->borrower),
		    memory_order_release);
	}
	atomic_store_explicit(&own_log(an, x->g)->word, g > x->g ? log_word(EXTENT_LENT, g - x->g, x->borrower) : 0,
	    memory_order_release);
}

int
arena_node_unlend(struct arena_node *an, uint32_t proc, uint64_t off, uint64_t len)
{
	struct own_extent x;
	struct arena_block b;
	uint64_t g = off >> ARENA_SHIFT, n = len >> ARENA_SHIFT;

	if (off % ARENA_GRANULE || len % ARENA_GRANULE || len == 0 || !own_find(an, off, &x) || g + n > x.g + x.n ||
	    x.state != EXTENT_LENT || x.borrower != proc)
		return -EPERM;
	if (!arena_block_load(an->base, off, off + len, &b) || b.run != len || b.state != OBJ_FREE) {
		if (g > x.g || n < x.n)
			return -EPERM;
		own_settle(an, &x, true);	/* it is not empty: better ours than lost */
		return 0;
	}
	cut(an, &x, g, n);
	an->lent -= len;
	own_give(an, g, n, proc, true);
	return 0;
}

bool
arena_node_trim(struct arena_node *an, uint64_t most)
{
	most >>= ARENA_SHIFT;
	for (int pass = 0; pass < 2; pass++)		/* first what nobody alive has used */
		for (size_t i = an->nrun; i-- > 0 && an->warm > an->reserve && most > 0; ) {
			struct arena_run r = an->run[i];
			uint64_t over = (an->warm - an->reserve + ARENA_GRANULE - 1) >> ARENA_SHIFT, n = r.n, g;

			if (!r.warm || (pass == 0 && r.last))
				continue;
			if (n > most)
				n = most;
			if (n > over)
				n = over;
			g = r.g + r.n - n;
			if (seg_punch(an->fd, g << ARENA_SHIFT, n << ARENA_SHIFT) < 0)
				return false;
			most -= n;
			an->free -= r.n << ARENA_SHIFT;
			an->warm -= r.n << ARENA_SHIFT;
			run_remove(an, i);
			if (r.n > n)
				own_give(an, r.g, r.n - n, r.last, true);
			own_give(an, g, n, 0, false);
			i = run_after(an, r.g);		/* the array changed; go on below r */
		}
	return an->warm > an->reserve;
}

/* --- pages ahead of their use ------------------------------------------------------------------------------ */

bool
arena_node_cold(const struct arena_node *an, uint64_t most, uint64_t *off, uint64_t *len)
{
	const struct arena_run *best = NULL;
	uint64_t huge = ARENA_HUGE >> ARENA_SHIFT, n, end;

	for (size_t i = 0; i < an->nrun; i++)
		if (!an->run[i].warm && (best == NULL || an->run[i].n > best->n))
			best = &an->run[i];
	if (best == NULL || most < ARENA_GRANULE)
		return false;
	end = best->g + best->n;
	if (end % huge && best->n > 2 * huge)
		n = end % huge;			/* then whole huge pages */
	else
		n = best->n < most >> ARENA_SHIFT ? best->n : most >> ARENA_SHIFT;
	*off = (end - n) << ARENA_SHIFT;
	*len = n << ARENA_SHIFT;
	return true;
}

void
arena_node_warmed(struct arena_node *an, uint64_t off, uint64_t len)
{
	uint64_t from = off >> ARENA_SHIFT, to = (off + len) >> ARENA_SHIFT;

	for (size_t i = 0; i < an->nrun; ) {
		struct arena_run r = an->run[i];
		uint64_t g = r.g > from ? r.g : from, end = r.g + r.n < to ? r.g + r.n : to;

		if (r.warm || g >= end) {
			i++;
			continue;
		}
		an->free -= r.n << ARENA_SHIFT;		/* cut into what was before, this, and what is behind */
		run_remove(an, i);
		if (r.g < g)
			own_give(an, r.g, g - r.g, r.last, false);
		if (end < r.g + r.n)
			own_give(an, end, r.g + r.n - end, r.last, false);
		own_give(an, g, end - g, r.last, true);
		i = run_after(an, end);
	}
}

unsigned char *
arena_prepare_map(int fd)
{
	uint64_t bytes;
	int e;

	return arena_map(fd, &bytes, true, &e);
}

int
arena_prepare(unsigned char *base, uint64_t off, uint64_t len)
{
	int e = 0;

	madvise(base + off, len, MADV_HUGEPAGE);
	if (madvise(base + off, len, MADV_POPULATE_WRITE) < 0)
		e = -errno;
	madvise(base + off, len, MADV_DONTNEED);	/* only our page tables: the file keeps its pages */
	return e;
}
