/* pin.c - nothing is freed under a pin and what is sealed is whole */
#include "explore.h"
#include "store/pin.h"

enum { READER, OTHER, RLET };		/* pins */
enum { OFF = 4096 };

static uint64_t word, slot[2];
static uint32_t content;		/* plain: of generation g it holds g - 1 */
static unsigned readers_n;
static struct {
	uint8_t pinned, later, gone;	/* outcomes met on this way */
	bool freed;
} g;

static void
reader(void)
{
	unsigned hint = 0, me = self;

	for (uint32_t gen = 1; gen <= 2; gen++) {
		int i = pin_take(&slot[me], 1, &hint, &word, OFF, gen);

		if (i < 0) {
			check(i == PIN_LATER || i == PIN_GONE);
			continue;
		}
		check(plain_get(&content) == gen - 1);
		check(plain_get(&content) == gen - 1);	/* still */
		pin_drop(&slot[me], &hint, i);
	}
}

static bool
held(unsigned except)			/* by a process that lives, as far as rlet knows */
{
	bool yes = false;

	for (unsigned i = 0; i < readers_n; i++)
		if (i != except)
			yes |= pin_held(&slot[i]) == pin_name(OFF, 1);
	return yes;
}

static void
rlet_evicts(void)
{
	unsigned except = ACTORS;

	for (;;) {
		bool is = pin_evict(&word, 1), yes;

		check(is);
		yes = held(except);
		pin_settle(&word, 1, yes);
		if (!yes)
			break;
		for (unsigned i = 0; i < readers_n; i++)
			if (model_await(i))
				except = i;
	}
	g.freed = true;
	/* the memory is used again */
	atomic_store_explicit(&word, obj_word(2, OBJ_FILLING), memory_order_relaxed);
	plain_set(&content, 1);
	atomic_store_explicit(&word, obj_word(2, OBJ_SEALED), memory_order_release);	/* as arena_seal does */
}

static void
pin_init(void)
{
	word = obj_word(1, OBJ_SEALED);
	memset(slot, 0, sizeof slot);
}

static void
freed(void)
{
	for (unsigned a = 0; a < sc->actors; a++)
		check(finished(a) || dead(a));
	check(g.freed);
}

int
main(void)
{
	static const struct mutation bad[] = {
		{ "pin_take", OP_LOAD, RELAX },		/* the look at the word overtakes the slot */
		{ "pin_held", OP_LOAD, RELAX },		/* the look at the slot overtakes the word */
		{ "pin_drop", OP_STORE, RELAX },	/* given up before it was read */
		{ "rlet_evicts", OP_STORE, RELAX },	/* sealed before it is whole */
	};
	struct scenario s = {
		.name = "pin and evict", .actors = 2, .actor = { reader, rlet_evicts, NULL }, .who = { "reader", "rlet" },
		.ghost = &g, .ghostlen = sizeof g, .init = pin_init, .rest = freed,
	};

	readers_n = 1;
	explore_all(&s, bad, 4);
	s.name = "two readers, one may die";
	readers_n = 2;
	s.actors = 3;
	s.actor[OTHER] = reader;
	s.actor[RLET] = rlet_evicts;
	s.who[OTHER] = "other";
	s.who[RLET] = "rlet";
	s.mortal = 1u << READER | 1u << OTHER;
	s.deaths = 1;
	explore_all(&s, bad, 3);
	return tap_done();
}
