/*
 * packed - tasks and what became of them, as they lie in FAR_TASKS and FAR_DONES: one after the other, little endian.
 *
 *	task	u32 slot, u64 function's serial, u64 seq, u32 bytes, u16 values, u8 flags (REC_REFS REC_CONTEXT REC_ALONE,
 *		PACKED_AWAY), u8 attempt; with REC_CONTEXT 64 bytes, struct rec_context with the deadline as time left; of one
 *		that streams 48 bytes, struct rec_stream without the zeros; then the bytes; with PACKED_AWAY the form of the
 *		object that the arguments are, which is to be fetched
 *	done	u32 slot, u32 ret, u32 ns, u32 bytes, u16 values, u16 ids, u8 kind (DONE_NONE DONE_HERE DONE_BACK DONE_AWAY),
 *		u8 flags (DONE_ERROR REFS PART RETRY), u16 0; then the bytes, then ids of 16 bytes each that the worker keeps;
 *		DONE_AWAY: the value stays where it was made; the bytes: u64 size, u16 how many, then so many values, which are
 *		the references in it
 *	form	u64 the low half of the id, whose upper one is the submitter; u64 bytes, stamp, size; u32 headlen; u16 nbuf, flags
 *
 * A slot is the submitter's, and means nothing to anybody else.  References have no place.
 */
#ifndef LINK_PACKED_H
#define LINK_PACKED_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "core/form.h"
#include "ring/rec.h"

#define PACKED_ARGS (65536u - 64u)	/* most bytes of arguments, */
#define PACKED_VALUES 61440u		/* of values: with ids they fit a block of the slab */
#define PACKED_KEPT 64u
#define PACKED_AWAY 0x01u		/* of a task */
#define PACKED_FORM 40u
#define PACKED_STAYS 10u		/* bytes before those values */

struct packed_task {
	uint32_t slot, n;
	uint64_t fn, seq;
	uint16_t nvals;
	uint8_t flags, attempt;
	struct rec_context context;	/* deadline: time left, 0 none; stream: not 0: the next counts */
	struct packed_stream {
		uint64_t arrived, arrived_bytes, taken, taken_bytes, backlog, backlog_bytes;
	} stream;
	const unsigned char *bytes;
};

struct packed_done {
	uint32_t slot, ret, ns, n;
	uint16_t nvals, nkept;
	uint8_t kind, flags;
	const unsigned char *bytes, *kept;
};

size_t	packed_task_size(const struct packed_task *t);		/* bytes that packed_task_put adds */
int	packed_task_put(struct buf *b, const struct packed_task *t);	/* 0 or -ENOMEM, then b is unchanged */
int	packed_done_put(struct buf *b, const struct packed_done *d);
/* The next one of *p, *n bytes, which move on: 1, 0 at the end, ERR_PROTO.  Pointers into *p. */
int	packed_task_get(struct packed_task *t, const unsigned char **p, size_t *n);
int	packed_done_get(struct packed_done *d, const unsigned char **p, size_t *n);
void	packed_form_put(unsigned char p[PACKED_FORM], uint64_t seq, const struct form *f);
int	packed_form_get(uint64_t *seq, struct form *f, const unsigned char *p, size_t n);	/* 0 or ERR_PROTO */

#endif
