/* search.h - second half of explore.h: saves and compares states, and walks through all of them, depth first */
#ifndef MODEL_SEARCH_H
#define MODEL_SEARCH_H

#include <stddef.h>

static char *shelf;			/* saved states, one after the other as deep as the search is */
static size_t shelfcap;

static uint64_t
hash_more(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;
	uint64_t x;

	for (; n >= 8; n -= 8, c += 8) {
		memcpy(&x, c, 8);
		h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	for (x = 0; n; n--)
		x = x << 8 | *c++;
	h = (h ^ x) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

static uint64_t
hash_state(void)
{
	uint64_t h = hash_more(deaths_left * 64 + signals_left, &m, offsetof(struct machine, value));

	for (unsigned i = 0; i < m.nvalue; i++) {
		h = hash_more(h, &m.value[i].v, sizeof m.value[i].v);
		h = hash_more(h, &m.value[i].view, sizeof m.value[i].view);
	}
	for (unsigned a = 0; a < sc->actors; a++) {
		h = hash_more(h, &act[a].status, sizeof act[a].status);
		h = hash_more(h, &act[a].op, sizeof act[a].op);
		h = hash_more(h, act[a].low, (size_t)(stack[a] + STACK - act[a].low));
	}
	return hash_more(h, sc->ghost, sc->ghostlen) | 1;
}

static bool
seen_add(uint64_t h)			/* false: it was there */
{
	size_t i;

	if (nseen * 2 >= capseen) {
		size_t oldcap = capseen;
		uint64_t *old = seen;

		capseen = oldcap ? oldcap * 2 : 1 << 16;
		if ((seen = calloc(capseen, sizeof *seen)) == NULL)
			fatal("out of memory");
		nseen = 0;
		for (i = 0; i < oldcap; i++)
			if (old[i])
				seen_add(old[i]);
		free(old);
	}
	for (i = h >> 8 & (capseen - 1); seen[i]; i = (i + 1) & (capseen - 1))
		if (seen[i] == h)
			return false;
	seen[i] = h;
	nseen++;
	return true;
}

/* ---- saving: machine, notes, actors, stacks ---- */
static size_t
save_piece(size_t at, void *p, size_t n, bool back)
{
	if (back)
		memcpy(p, shelf + at, n);
	else {
		if (at + n > shelfcap && (shelf = realloc(shelf, shelfcap = (at + n) * 2)) == NULL)
			fatal("out of memory");
		memcpy(shelf + at, p, n);
	}
	return at + n;
}

static size_t
save(size_t at, bool back)
{
	unsigned left[2] = { deaths_left, signals_left };

	at = save_piece(at, left, sizeof left, back);
	deaths_left = left[0];
	signals_left = left[1];
	at = save_piece(at, &m, offsetof(struct machine, value), back);
	at = save_piece(at, m.value, m.nvalue * sizeof m.value[0], back);
	at = save_piece(at, sc->ghost, sc->ghostlen, back);
	at = save_piece(at, act, sc->actors * sizeof act[0], back);
	for (unsigned a = 0; a < sc->actors; a++)
		at = save_piece(at, act[a].low, (size_t)(stack[a] + STACK - act[a].low), back);
	return at;
}

static void
print_trail(void)
{
	printf("# %s: %s\n", sc->name, complaint);
	for (unsigned i = failed_at > 200 ? failed_at - 200 : 0; i < failed_at; i++) {
		const struct trail *t = &trail[i];
		unsigned long long r = t->result, v = t->op.v;

		printf("#   %-10s ", sc->who[t->a]);
		if (t->event)
			printf("%s\n", t->event);
		else if (t->op.what == OP_STORE || t->op.what == OP_RMW)
			printf("%s: %s %s <- %#llx\n", t->op.at.func, opname[t->op.what], t->op.at.expr, v);
		else if (t->op.what == OP_CAS)
			printf("%s: cas %s was %#llx, %#llx <- %#llx\n", t->op.at.func, t->op.at.expr, r,
			    (unsigned long long)t->op.expect, v);
		else
			printf("%s: %s %s = %#llx\n", t->op.at.func, opname[t->op.what], t->op.at.expr, r);
	}
}

/* who may still read old values: not the dead, and not who waits for a death and will have seen everything then */
static unsigned
readers(void)
{
	unsigned mask = 0;

	for (unsigned a = 0; a < sc->actors; a++)
		if (act[a].status < DEAD && act[a].op.what != OP_AWAIT)
			mask |= 1u << a;
	return mask;
}

static void search(unsigned depth, size_t top);

/* goes one step from the state saved at "from", and on; back there when it returns */
static void
follow(unsigned depth, size_t from, size_t top, unsigned a, unsigned choice, bool death)
{
	step(a, choice, death, depth);
	if (complaint || again) {
		failed_at = depth + 1;
		return;
	}
	machine_tidy(readers());
	search(depth + 1, top);
	if (!complaint && !again)
		save(from, true);
}

/* everything that can follow from here; "complaint" ends it */
static void
search(unsigned depth, size_t from)
{
	bool moves = false;
	size_t top;

	if (!seen_add(hash_state()))
		return;
	states++;
	if (depth > deepest)
		deepest = depth;
	if (depth == DEPTH - 1)
		fatal("too deep");
	top = save(from, false);
	for (unsigned a = 0; a < sc->actors && !complaint && !again; a++) {
		unsigned n = ways(a);

		moves |= n && act[a].status != SLEEPS;	/* a signal may never come */
		for (unsigned c = 0; c < n && !complaint && !again; c++)
			follow(depth, from, top, a, c, false);
	}
	if (!moves && !complaint && !again) {
		rests++;
		sc->rest();
		failed_at = depth;
	}
	for (unsigned a = 0; a < sc->actors && !complaint && !again; a++)
		if (deaths_left && (sc->mortal >> a & 1) && act[a].status < DEAD)
			follow(depth, from, top, a, 0, true);
}

/* true: nothing was found.  "how" breaks one access; what is found in a broken one is expected and not printed. */
static bool
explore(const struct scenario *s, struct mutation how)
{
	sc = s;
	mutant = how;
	nloc = nplain = 0;
	nactor = s->actors;
	light = s->light;
	lightlen = s->lightlen;
	strong = s->strong;
	memset(loc, 0, sizeof loc);
anew:
	complaint = NULL;
	again = false;
	deaths_left = s->deaths;
	signals_left = s->signals;
	states = steps = rests = deepest = 0;
	memset(&m, 0, sizeof m);
	memset(act, 0, sizeof act);
	memset(s->ghost, 0, s->ghostlen);
	free(seen);
	seen = NULL;
	nseen = capseen = 0;
	if (s->init)
		s->init();
	for (unsigned a = 0; a < s->actors; a++)
		start(a);
	search(0, 0);
	if (again && !complaint)
		goto anew;		/* with what is known of the locations now */
	if (complaint && how.how == SOUND)
		print_trail();
	if (how.how == SOUND)
		printf("# %s: %lu states, %lu steps, %lu ends, depth %u\n", s->name, states, steps, rests, deepest);
	return complaint == NULL;
}

/* explores s, then each of its mutants, which must fail */
static void
explore_all(const struct scenario *s, const struct mutation *mut, unsigned n)
{
	static const char *const how[] = { "", "without", "relaxed", "not atomic" };

	tap_ok(explore(s, (struct mutation){ "", 0, SOUND }), __FILE__, __LINE__, s->name);
	for (unsigned i = 0; i < n; i++) {
		char name[160];

		snprintf(name, sizeof name, "%s: fails with %s's %s %s", s->name, mut[i].func, opname[mut[i].what], how[mut[i].how]);
		tap_ok(!explore(s, mut[i]), __FILE__, __LINE__, name);
		printf("#   %s\n", complaint ? complaint : "nothing found");
	}
}

#endif
