/*
 * chunk - the message CHUNK without its bytes: what goes before them, so that they are sent from where they lie and received
 * where they are to lie.  A frame made of chunk_pack and the bytes is the one that msg_put_chunk would make.
 *
 * Pure: no I/O, no allocation.  Trust: everything is a peer's word until checked here.
 */
#ifndef WIRE_CHUNK_H
#define WIRE_CHUNK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/id.h"

#define CHUNK_HEAD_MAX 80u		/* bytes before the first one of the object, at most */
#define CHUNK_BYTES_MAX (256u << 10)

struct chunk {
	struct id id;
	uint64_t stamp, off;
	uint32_t bytes;			/* 1 to CHUNK_BYTES_MAX */
};

size_t	chunk_pack(unsigned char p[CHUNK_HEAD_MAX], const struct chunk *c);	/* how many bytes go before those of the object */
/*
 * The same for a frame that begins at p, of which n bytes are there: how many go before c->bytes of the object, with which
 * it ends.  0: it is another message; ERR_PARTIAL: more of it is needed; ERR_PROTO.  *c is set on success only.
 */
ssize_t	chunk_parse(struct chunk *c, const unsigned char *p, size_t n);

#endif
