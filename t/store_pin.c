/* store_pin.c - what is pinned is never freed, what is not can be, while readers and an evictor race (TSan-clean) */
#include <pthread.h>
#include <stdlib.h>
#include "store/pin.h"
#include "tap.h"

enum { OBJECTS = 8, READERS = 3, SLOTS = 4, WORDS = 16 };

static struct {
	_Atomic uint64_t word;
	_Atomic uint32_t hint;		/* the generation that a reference would carry */
	uint32_t data[WORDS];		/* plain: a race on it is what TSan would report */
} object[OBJECTS];
static _Atomic uint64_t slot[READERS][SLOTS];
static _Atomic int stop;
static uint64_t pinned[READERS], bad[READERS];

static void *
reader(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, hint = 0, seed = me;

	while (!stop) {
		unsigned k = (seed = seed * 1103515245 + 12345) >> 16 & (OBJECTS - 1);
		uint32_t gen = object[k].hint;
		int s = pin_take(slot[me], SLOTS, &hint, &object[k].word, (k + 1) * 64, gen);

		if (s == PIN_FULL)
			bad[me]++;
		if (s < 0)
			continue;
		for (int i = 0; i < WORDS; i++)
			bad[me] += object[k].data[i] != gen;
		pinned[me]++;
		pin_drop(slot[me], &hint, s);
	}
	return NULL;
}

static bool
held(unsigned k, uint32_t gen)
{
	for (int r = 0; r < READERS; r++)
		for (int s = 0; s < SLOTS; s++)
			if (pin_held(&slot[r][s]) == pin_name((k + 1) * 64, gen))
				return true;
	return false;
}

static void
race(void)
{
	pthread_t t[READERS];
	uint64_t freed = 0, reverted = 0, all = 0;
	int want = getenv("ROTA_LONG") ? 3000000 : 200000;

	for (unsigned k = 0; k < OBJECTS; k++)
		atomic_store(&object[k].word, obj_word(0, OBJ_SEALED));
	for (uintptr_t r = 0; r < READERS; r++)
		pthread_create(&t[r], NULL, reader, (void *)r);
	for (int step = 0; step < want || all == 0; step++) {
		unsigned k = (unsigned)step % OBJECTS;
		uint32_t gen = atomic_load(&object[k].hint);
		bool h;

		if (!pin_evict(&object[k].word, gen))
			break;
		h = held(k, gen);
		pin_settle(&object[k].word, gen, h);
		reverted += h;
		if (!h) {			/* the maker uses it again */
			freed++;
			for (int i = 0; i < WORDS; i++)
				object[k].data[i] = gen + 1;
			atomic_store_explicit(&object[k].word, obj_word(gen + 1, OBJ_SEALED), memory_order_release);
			atomic_store(&object[k].hint, gen + 1);
		}
		all = step % 1024 == 0 ? (uint64_t)(step > want) : all;
	}
	stop = 1;
	for (int r = 0; r < READERS; r++) {
		pthread_join(t[r], NULL);
		ok(bad[r] == 0);
		all += pinned[r];
	}
	ok(freed > 0);
	printf("# %llu pins, %llu freed, %llu found pinned\n", (unsigned long long)all, (unsigned long long)freed,
	    (unsigned long long)reverted);
}

static void
slots(void)
{
	_Atomic uint64_t s[3] = { 0 }, word = obj_word(7, OBJ_SEALED);
	unsigned hint = 0;
	int a, b, c = 0;

	ok((a = pin_take(s, 3, &hint, &word, 640, 7)) == 0 && s[0] == pin_name(640, 7));
	ok((b = pin_take(s, 3, &hint, &word, 640, 7)) == 1 && (c = pin_take(s, 3, &hint, &word, 640, 7)) == 2);
	ok(pin_take(s, 3, &hint, &word, 640, 7) == PIN_FULL);
	pin_drop(s, &hint, b);
	ok(pin_take(s, 3, &hint, &word, 640, 8) == PIN_GONE && s[1] == 0);
	ok(pin_evict(&word, 7) && !pin_evict(&word, 7));
	ok(pin_take(s, 3, &hint, &word, 640, 7) == PIN_LATER && s[1] == 0);
	pin_settle(&word, 7, true);
	ok(pin_take(s, 3, &hint, &word, 640, 7) == 1);
	pin_evict(&word, 7);
	pin_settle(&word, 7, false);
	ok(word == obj_word(7, OBJ_FREE) && pin_take(s, 3, &hint, &word, 640, 7) == PIN_FULL);
	pin_drop(s, &hint, a);
	pin_drop(s, &hint, c);
	ok(pin_take(s, 3, &hint, &word, 640, 7) == PIN_GONE);
}

int
main(void)
{
	slots();
	race();
	return tap_done();
}
