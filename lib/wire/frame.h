/*
 * frame - the 32-byte header before every message, and a reader of frames from a stream of bytes.
 *
 *	off size
 *	 0  u32  bytes of body (the head, msgpack)
 *	 4  u16  message type, wire/msg.h
 *	 6  u8   protocol version
 *	 7  u8   flags (0)
 *	 8  u64  request or 0
 *	16  u32  class and credit (0 on local sockets)
 *	20  u16  number of out-of-band buffers; their u64 sizes follow the header
 *	22  u16  number of descriptors sent with the first byte (local sockets; 0 between nodes)
 *	24  u64  session number (0 on local sockets)
 *
 * Little endian.  Pure: no I/O, no allocation.  Trust: everything is a peer's word until checked here.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FRAME_HEAD 32u
#define FRAME_HELLO_MAX 65536u			/* body limit before HELLO was answered */
#define FRAME_MAX (64u << 20)			/* body limit after */
#define FRAME_FDS 16u				/* most descriptors with one frame */

struct frame {
	uint32_t len;		/* body bytes */
	uint16_t type;
	uint8_t version, flags;
	uint64_t req;
	uint32_t credit;
	uint16_t nbuf, nfd;
	uint64_t session;
	const unsigned char *body;	/* into the parsed bytes */
};

void	frame_pack(unsigned char p[FRAME_HEAD], const struct frame *f);
/*
 * Parses one whole frame at p.  Returns its length, ERR_PARTIAL if n bytes hold only its beginning,
 * ERR_PROTO, as soon as the header is there, if it breaks a bound (body over max, a version not known here,
 * nbuf not 0 on this version, more than FRAME_FDS descriptors, unknown flags).  *f is set on success only.
 */
ssize_t	frame_parse(struct frame *f, const unsigned char *p, size_t n, uint32_t max);

/* Late changes of a packed frame, by whoever sends it. */
void	frame_set_nfd(unsigned char *frame, unsigned n);
void	frame_set_req(unsigned char *frame, uint64_t req);
void	frame_set_session(unsigned char *frame, uint64_t number);

#endif
