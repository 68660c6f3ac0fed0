/* futex.h - stands before lib/os/futex.h in t/model: sleeping and waking are steps of the explorer (explore.h) */
#ifndef OS_FUTEX_H
#define OS_FUTEX_H

#include <errno.h>
#include <stdatomic.h>

int	model_wait(volatile void *p, uint32_t val, struct site at);
int	model_wake(volatile void *p, struct site at);

#define futex_wait(w, val, timeout_ns) ((void)(timeout_ns), model_wait((w), (val), MODEL_AT(w)))
#define futex_wake(w, n) ((void)(n), model_wake((w), MODEL_AT(w)))

#endif
