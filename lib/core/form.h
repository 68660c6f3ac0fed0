/*
 * form - what an object is, for those who are to receive it: how many bytes, and the fields of its header.
 *
 * What travels between nodes is all of an object's block that follows the header (store/arena.h): the table of its
 * buffers, its head, its buffers.  The table counts from the header, so it is right wherever the block comes to lie.
 *
 * The stamp says which making of the object it is.  A task that ran twice may have made other bytes the second time, so
 * what was received of one making is never completed with another one's.  Whoever makes an object chooses the stamp, so that
 * no other node chooses the same one: the node's number in the upper half, a count of its own in the lower one.
 */
#ifndef CORE_FORM_H
#define CORE_FORM_H

#include <stdbool.h>
#include <stdint.h>

#define FORM_BYTES_MAX (UINT64_C(1) << 42)	/* no arena is larger */

struct form {
	uint64_t bytes;			/* that travel; 0: nothing is known of it */
	uint64_t stamp;			/* not 0 */
	uint64_t size;			/* of head and buffers */
	uint32_t headlen;
	uint16_t nbuf, flags;
};

static inline bool
form_good(const struct form *f)		/* does it make sense?  It came from a peer. */
{
	return f->bytes > 0 && f->bytes <= FORM_BYTES_MAX && f->stamp != 0 && f->size <= f->bytes && f->headlen <= f->size &&
	    (uint64_t)f->nbuf * 16 + f->size <= f->bytes;
}

#endif
