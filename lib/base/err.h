/*
 * err - the suite's one error convention.
 * Functions return 0 or more on success; on failure -errno or an enum err, all negative.
 * Each enum err has a code word, the same in C, Lua, -J and the wire.  Numbers are never reused: append only.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stddef.h>

#define ERR_MAP(X) \
	X(ERR_NOTFOUND,   -1000, "notfound",   "not found") \
	X(ERR_PARTIAL,    -1001, "partial",    "incomplete message") \
	X(ERR_PROTO,      -1002, "proto",      "malformed message") \
	X(ERR_CLOSED,     -1003, "closed",     "closed by peer") \
	X(ERR_LAYOUT,     -1004, "layout",     "not a compatible shared object") \
	X(ERR_TASK,       -1005, "error",      "the task raised an error") \
	X(ERR_TIMEOUT,    -1006, "timeout",    "timed out") \
	X(ERR_CANCELLED,  -1007, "cancelled",  "cancelled") \
	X(ERR_CRASHED,    -1008, "crashed",    "the worker died") \
	X(ERR_ACTOR_DIED, -1009, "actor_died", "the actor died") \
	X(ERR_OOM,        -1010, "oom",        "out of memory") \
	X(ERR_LOST,       -1011, "lost",       "the object was lost") \
	X(ERR_INFEASIBLE, -1012, "infeasible", "no node can ever satisfy the request") \
	X(ERR_ENV,        -1013, "env_failed", "the environment could not be prepared") \
	X(ERR_NO_CLUSTER, -1014, "no_cluster", "no node is running") \
	X(ERR_FULL,       -1015, "full",       "the object store is full") \
	X(ERR_VALUE,      -1016, "value",      "the value cannot travel") \
	X(ERR_COMPACTED,  -1017, "compacted",  "changes that old are forgotten: list again") \
	X(ERR_PENDING,    -1018, "pending",    "too many calls are pending") \
	X(ERR_KEY,        -1019, "key",        "the keys do not match")

enum err {
#define X(name, code, word, text) name = code,
	ERR_MAP(X)
#undef X
};

const char *err_str(int e);	/* text of an enum err or -errno; static, never NULL */
const char *err_word(int e);	/* its code word; -errno gives the nearest one, "error" at worst; "" for e >= 0 */
int	err_of_word(const char *w, size_t n);	/* the enum err of a code word, 0 if it is none */

#endif
