/* lock - a mutex of two threads: one CAS when free, a futex when not.  Not for use between processes. */
#ifndef CLIENT_LOCK_H
#define CLIENT_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "os/futex.h"

struct lock {
	_Atomic uint32_t word;		/* 0 free, 1 held, 2 held and waited for */
};

static inline bool
lock_try(struct lock *l)
{
	uint32_t z = 0;

	return atomic_compare_exchange_strong_explicit(&l->word, &z, 1, memory_order_acquire, memory_order_relaxed);
}

static inline void
lock_take(struct lock *l)
{
	if (lock_try(l))
		return;
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		futex_wait(&l->word, 2, -1);
}

static inline void
lock_drop(struct lock *l)
{
	if (atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2)
		futex_wake(&l->word, 1);
}

#endif
