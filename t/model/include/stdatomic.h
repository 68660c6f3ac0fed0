/*
 * stdatomic.h - stands before the compiler's own in t/model: every atomic access becomes a step of the explorer
 * (explore.h).  Objects are plain; nothing but the explorer's machine ever holds what is stored in them.
 */
#ifndef MODEL_STDATOMIC_H
#define MODEL_STDATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define _Atomic
typedef enum {
	memory_order_relaxed, memory_order_consume, memory_order_acquire, memory_order_release,
	memory_order_acq_rel, memory_order_seq_cst
} memory_order;

enum rmw { RMW_SET, RMW_ADD, RMW_SUB, RMW_OR, RMW_AND };

struct site {			/* where an access stands: for trails, and for mutations to name it */
	const char *func, *expr;
};

uint64_t model_load(const volatile void *p, unsigned n, memory_order o, struct site at);
void	model_store(volatile void *p, unsigned n, uint64_t v, memory_order o, struct site at);
uint64_t model_rmw(volatile void *p, unsigned n, enum rmw what, uint64_t v, memory_order o, struct site at);
bool	model_cas(volatile void *p, unsigned n, void *expect, uint64_t v, memory_order yes, memory_order no, struct site at);
void	model_fence(memory_order o, struct site at);

#define MODEL_AT(p) (struct site){ __func__, #p }
#define atomic_load_explicit(p, o) ((__typeof__(*(p)))model_load((p), sizeof *(p), (o), MODEL_AT(p)))
#define atomic_store_explicit(p, v, o) model_store((p), sizeof *(p), (uint64_t)(v), (o), MODEL_AT(p))
/* a statement expression, because its value is often unused */
#define MODEL_RMW(p, what, v, o) \
	__extension__ ({ (__typeof__(*(p)))model_rmw((p), sizeof *(p), (what), (uint64_t)(v), (o), MODEL_AT(p)); })
#define atomic_exchange_explicit(p, v, o) MODEL_RMW(p, RMW_SET, v, o)
#define atomic_fetch_add_explicit(p, v, o) MODEL_RMW(p, RMW_ADD, v, o)
#define atomic_fetch_sub_explicit(p, v, o) MODEL_RMW(p, RMW_SUB, v, o)
#define atomic_fetch_or_explicit(p, v, o) MODEL_RMW(p, RMW_OR, v, o)
#define atomic_fetch_and_explicit(p, v, o) MODEL_RMW(p, RMW_AND, v, o)
#define atomic_compare_exchange_strong_explicit(p, e, v, y, f) \
	model_cas((p), sizeof *(p), (e), (uint64_t)(v), (y), (f), MODEL_AT(p))
#define atomic_thread_fence(o) model_fence((o), (struct site){ __func__, "" })

#define atomic_load(p) atomic_load_explicit(p, memory_order_seq_cst)
#define atomic_store(p, v) atomic_store_explicit(p, v, memory_order_seq_cst)
#define atomic_exchange(p, v) atomic_exchange_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_sub(p, v) atomic_fetch_sub_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_or(p, v) atomic_fetch_or_explicit(p, v, memory_order_seq_cst)
#define atomic_fetch_and(p, v) atomic_fetch_and_explicit(p, v, memory_order_seq_cst)
#define atomic_compare_exchange_strong(p, e, v) \
	atomic_compare_exchange_strong_explicit(p, e, v, memory_order_seq_cst, memory_order_seq_cst)
#define atomic_compare_exchange_weak atomic_compare_exchange_strong
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#endif
