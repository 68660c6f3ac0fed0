/*
 * conn - a stream socket that carries frames and descriptors, on a libev loop.
 *
 * Frames in: whole ones go to on_frame with the descriptors that their header names, in the order in which
 * both came.  Frames out: msg_put_NAME into conn_out(), then conn_done(); everything put during one turn of
 * the loop leaves together, right before the loop blocks, and then on_sent is called.
 *
 * The owner may call conn_end() at any time, also inside the callbacks; the conn is freed later in the turn and
 * calls nobody any more.  When the peer ends, breaks the protocol, does not read (CONN_MARK unsent bytes) or would make
 * all conns together hold too much (CONN_HELD), on_close is called once, and the conn is freed after it.
 *
 * One between machines is made secure first, by conn_secure: frames may be put at once and leave when the peer has shown
 * that it has the key; none of its own comes before that.  Descriptors do not go there.
 */
#ifndef LOOP_CONN_H
#define LOOP_CONN_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/list.h"
#include "wire/frame.h"

enum {
	CONN_TURN = 65536,		/* bytes read per turn, so that one peer cannot starve the rest */
	CONN_MARK = 8 << 20,		/* unsent bytes beyond which the peer is dropped */
	CONN_FDS = 32,			/* descriptors that may wait for their frames */
	CONN_HELD = 512 << 20,		/* bytes that all conns of a set may hold, in and out: then whoever asks for more ... */
	CONN_SHARE = 1 << 20,		/* ... and holds more than this is dropped */
};

struct conn_set {			/* the conns of one loop */
	struct ev_loop *loop;
	ev_prepare prepare;		/* private */
	struct list dirty, ended;	/* private */
	size_t held, most;		/* ro: bytes in the buffers of all conns, as of their last turn; rw: CONN_HELD */
};

struct tls;
struct tls_ctx;

struct conn_fds {			/* private: descriptors that go with the frame at byte `at` of the stream */
	uint64_t at;
	unsigned n, take;
	int fd[8];
};

struct conn {
	ev_io io;			/* private, as all up to owner */
	struct conn_set *set;
	struct list link;		/* in set->dirty or set->ended */
	struct buf in, out;
	int fds[CONN_FDS];
	unsigned nfds;
	struct conn_fds *mark;
	unsigned nmark, capmark;
	uint64_t sent;			/* stream position of out.data[0] */
	struct tls *tls;		/* NULL: the peer is this user's, on this machine */
	bool ended, broken, paused;
	bool spoke;			/* ro: something has come from the peer */
	uint8_t alien;			/* ro: after ERR_PROTO: its frame had this version of the protocol, which is not known here; or 0 */
	size_t counted;			/* in set->held */
	size_t mark_bytes;		/* rw: instead of CONN_MARK until all is sent: for long answers that are ours to bound */
	uint32_t max;			/* rw: longest body accepted, FRAME_HELLO_MAX first */
	void *owner;			/* rw */
	/* takes the descriptors that it wants by setting them to -1; the rest are closed.  < 0: on_close with it */
	int (*on_frame)(struct conn *c, const struct frame *f, int *fds, unsigned nfd);
	void (*on_close)(struct conn *c, int e);	/* ERR_CLOSED at end of file, -ENOBUFS it does not read, or holds too much */
	void (*on_sent)(struct conn *c);		/* may be NULL: bytes have left */
};

void	conn_set_init(struct conn_set *s, struct ev_loop *loop);
void	conn_set_flush(struct conn_set *s);	/* what the end of the turn does */
void	conn_set_release(struct conn_set *s);	/* all its conns have been ended */

/* Takes fd, which becomes non-blocking.  NULL when out of memory; fd is then still the caller's. */
struct conn *conn_new(struct conn_set *s, int fd);
/*
 * Everything goes through TLS with the cluster's key from here on; before anything else is done with c.  0 or -ENOMEM.
 * On failure on_close comes with ERR_KEY or ERR_PROTO; conn_why says what to tell the user ("" if there is nothing to say).
 */
int	conn_secure(struct conn *c, struct tls_ctx *x, bool server);
bool	conn_secured(const struct conn *c);	/* the peer has shown that it has the key, or needs none */
size_t	conn_trim(struct conn *c);	/* gives buffers of what was sent back: how many bytes; for conns that are many and seldom busy */
size_t	conn_unsent(const struct conn *c);	/* bytes that wait for the peer to read */
const char *conn_why(const struct conn *c);	/* while c lives */
bool	conn_waits(const struct conn *c);	/* there are bytes that the socket has not taken */
void	conn_end(struct conn *c);
void	conn_pause(struct conn *c, bool on);	/* nothing more is read while it is on; what was read still comes */

static inline struct buf *
conn_out(struct conn *c)
{
	return &c->out;
}

/*
 * The frame that was put at c->out.data + at is complete; e is what msg_put_NAME said.  The n <= 8 descriptors
 * go with it; those whose bit is set in take are closed once sent, the others must live as long as the conn.
 * Failure breaks the conn: on_close comes at the end of the turn.
 */
void	conn_done(struct conn *c, size_t at, int e, const int *fds, unsigned n, unsigned take);

#endif
