/*
 * id - what names every task, actor and object, 128 bits: the node and process that made it, a task number and
 * which return value.  Plain values, copied freely.  {0} is no id.
 * In text 32 hex digits: node 8, proc 8, task 10, return 6; people may type a unique prefix of 4 or more.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

struct id {
	uint32_t node, proc;
	uint64_t seq;		/* task number << 24 | return number */
};

#define ID_RET_BITS 24
#define ID_TASK_MAX ((UINT64_C(1) << 40) - 1)
#define ID_RET_MAX ((UINT32_C(1) << ID_RET_BITS) - 1)
#define ID_TEXT 33		/* bytes of the text with its terminator */

static inline struct id
id_make(uint32_t node, uint32_t proc, uint64_t task, uint32_t ret)
{
	return (struct id){ node, proc, task << ID_RET_BITS | (ret & ID_RET_MAX) };
}

static inline uint64_t
id_task(struct id i)
{
	return i.seq >> ID_RET_BITS;
}

static inline uint32_t
id_ret(struct id i)
{
	return (uint32_t)i.seq & ID_RET_MAX;
}

static inline bool
id_eq(struct id a, struct id b)
{
	return a.seq == b.seq && a.proc == b.proc && a.node == b.node;
}

static inline bool
id_none(struct id i)		/* true for {0} */
{
	return !(i.seq | i.proc | i.node);
}

static inline int
id_cmp(struct id a, struct id b)	/* order of the text: < 0, 0, > 0 */
{
	if (a.node != b.node)
		return a.node < b.node ? -1 : 1;
	if (a.proc != b.proc)
		return a.proc < b.proc ? -1 : 1;
	return a.seq < b.seq ? -1 : a.seq > b.seq;
}

static inline uint64_t
id_hash(struct id i)		/* well mixed in all bits; the same in every process */
{
	uint64_t h = ((uint64_t)i.node << 32 | i.proc) * UINT64_C(0x9e3779b97f4a7c15) ^ i.seq;

	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

char	*id_format(char s[ID_TEXT], struct id i);		/* returns s */
int	id_prefix(const char *s, struct id *lo, struct id *hi);	/* 4..32 digits: lo <= all ids so named <= hi */

#endif
