#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "base/err.h"
#include "store/arena_impl.h"

#define READY_NOW (UINT64_C(1) << 20)	/* larger objects get their pages from arena_ready */

int
arena_attach(struct arena *a, int fd, uint32_t proc)
{
	const struct arena_head *head;
	struct arena_impl *m = NULL;
	uint64_t bytes;
	void *base;
	int e;

	if ((base = arena_map(fd, &bytes, false, &e)) == NULL)
		return e;
	head = base;
	e = ERR_LAYOUT;
	if (head->magic != ARENA_MAGIC || head->layout != ARENA_LAYOUT || head->bytes != bytes)
		goto fail;
	e = -ENOMEM;
	if ((m = calloc(1, sizeof *m)) == NULL)
		goto fail;
	m->ngran = bytes >> ARENA_SHIFT;
	m->gran = calloc(m->ngran, sizeof *m->gran);
	if (m->gran == NULL)
		goto fail;
	m->gen = proc * UINT32_C(0x9e3779b1);	/* makers' generations lie far apart */
	*a = (struct arena){ .base = base, .bytes = bytes, .proc = proc, .reserve = bytes / 4, .impl = m };
	return 0;
fail:
	free(m);
	munmap(base, bytes);
	return e;
}

void
arena_release(struct arena *a)
{
	if (a->impl) {
		munmap(a->base, a->bytes);
		free(a->impl->gran);
		free(a->impl->span);
		free(a->impl);
	}
	*a = (struct arena)ARENA_INIT;
}

/* --- spans ---------------------------------------------------------------------------------------------- */

static inline unsigned
class_of(uint64_t run)		/* the smallest that holds run <= CLASS_MAX */
{
	uint64_t x = (run < 128 ? 128 : run) - 1;
	unsigned k = 61 - (unsigned)__builtin_clzll(x), m = (unsigned)(x >> k) + 1;

	if (m == 8) {
		m = 4;
		k++;
	}
	return (k - CLASS_K0) * 4 + m - 4;
}

static inline unsigned
class_blocks(unsigned c)
{
	return 1u << (ARENA_SHIFT - class_k(c));
}

static void
room_link(struct arena_impl *m, uint32_t s)
{
	struct span *p = &m->span[s];

	p->prev = 0;
	p->next = m->room[p->cls];
	if (p->next)
		m->span[p->next].prev = s;
	m->room[p->cls] = s;
	p->listed = true;
}

static void
room_unlink(struct arena_impl *m, uint32_t s)
{
	struct span *p = &m->span[s];

	*(p->prev ? &m->span[p->prev].next : &m->room[p->cls]) = p->next;
	if (p->next)
		m->span[p->next].prev = p->prev;
	p->listed = false;
}

static uint32_t
span_slot(struct arena_impl *m)		/* 0: no memory */
{
	uint32_t s = m->unused, cap;
	struct span *more;

	if (s) {
		m->unused = m->span[s].next;
		return s;
	}
	if (m->nspan == m->capspan) {
		cap = m->capspan ? m->capspan * 2 : 16;
		if ((more = realloc(m->span, cap * sizeof *more)) == NULL)
			return 0;
		m->span = more;
		m->capspan = cap;
		if (m->nspan == 0)
			m->nspan = 1;
	}
	return m->nspan++;
}

static int
span_new(struct arena *a, unsigned c, uint32_t *span)
{
	struct arena_impl *m = a->impl;
	uint32_t s, g;
	int e;

	if ((s = span_slot(m)) == 0)
		return -ENOMEM;
	if ((g = gran_take(a, class_m(c), &e)) == 0) {
		m->span[s].next = m->unused;
		m->unused = s;
		return e;
	}
	m->span[s] = (struct span){ .g = g, .cls = (uint16_t)c };
	for (unsigned i = 0; i < class_m(c); i++) {
		m->gran[g + i].kind = GRAN_SPAN;
		m->gran[g + i].span = s;
	}
	room_link(m, s);
	*span = s;
	return 0;
}

static void
span_free(struct arena *a, uint32_t s)		/* a listed one, none of its blocks used */
{
	struct arena_impl *m = a->impl;
	struct span *p = &m->span[s];

	room_unlink(m, s);
	for (unsigned i = 0; i < class_m(p->cls); i++)
		m->gran[p->g + i].kind = GRAN_BODY;
	gran_give(a, p->g, class_m(p->cls));
	p->next = m->unused;
	m->unused = s;
}

void
span_tidy(struct arena *a)
{
	struct arena_impl *m = a->impl;
	uint32_t s, next;

	for (unsigned c = 0; c < CLASSES; c++)
		for (s = m->room[c]; s; s = next) {
			next = m->span[s].next;
			if (m->span[s].used == 0)
				span_free(a, s);
		}
}

/* The next block that was never used: its header splits what is left of the span. */
static int
span_carve(struct arena *a, struct span *p, uint64_t *off)
{
	uint64_t size = class_size(p->cls), end = (uint64_t)(p->g + class_m(p->cls)) << ARENA_SHIFT;
	uint64_t at = ((uint64_t)p->g << ARENA_SHIFT) + p->bump * size;
	int e;

	if ((e = gran_ready(a, at, at + size < end ? at + size + sizeof(struct obj_hdr) : end)) < 0)
		return e;
	if (at + size < end) {
		arena_hdr_free(a->base, at + size, end - at - size);
		atomic_store_explicit(&arena_hdr(a->base, at)->run, size, memory_order_release);
	}
	p->bump++;
	*off = at;
	return 0;
}

static uint32_t
room_outside(const struct arena *a, uint32_t s)		/* of a->avoid */
{
	const struct arena_impl *m = a->impl;

	while (s && (uint64_t)m->span[s].g << ARENA_SHIFT >= a->avoid && (uint64_t)m->span[s].g << ARENA_SHIFT < a->avoid_end)
		s = m->span[s].next;
	return s;
}

static int
block_new(struct arena *a, unsigned c, uint64_t *off)
{
	struct arena_impl *m = a->impl;
	uint32_t s = a->avoid_end ? room_outside(a, m->room[c]) : m->room[c];
	struct span *p;
	uint64_t link;
	int e;

	if (s == 0 && (e = span_new(a, c, &s)) < 0)
		return e;
	p = &m->span[s];
	if (p->free) {
		*off = ((uint64_t)p->g << ARENA_SHIFT) + (uint64_t)(p->free - 1) * class_size(c);
		link = arena_hdr(a->base, *off)->size;
		p->free = link <= p->bump ? (uint16_t)link : 0;
	} else if ((e = span_carve(a, p, off)) < 0)
		return e;
	p->used++;
	if (p->free == 0 && p->bump == class_blocks(c))
		room_unlink(m, s);
	return 0;
}

static void
block_free(struct arena *a, struct obj_hdr *h, uint32_t s, unsigned i)
{
	struct arena_impl *m = a->impl;
	struct span *p = &m->span[s];

	h->size = p->free;
	p->free = (uint16_t)(i + 1);
	p->used--;
	if (!p->listed)
		room_link(m, s);
	/* one empty span a class stays at hand, so that put and drop in turns carve nothing */
	if (p->used == 0 && (p->prev || p->next))
		span_free(a, s);
}

/* --- objects -------------------------------------------------------------------------------------------- */

uint64_t
arena_run(const uint64_t *size, unsigned nbuf, uint64_t headlen)
{
	uint64_t run = sizeof(struct obj_hdr) + nbuf * sizeof(struct obj_span);

	if (nbuf > UINT16_MAX || headlen > ARENA_MAX)
		return 0;
	run = (run + headlen + 63) & ~UINT64_C(63);
	for (unsigned i = 0; i < nbuf; i++) {
		if (size[i] > ARENA_MAX || (run += (size[i] + 63) & ~UINT64_C(63)) > ARENA_MAX)
			return 0;
	}
	return run;
}

uint64_t
arena_want(uint64_t run)
{
	if (run <= CLASS_MAX)
		return (uint64_t)class_m(class_of(run)) << ARENA_SHIFT;
	return (run + ARENA_GRANULE - 1) & ~(ARENA_GRANULE - 1);
}

static int
big_new(struct arena *a, uint64_t run, uint64_t table, uint64_t *off)
{
	struct arena_impl *m = a->impl;
	uint64_t n = (run + ARENA_GRANULE - 1) >> ARENA_SHIFT;
	uint32_t g;
	int e;

	if ((g = gran_take(a, n, &e)) == 0)
		return e;
	*off = (uint64_t)g << ARENA_SHIFT;
	if ((e = gran_ready(a, *off, *off + (run <= READY_NOW ? run : table))) < 0) {
		gran_give(a, g, n);
		return e;
	}
	m->gran[g].kind = GRAN_BIG;
	m->gran[g].n = (uint32_t)n;
	return 0;
}

static int
new_at(struct arena *a, uint64_t run, uint64_t table, uint64_t *off)
{
	return run <= CLASS_MAX ? block_new(a, class_of(run), off) : big_new(a, run, table, off);
}

int
arena_new(struct arena *a, struct id id, const uint64_t *size, unsigned nbuf, uint64_t headlen, struct obj *o)
{
	uint64_t run = arena_run(size, nbuf, headlen), table = sizeof(struct obj_hdr) + nbuf * sizeof(struct obj_span);
	uint64_t off, at, sum = headlen;
	struct obj_span *span;
	struct obj_hdr *h;
	int e;

	if (run == 0 || run > a->bytes || headlen > UINT32_MAX)
		return -E2BIG;
	if ((e = new_at(a, run, table, &off)) == -EAGAIN) {
		span_tidy(a);
		e = new_at(a, run, table, &off);
	}
	if (e < 0)
		return e;
	h = arena_hdr(a->base, off);
	if (++a->impl->gen == 0)
		a->impl->gen = 1;
	h->magic = OBJ_MAGIC;
	h->proc = a->proc;
	h->id = id;
	h->headlen = (uint32_t)headlen;
	h->made = arena_now();
	h->nbuf = (uint16_t)nbuf;
	h->flags = 0;
	atomic_store_explicit(&h->keep, 0, memory_order_relaxed);
	span = (struct obj_span *)(void *)(h + 1);
	at = (table + headlen + 63) & ~UINT64_C(63);
	for (unsigned i = 0; i < nbuf; i++) {
		span[i] = (struct obj_span){ at, size[i] };
		at += (size[i] + 63) & ~UINT64_C(63);
		sum += size[i];
	}
	h->size = sum;
	a->used += atomic_load_explicit(&h->run, memory_order_relaxed);
	atomic_store_explicit(&h->word, obj_word(a->impl->gen, OBJ_FILLING), memory_order_release);
	o->off = off;
	o->gen = a->impl->gen;
	o->nbuf = nbuf;
	o->head = (unsigned char *)(span + nbuf);
	o->headlen = headlen;
	o->size = sum;
	return 0;
}

int
arena_ready(struct arena *a, const struct obj *o)
{
	uint64_t run = atomic_load_explicit(&arena_hdr(a->base, o->off)->run, memory_order_relaxed);

	return run <= READY_NOW ? 0 : gran_ready(a, o->off, o->off + run);
}

void *
obj_buf(const struct arena *a, const struct obj *o, unsigned i, uint64_t *len)
{
	const struct obj_span *s = (const struct obj_span *)(const void *)(a->base + o->off + sizeof(struct obj_hdr)) + i;

	if (len)
		*len = s->len;
	return a->base + o->off + s->off;
}

bool
arena_mine(const struct arena *a, uint64_t off)
{
	return off < a->bytes && a->impl->gran[off >> ARENA_SHIFT].kind != GRAN_NONE;
}

void
arena_name(struct arena *a, uint64_t off, struct id id, uint16_t flags)
{
	struct obj_hdr *h = arena_hdr(a->base, off);

	h->id = id;
	h->flags = flags;
}

void
arena_slot(struct arena *a, uint64_t off, uint32_t slot)
{
	atomic_store_explicit(&arena_hdr(a->base, off)->keep, slot & ~OBJ_KEEP, memory_order_relaxed);
}

int
arena_clone(struct arena *a, const struct obj_hdr *from, uint64_t run, uint64_t *off, uint32_t *gen)
{
	struct obj_hdr *h;
	int e = new_at(a, run, sizeof *h, off);

	if (e == -EAGAIN) {
		span_tidy(a);
		e = new_at(a, run, sizeof *h, off);
	}
	if (e < 0)
		return e;
	h = arena_hdr(a->base, *off);
	if (++a->impl->gen == 0)
		a->impl->gen = 1;
	h->magic = OBJ_MAGIC;
	h->proc = a->proc;
	h->id = from->id;
	h->size = from->size;
	h->headlen = from->headlen;
	h->made = from->made;
	h->nbuf = from->nbuf;
	h->flags = from->flags;
	atomic_store_explicit(&h->keep, atomic_load_explicit(&from->keep, memory_order_relaxed), memory_order_relaxed);
	a->used += atomic_load_explicit(&h->run, memory_order_relaxed);
	*gen = a->impl->gen;
	atomic_store_explicit(&h->word, obj_word(*gen, OBJ_FILLING), memory_order_release);
	return 0;
}

void
arena_seal(struct arena *a, uint64_t off)
{
	struct obj_hdr *h = arena_hdr(a->base, off);
	uint32_t gen = (uint32_t)(atomic_load_explicit(&h->word, memory_order_relaxed) >> 32);

	atomic_store_explicit(&h->word, obj_word(gen, OBJ_SEALED), memory_order_release);	/* arena_view acquires */
}

/* Frees the block at off if its word is want; off may be anything. */
static int
drop(struct arena *a, uint64_t off, uint64_t want)
{
	struct arena_impl *m = a->impl;
	uint32_t g = (uint32_t)(off >> ARENA_SHIFT), s = 0, rel = 0, i = 0;
	struct obj_hdr *h;
	uint64_t word;

	if (off % 64 || !arena_mine(a, off))
		return -EPERM;
	if (m->gran[g].kind == GRAN_SPAN) {
		s = m->gran[g].span;
		rel = (uint32_t)(off - ((uint64_t)m->span[s].g << ARENA_SHIFT));
		i = (rel >> class_k(m->span[s].cls)) / class_m(m->span[s].cls);
		if (i >= m->span[s].bump || i * class_size(m->span[s].cls) != rel)
			return ERR_NOTFOUND;
	} else if (m->gran[g].kind != GRAN_BIG || off % ARENA_GRANULE)
		return ERR_NOTFOUND;
	h = arena_hdr(a->base, off);
	word = atomic_load_explicit(&h->word, memory_order_relaxed);
	if (word != want && (want & 3) == OBJ_SEALED)
		want = want >> 32 << 32 | OBJ_EVICTING;		/* by rlet, which found that nobody pins it */
	if (word != want)
		return ERR_NOTFOUND;
	a->used -= atomic_load_explicit(&h->run, memory_order_relaxed);
	atomic_store_explicit(&h->word, want >> 32 << 32 | OBJ_FREE, memory_order_release);
	if (s)
		block_free(a, h, s, i);
	else
		gran_give(a, g, m->gran[g].n);
	return 0;
}

void
arena_abort(struct arena *a, uint64_t off)
{
	if (arena_mine(a, off)) {
		uint32_t gen = (uint32_t)(atomic_load_explicit(&arena_hdr(a->base, off)->word, memory_order_relaxed) >> 32);

		drop(a, off, obj_word(gen, OBJ_FILLING));
	}
}

int
arena_free(struct arena *a, uint64_t off, uint32_t gen)
{
	return drop(a, off, obj_word(gen, OBJ_SEALED));
}

uint32_t
arena_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)((uint64_t)ts.tv_sec * 64 + (uint64_t)ts.tv_nsec / 15625000);
}
