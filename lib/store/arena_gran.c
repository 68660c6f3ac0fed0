#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "base/err.h"
#include "store/arena_impl.h"

#define POPULATE_STEP (UINT64_C(4) << 20)
#define PAGE UINT64_C(4096)

static int
populate(struct arena *a, uint64_t off, uint64_t n)
{
	while (madvise(a->base + off, n, MADV_POPULATE_WRITE) < 0) {
		if (errno == EINTR || errno == EAGAIN)
			continue;
		return errno == EINVAL ? 0 : ERR_FULL;	/* an old kernel: the first write takes the page */
	}
	return 0;
}

int
gran_ready_head(struct arena *a, uint64_t g)
{
	struct gran *p = &a->impl->gran[g];
	int e = 0;

	if (!(p->flags & (GRAN_READY | GRAN_HEAD)) && (e = populate(a, g << ARENA_SHIFT, PAGE)) == 0)
		p->flags |= GRAN_HEAD;
	return e;
}

int
gran_ready(struct arena *a, uint64_t off, uint64_t end)
{
	struct gran *gran = a->impl->gran;
	uint64_t g = off >> ARENA_SHIFT, last = (end - 1) >> ARENA_SHIFT, to, n;
	int e;

	while (g <= last) {
		if (gran[g].flags & GRAN_READY) {
			g++;
			continue;
		}
		for (to = g; to <= last && to - g < POPULATE_STEP >> ARENA_SHIFT && !(gran[to].flags & GRAN_READY); to++)
			;
		n = to - g;
		if ((e = populate(a, g << ARENA_SHIFT, n << ARENA_SHIFT)) < 0)
			return e;
		while (g < to)
			gran[g++].flags |= GRAN_READY;
	}
	return 0;
}

static unsigned
bin_of(uint64_t n)
{
	return 63 - (unsigned)__builtin_clzll(n);
}

/* Is the free run at g a whole extent? */
static bool
is_empty(const struct arena_impl *m, uint64_t g)
{
	uint64_t end = g + m->gran[g].n;

	return (m->gran[g].flags & GRAN_FIRST) &&
	    (end == m->ngran || m->gran[end].kind == GRAN_NONE || (m->gran[end].flags & GRAN_FIRST));
}

static void
run_unlink(struct arena_impl *m, uint32_t g)
{
	struct gran *p = &m->gran[g];
	unsigned b = bin_of(p->n);

	if (p->prev)
		m->gran[p->prev].next = p->next;
	else if ((m->bin[b] = p->next) == 0)
		m->bins &= ~(1u << b);
	if (p->next)
		m->gran[p->next].prev = p->prev;
	if (is_empty(m, g)) {
		m->empty -= (uint64_t)p->n << ARENA_SHIFT;
		*(p->cold ? &m->gran[p->cold].warm : &m->coldest) = p->warm;
		*(p->warm ? &m->gran[p->warm].cold : &m->warmest) = p->cold;
	}
	p->kind = m->gran[g + p->n - 1].kind = GRAN_BODY;
}

static void
run_link(struct arena_impl *m, uint32_t g, uint32_t n)
{
	struct gran *p = &m->gran[g];
	unsigned b = bin_of(n);

	m->gran[g + n - 1].n = p->n = n;
	m->gran[g + n - 1].kind = p->kind = GRAN_FREE;
	p->prev = 0;
	p->next = m->bin[b];
	if (p->next)
		m->gran[p->next].prev = g;
	m->bin[b] = g;
	m->bins |= 1u << b;
	if (is_empty(m, g)) {
		m->empty += (uint64_t)n << ARENA_SHIFT;
		p->warm = 0;
		p->cold = m->warmest;
		*(p->cold ? &m->gran[p->cold].warm : &m->coldest) = g;
		m->warmest = g;
	}
}

/* The most recently freed run that fits among those of its size, else any of the next larger size. */
static uint32_t
run_find(const struct arena_impl *m, uint64_t n)
{
	unsigned b = bin_of(n);
	uint32_t g, more;

	for (g = m->bin[b]; g; g = m->gran[g].next)
		if (m->gran[g].n >= n)
			return g;
	more = b < 31 ? m->bins >> (b + 1) << (b + 1) : 0;
	return more ? m->bin[__builtin_ctz(more)] : 0;
}

uint32_t
gran_take(struct arena *a, uint64_t n, int *err)
{
	struct arena_impl *m = a->impl;
	uint32_t g, all, rest;

	*err = -EAGAIN;
	if (n >= m->ngran || (g = run_find(m, n)) == 0)
		return 0;
	all = m->gran[g].n;
	rest = g + (uint32_t)n;
	if ((*err = gran_ready_head(a, g)) < 0 || (all > n && (*err = gran_ready_head(a, rest)) < 0))
		return 0;
	run_unlink(m, g);
	if (all > n) {
		arena_hdr_free(a->base, (uint64_t)rest << ARENA_SHIFT, (all - n) << ARENA_SHIFT);
		atomic_store_explicit(&arena_hdr(a->base, (uint64_t)g << ARENA_SHIFT)->run, n << ARENA_SHIFT,
		    memory_order_release);		/* only now the rest's header can be walked to */
		run_link(m, rest, all - (uint32_t)n);
	}
	return g;
}

void
gran_give(struct arena *a, uint32_t g, uint64_t n)
{
	struct arena_impl *m = a->impl;
	uint32_t next = g + (uint32_t)n, left;

	arena_hdr_free(a->base, (uint64_t)g << ARENA_SHIFT, n << ARENA_SHIFT);
	if (next < m->ngran && m->gran[next].kind == GRAN_FREE && !(m->gran[next].flags & GRAN_FIRST)) {
		n += m->gran[next].n;
		run_unlink(m, next);
	}
	if (!(m->gran[g].flags & GRAN_FIRST) && m->gran[g - 1].kind == GRAN_FREE) {
		left = g - m->gran[g - 1].n;
		n += m->gran[left].n;
		run_unlink(m, left);
		g = left;
	}
	atomic_store_explicit(&arena_hdr(a->base, (uint64_t)g << ARENA_SHIFT)->run, n << ARENA_SHIFT,
	    memory_order_release);
	run_link(m, g, (uint32_t)n);
}

int
arena_lend(struct arena *a, uint64_t off, uint64_t bytes)
{
	struct arena_impl *m = a->impl;
	uint64_t g = off >> ARENA_SHIFT, n = bytes >> ARENA_SHIFT, i;

	if (off % ARENA_GRANULE || bytes % ARENA_GRANULE || bytes == 0 || off < arena_first(a->bytes) << ARENA_SHIFT ||
	    off >= a->bytes || bytes > a->bytes - off)
		return ERR_PROTO;
	for (i = 0; i < n; i++)
		if (m->gran[g + i].kind != GRAN_NONE)
			return ERR_PROTO;
	if (mprotect(a->base + off, bytes, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	if (bytes >= 2 * ARENA_HUGE)
		madvise(a->base + off, bytes, MADV_HUGEPAGE);	/* where the kernel does that for shared memory */
	for (i = 0; i < n; i++)
		m->gran[g + i] = (struct gran){ .kind = GRAN_BODY };
	m->gran[g].flags = GRAN_FIRST;
	arena_hdr_free(a->base, off, bytes);	/* rlet took this page before lending */
	run_link(m, (uint32_t)g, (uint32_t)n);
	a->lent += bytes;
	return 0;
}

bool
arena_spare(struct arena *a, uint64_t *off, uint64_t *bytes)
{
	struct arena_impl *m = a->impl;
	uint32_t g, n;

	span_tidy(a);
	if (m->empty <= a->reserve || (g = m->coldest) == 0)
		return false;
	n = m->gran[g].n;
	run_unlink(m, g);
	*off = (uint64_t)g << ARENA_SHIFT;
	*bytes = (uint64_t)n << ARENA_SHIFT;
	memset(&m->gran[g], 0, n * sizeof m->gran[g]);
	mprotect(a->base + *off, *bytes, PROT_READ);	/* page tables stay as they are */
	a->lent -= *bytes;
	return true;
}

/* the last granules first: an extent is cut as seldom as can be */
bool
arena_yield(struct arena *a, uint64_t *off, uint64_t *bytes)
{
	struct arena_impl *m = a->impl;
	uint32_t g, n, end;

	span_tidy(a);
	if (m->bins == 0)
		return false;
	g = m->bin[31 - (unsigned)__builtin_clz(m->bins)];
	n = m->gran[g].n;
	end = g + n;
	run_unlink(m, g);
	if (end < m->ngran && m->gran[end].kind != GRAN_NONE)
		m->gran[end].flags |= GRAN_FIRST;
	*off = (uint64_t)g << ARENA_SHIFT;
	*bytes = (uint64_t)n << ARENA_SHIFT;
	memset(&m->gran[g], 0, n * sizeof m->gran[g]);
	mprotect(a->base + *off, *bytes, PROT_READ);
	a->lent -= *bytes;
	return true;
}
