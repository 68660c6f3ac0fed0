/* core_spill.c - which window of a full arena is given up; against a search of all windows */
#include <stdlib.h>
#include <string.h>
#include "core/spill.h"
#include "tap.h"

#define G UINT64_C(65536)

static struct spill_row w = { .granule = G };

static void
add(uint64_t off, uint64_t n, enum spill_kind kind, uint32_t last)
{
	spill_add(&w, &(struct spill_unit){ off, n, kind == SPILL_FREE ? 0 : n, last, (uint8_t)kind });
}

static void
row(const char *s)			/* a letter a granule: . free, c clean, d dirty, # stays; a digit: dirty, used then */
{
	w.n = 0;
	for (size_t i = 0; s[i]; i++) {
		enum spill_kind k = s[i] == '.' ? SPILL_FREE : s[i] == 'c' ? SPILL_CLEAN : s[i] == 'l' ? SPILL_LEAVING :
		    s[i] == '#' ? SPILL_STAYS : SPILL_DIRTY;

		add((i + 1) * G, G, k, s[i] >= '0' && s[i] <= '9' ? (uint32_t)(s[i] - '0') : 5);
	}
	w.now = 10;
}

static bool
chose(unsigned need, size_t from, size_t to)
{
	size_t a, b;

	return spill_choose(&w, need * G, &a, &b) && a == from && b == to;
}

static bool
moves(unsigned need, enum spill_move what, size_t from, size_t to)
{
	uint64_t a, b;

	return spill_choose_move(&w, need * G, &a, &b) == what && (what == SPILL_NONE || (a == (from + 1) * G && b == (to + 1) * G));
}

/* the same rule of spill_choose, said in another way: no window that may go is better than the chosen one */
static bool
best(unsigned need)
{
	size_t from = 0, to = 0;
	bool got = spill_choose(&w, need * G, &from, &to), any = false;
	uint64_t rank = UINT64_MAX, mine = 0;

	for (size_t i = 0; i + need <= w.n; i++)
		for (size_t j = i + need; j <= w.n; j++) {
			bool stays = false, writes = false;
			uint32_t last = 0, leave = 0;

			for (size_t k = i; k < j; k++) {
				stays |= w.unit[k].kind == SPILL_STAYS;
				writes |= w.unit[k].kind == SPILL_DIRTY;
				leave += w.unit[k].kind != SPILL_FREE;
				if (w.unit[k].kind != SPILL_FREE && w.unit[k].last > last)
					last = w.unit[k].last;
			}
			if (stays || leave == 0)
				continue;
			any = true;
			uint64_t r = (uint64_t)writes << 40 | (uint64_t)last << 20 | leave;
			if (r < rank)
				rank = r;
			if (got && i == from && j == to)
				mine = r;
		}
	return any == got && (!got || mine == rank);
}

int
main(void)
{
	char s[13];
	size_t a, b;
	bool good = true;

	row("ddd");
	ok(chose(2, 0, 2));
	row("d#d#d");
	ok(!spill_choose(&w, 2 * G, &a, &b) && chose(1, 0, 1));
	row("93519");
	ok(chose(1, 3, 4));			/* the oldest */
	ok(chose(2, 1, 3));
	row("1d#ccc");
	ok(chose(2, 3, 5));			/* a copy is dropped before anything is written, however old */
	row("99.1.9");
	ok(chose(3, 2, 5));			/* free room counts */
	row("..9..");
	ok(chose(1, 1, 3) || chose(1, 2, 3));
	row("");
	ok(!spill_choose(&w, G, &a, &b));
	w.n = 0;
	add(G + 64, G, SPILL_DIRTY, 1);	/* whole granules only */
	ok(!spill_choose(&w, G, &a, &b));
	add(2 * G + 64, 2 * G - 64, SPILL_DIRTY, 1);
	ok(spill_choose(&w, G, &a, &b));
	w.n = 0;
	w.now = 3;
	add(G, G, SPILL_DIRTY, UINT32_MAX - 3);	/* the clock wrapped */
	add(2 * G, G, SPILL_DIRTY, 1);
	ok(chose(1, 0, 1));
	row("d..9.dd...#....");
	ok(moves(4, SPILL_WAIT, 11, 15));	/* it is all free: whoever has it gives it back */
	ok(moves(5, SPILL_MOVE, 0, 5) || moves(5, SPILL_MOVE, 1, 6));	/* the fewest bytes, used a moment ago or not */
	ok(moves(11, SPILL_NONE, 0, 0));	/* not through what stays */
	row("..l....d.d#...");
	ok(moves(5, SPILL_WAIT, 0, 5));		/* it is on its way: no other one is begun */
	ok(moves(7, SPILL_WAIT, 0, 7));
	row("dd.dd.");
	ok(moves(3, SPILL_NONE, 0, 0));		/* full, not fragmented */
	row(".....d.....");
	ok(moves(6, SPILL_MOVE, 0, 6));		/* free room behind it is not part of it: there the object goes */
	w.n = 0;
	add(G, 100 * G, SPILL_FREE, 0);
	add(101 * G, 2 * G, SPILL_DIRTY, 1);
	add(103 * G, 100 * G, SPILL_FREE, 0);
	{
		uint64_t off, end;

		ok(spill_choose_move(&w, 110 * G, &off, &end) == SPILL_MOVE && off == G && end == 111 * G);	/* a unit counts in part */
	}
	row(".l");
	ok(moves(2, SPILL_NONE, 0, 0) && spill_choose(&w, G, &a, &b) == false);
	srand(1);
	for (unsigned k = 0; k < 20000 && good; k++) {
		size_t n = (size_t)rand() % 12 + 1;

		for (size_t i = 0; i < n; i++)
			s[i] = ".c#0123456789dd#"[rand() % 16];
		s[n] = '\0';
		row(s);
		good = best((unsigned)rand() % 4 + 1);
	}
	if (!good)
		printf("# not the best of '%s'\n", s);
	ok(good);
	spill_release(&w);
	return tap_done();
}
