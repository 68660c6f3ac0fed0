/*
 * futex - sleep on a 32-bit word in shared memory.  Never FUTEX_PRIVATE: the waker may be another process.
 * The word is compared in the kernel, so no wake between load and sleep is lost.
 */
#ifndef OS_FUTEX_H
#define OS_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* 0 woken (perhaps for nothing), -EAGAIN *w is not val, -ETIMEDOUT, -EINTR.  timeout_ns < 0: no limit. */
static inline int
futex_wait(_Atomic uint32_t *w, uint32_t val, int64_t timeout_ns)
{
	struct timespec t = { (time_t)(timeout_ns / 1000000000), (long)(timeout_ns % 1000000000) };

	return syscall(SYS_futex, w, FUTEX_WAIT, val, timeout_ns < 0 ? NULL : &t, NULL, 0) < 0 ? -errno : 0;
}

static inline int
futex_wake(_Atomic uint32_t *w, int n)		/* wakes at most n (INT_MAX: all); how many, or -errno */
{
	long r = syscall(SYS_futex, w, FUTEX_WAKE, n, NULL, NULL, 0);

	return r < 0 ? -errno : (int)r;
}

#endif
