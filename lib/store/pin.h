/*
 * pin - hazard slots: how a reader keeps an object in place, and how rlet frees only what nobody reads.
 *
 * Every object's header holds one word, generation << 32 | state.  A pin is a slot in the reader's own status
 * page that names (offset, generation).
 *	reader:  slot = name;  look at the word again: SEALED in that generation, else slot = 0
 *	evictor: word: SEALED -> EVICTING;  look at all slots;  not named: FREE, named: back to SEALED
 * All four accesses are sequentially consistent, so in their one total order either the reader sees EVICTING or
 * the evictor sees the slot.  Dropping is a release that the evictor's scan acquires: the reads came before.
 * A dead process's slots are simply no longer looked at.
 *
 * Depends on <stdatomic.h> only: t/model compiles this file with atomics of its own.
 */
#ifndef STORE_PIN_H
#define STORE_PIN_H

#include <stdbool.h>
#include <stdint.h>
#ifndef PIN_MODEL
#include <stdatomic.h>
#endif

/* states of an object; FREE is what zeroed memory says */
enum { OBJ_FREE, OBJ_FILLING, OBJ_SEALED, OBJ_EVICTING };

enum { PIN_GONE = -1, PIN_FULL = -2, PIN_LATER = -3 };	/* results of pin_take; arena.h translates them */

#define PIN_ALL UINT64_MAX	/* in a slot: its process reads without slots, for it has none left; nothing may be evicted */
#define PIN_OFF_BITS 36		/* of off / 64: arenas up to 4 TiB; the rest is the generation, cut */

static inline uint64_t
obj_word(uint32_t gen, uint32_t state)
{
	return (uint64_t)gen << 32 | state;
}

static inline uint64_t
pin_name(uint64_t off, uint32_t gen)		/* never 0, because off is not */
{
	return (uint64_t)gen << PIN_OFF_BITS | (off >> 6 & ((UINT64_C(1) << PIN_OFF_BITS) - 1));
}

/*
 * Pins the object at off whose header word is *word.  *hint is where to look for an empty slot first; it is the
 * caller's to keep, with the slots.  A slot number for pin_drop; PIN_FULL: no empty slot; PIN_GONE: freed or never
 * there; PIN_LATER: just being evicted, which may yet be taken back.  Threads of one process may share slots.
 */
static inline int
pin_take(_Atomic uint64_t *slot, unsigned n, unsigned *hint, const _Atomic uint64_t *word, uint64_t off, uint32_t gen)
{
	uint64_t name = pin_name(off, gen), was, w;
	unsigned i = *hint, left;

	for (left = n; left > 0; left--, i++) {
		if (i >= n)
			i = 0;
		was = 0;
		if (atomic_load_explicit(&slot[i], memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_strong_explicit(&slot[i], &was, name, memory_order_seq_cst,
		    memory_order_relaxed))
			break;
	}
	if (left == 0)
		return PIN_FULL;
	w = atomic_load_explicit(word, memory_order_seq_cst);	/* pairs with pin_evict's exchange */
	if (w == obj_word(gen, OBJ_SEALED)) {
		*hint = i + 1;
		return (int)i;
	}
	atomic_store_explicit(&slot[i], 0, memory_order_release);
	return w == obj_word(gen, OBJ_EVICTING) ? PIN_LATER : PIN_GONE;
}

static inline void
pin_drop(_Atomic uint64_t *slot, unsigned *hint, int i)
{
	atomic_store_explicit(&slot[i], 0, memory_order_release);	/* pin_held acquires */
	*hint = (unsigned)i;						/* the line is warm: use it next */
}

/* The evictor's first step: false if the object is not sealed in this generation (any more). */
static inline bool
pin_evict(_Atomic uint64_t *word, uint32_t gen)
{
	uint64_t w = obj_word(gen, OBJ_SEALED);

	return atomic_compare_exchange_strong_explicit(word, &w, obj_word(gen, OBJ_EVICTING),
	    memory_order_seq_cst, memory_order_relaxed);
}

/* Its second step, for each slot of each live process, after pin_evict of the whole batch: what the slot names or 0. */
static inline uint64_t
pin_held(const _Atomic uint64_t *slot)
{
	return atomic_load_explicit(slot, memory_order_seq_cst);
}

/* Its last step. */
static inline void
pin_settle(_Atomic uint64_t *word, uint32_t gen, bool held)
{
	atomic_store_explicit(word, obj_word(gen, held ? OBJ_SEALED : OBJ_FREE), memory_order_release);
}

#endif
