/*
 * machine.h - the memory that the explorer's actors share: C11's without promises.
 *
 * A location is the list of the values stored in it, oldest first.  An actor has a view: of each location, the
 * oldest value that it may still read.  A load picks any value from there on and moves the view; a release store
 * puts its actor's view beside the value and an acquire load that picks it joins it; a seq_cst fence exchanges
 * views with all earlier ones.  Read-modify-writes read the last value.  Every behaviour of store buffers (TSO,
 * PSO) is one of these, and so is the late arrival of other actors' stores.  Not there: a load that sees what
 * its own later store brought about (load buffering), and stores of two actors that change places in time.  Less
 * is promised than by C11 where that saves states: a fence hands nothing over through relaxed accesses near it,
 * nor does anything that is stored in the scenario's "light" object.  A "strong" scenario knows no old values:
 * it is about the order of steps only, and can be larger.
 *
 * Plain objects (plain_get, plain_set) have one value and are race-checked: whoever reads one must have in its view
 * the last write, whoever writes one the last write and all reads since.  A half-written record shows as a race.
 *
 * Values that nobody can read any more are dropped and views counted from there, so that equal futures look equal.
 */
#ifndef MODEL_MACHINE_H
#define MODEL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACTORS = 4, LOCS = 40, PLAINS = 16, VALUES = 160 };

struct view {
	uint8_t at[LOCS];		/* index in the location's list */
	uint16_t wrote;			/* bit p: knows the last write of plain object p */
	uint16_t read[ACTORS];		/* bit p: knows the last read of p by that actor */
};

struct value {
	uint64_t v;
	uint8_t loc;
	struct view view;		/* what an acquire load of it joins */
};

struct machine {			/* all of it is state; value[] is used up to nvalue only */
	struct view cur[ACTORS];	/* what an actor has seen */
	struct view sc;			/* of all seq_cst fences so far */
	uint64_t plain[PLAINS];
	uint16_t written, readby[ACTORS];
	uint8_t n[LOCS];		/* values listed, without the initial one */
	uint8_t gone[LOCS];		/* 1: the initial value is no longer readable */
	uint16_t nvalue;
	struct value value[VALUES];	/* ordered by location, then by age */
};

static struct machine m;
static struct {				/* fixed once met: not state */
	const volatile void *p;
	unsigned n;
	uint64_t init;
	bool loaded;			/* some load is there; else only the last value ever matters */
} loc[LOCS];
static const volatile void *plainp[PLAINS];
static unsigned nloc, nplain, nactor;
static const char *light;		/* stores there hand nothing over, whatever their order: less than C11 promises */
static size_t lightlen;
static bool strong;			/* loads read the last value: interleavings only */
static const char *complaint;		/* set: the property is violated */

static inline void
fatal(const char *why)
{
	printf("Bail out! %s\n", why);
	fflush(stdout);
	_Exit(3);
}

static inline unsigned
loc_of(const volatile void *p, unsigned n)
{
	for (unsigned i = 0; i < nloc; i++)
		if (loc[i].p == p && loc[i].n == n)
			return i;
	if (nloc == LOCS)
		fatal("too many locations");
	loc[nloc].p = p;
	loc[nloc].n = n;
	memcpy(&loc[nloc].init, (const void *)(uintptr_t)p, n);
	return nloc++;
}

static inline void
view_join(struct view *a, const struct view *b)
{
	for (unsigned i = 0; i < nloc; i++)
		if (a->at[i] < b->at[i])
			a->at[i] = b->at[i];
	a->wrote |= b->wrote;
	for (unsigned i = 0; i < nactor; i++)
		a->read[i] |= b->read[i];
}

static inline unsigned
first_of(unsigned l)
{
	unsigned i = 0;

	for (unsigned k = 0; k < l; k++)
		i += m.n[k];
	return i;
}

static inline unsigned
newest(unsigned l)			/* index of the last value */
{
	return m.n[l] - (m.gone[l] ? 1u : 0u);
}

static inline struct value *
listed(unsigned l, unsigned idx)	/* NULL: the initial value */
{
	if (!m.gone[l])
		return idx == 0 ? NULL : &m.value[first_of(l) + idx - 1];
	return &m.value[first_of(l) + idx];
}

static inline uint64_t
value_at(unsigned l, unsigned idx)
{
	const struct value *v = listed(l, idx);

	return v ? v->v : loc[l].init;
}

static inline void
sc_fence(unsigned a)
{
	view_join(&m.cur[a], &m.sc);
	m.sc = m.cur[a];
}

static inline uint64_t
machine_load(unsigned a, unsigned l, unsigned idx, bool acquire)
{
	const struct value *v = listed(l, idx);

	m.cur[a].at[l] = (uint8_t)idx;
	if (v && acquire)
		view_join(&m.cur[a], &v->view);
	return value_at(l, idx);
}

/* before: the view of the value that a read-modify-write replaces (a release sequence goes on), or NULL */
static inline void
machine_store(unsigned a, unsigned l, uint64_t x, bool release, const struct view *before)
{
	unsigned i = first_of(l) + m.n[l];
	struct value *v = &m.value[i];
	struct view w;

	memset(&w, 0, sizeof w);
	if (release && !((const char *)loc[l].p >= light && (const char *)loc[l].p < light + lightlen))
		w = m.cur[a];
	if (m.nvalue == VALUES || m.n[l] == UINT8_MAX)
		fatal("too many values");
	if (before)
		view_join(&w, before);
	memmove(v + 1, v, (m.nvalue - i) * sizeof *v);
	m.nvalue++;
	m.n[l]++;
	m.cur[a].at[l] = w.at[l] = (uint8_t)newest(l);
	memset(v, 0, sizeof *v);
	v->v = x;
	v->loc = (uint8_t)l;
	v->view = w;
}

/* the view of who has seen everything that there is */
static inline void
view_all(struct view *v)
{
	for (unsigned l = 0; l < nloc; l++)
		v->at[l] = (uint8_t)newest(l);
	v->wrote = m.written;
	memcpy(v->read, m.readby, sizeof v->read);
}

static inline void
each_view(void (*f)(struct view *, unsigned, unsigned), unsigned x, unsigned y)
{
	for (unsigned i = 0; i < nactor; i++)
		f(&m.cur[i], x, y);
	f(&m.sc, x, y);
	for (unsigned i = 0; i < m.nvalue; i++)
		f(&m.value[i].view, x, y);
}

static inline void
forget_write(struct view *v, unsigned p, unsigned unused)
{
	(void)unused;
	v->wrote &= (uint16_t)~(1u << p);
}

static inline void
forget_read(struct view *v, unsigned p, unsigned a)
{
	v->read[a] &= (uint16_t)~(1u << p);
}

static inline void
forget_values(struct view *v, unsigned l, unsigned n)
{
	v->at[l] = (uint8_t)(v->at[l] > n ? v->at[l] - n : 0);
}

static inline unsigned
plain_of(const volatile void *p)
{
	for (unsigned i = 0; i < nplain; i++)
		if (plainp[i] == p)
			return i;
	if (nplain == PLAINS)
		fatal("too many plain objects");
	plainp[nplain] = p;
	return nplain++;
}

static inline uint64_t
plain_read(unsigned a, const volatile void *obj)
{
	unsigned p = plain_of(obj), bit = 1u << p;

	if ((m.written & bit) && !(m.cur[a].wrote & bit))
		complaint = "race: a plain object is read that was not handed over";
	each_view(forget_read, p, a);
	m.cur[a].read[a] |= (uint16_t)bit;
	m.readby[a] |= (uint16_t)bit;
	return m.plain[p];
}

static inline void
plain_write(unsigned a, const volatile void *obj, uint64_t v)
{
	unsigned p = plain_of(obj), bit = 1u << p;

	if ((m.written & bit) && !(m.cur[a].wrote & bit))
		complaint = "race: a plain object is written by two";
	for (unsigned i = 0; i < nactor; i++) {
		if (i != a && (m.readby[i] & bit) && !(m.cur[a].read[i] & bit))
			complaint = "race: a plain object is written under a reader";
		each_view(forget_read, p, i);
		m.readby[i] &= (uint16_t)~bit;
	}
	each_view(forget_write, p, 0);
	m.written |= (uint16_t)bit;
	m.cur[a].wrote |= (uint16_t)bit;
	m.plain[p] = v;
}

/* drops what no actor of the mask can read; what remains is the same for all histories with this future */
static inline void
machine_tidy(unsigned alive)
{
	for (unsigned l = 0; l < nloc; l++) {
		unsigned low = newest(l), drop, f;

		for (unsigned a = 0; a < nactor && low && loc[l].loaded && !strong; a++)
			if ((alive >> a & 1) && m.cur[a].at[l] < low)
				low = m.cur[a].at[l];
		if (low == 0)
			continue;
		drop = low;
		f = first_of(l);
		each_view(forget_values, l, low);
		if (!m.gone[l]) {
			m.gone[l] = 1;
			drop--;
		}
		memmove(&m.value[f], &m.value[f + drop], (m.nvalue - f - drop) * sizeof m.value[0]);
		m.nvalue -= (uint16_t)drop;
		m.n[l] -= (uint8_t)drop;
	}
}

#endif
