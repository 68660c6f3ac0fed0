/*
 * chan - a channel: messages of any size from one writer to one reader, in one shared segment.
 *
 * The segment is a page of control words and a ring of bytes whose capacity is a power of two; who maps it sees
 * the ring twice in a row, so that nothing ever wraps.  A message is a header word and its bytes, padded to 8.
 * The header is stored last, with release, and the word where the next header will be is zeroed before: the
 * reader polls one word, in the cache line of the message itself (as FastForward, Giacomoni et al., PPoPP 2008).
 * Room comes back by the reader's position.  What is longer than the ring goes in parts.
 *
 * An end belongs to one process at a time, which keeps its position in the segment too: an end can be passed on
 * between messages.  rlet, which maps the segment as well, writes whose bell to ring and who died.
 *
 * Trust: capacity and limits are copied when the segment is mapped.  A hostile peer can garble headers, positions
 * and bytes; each is loaded once and checked (ERR_PROTO: corrupt, as if the peer were dead), and no access leaves the
 * mapping.  Bytes of a message stay where the peer can change them: they are copied before they are parsed.
 */
#ifndef RING_CHAN_H
#define RING_CHAN_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define CHAN_MAGIC 0x6e616863u
#define CHAN_LAYOUT 3u
#define CHAN_PAGE 4096u
#define CHAN_MIN 4096u			/* bytes of the smallest ring */
#define CHAN_MAX (UINT64_C(1) << 30)
#ifndef CHAN_SPARE			/* t/model has it small */
#define CHAN_SPARE 1024u		/* bytes that ordinary messages leave free: a last one finds room at once */
#endif

#define CHAN_HERE (UINT64_C(1) << 63)	/* header: here 1 | more 1 | tag 30 | length 32 */
#define CHAN_MORE (UINT64_C(1) << 62)	/* a part; the rest follows */
#define CHAN_TAG_MAX 0x3fffffffu

#define CHAN_CRASHED 1u			/* chan_side.dead: its process died */
#define CHAN_GONE 2u			/* nobody has it and nobody will */

struct chan_side {			/* of one end; pos, count, held, closed, owner and taken are written by the process that has it */
	alignas(64) _Atomic uint64_t pos;	/* bytes written, or bytes read */
	_Atomic uint64_t count;		/* messages */
	_Atomic uint64_t held;		/* reader: up to this message, all that came with them is its own to hold */
	alignas(64) _Atomic uint32_t closed;	/* what seldom changes: the other end looks here at each message */
	_Atomic uint32_t dead;		/* by rlet: CHAN_CRASHED or CHAN_GONE */
	_Atomic uint32_t owner;		/* process number; 0: on its way to another process */
	_Atomic uint32_t bell;		/* by rlet: index of its process's bell + 1 */
	_Atomic uint32_t taken;		/* its owner has mapped the end */
};

struct chan_shm {
	uint32_t magic, layout;		/* fixed at creation, as the next two */
	uint64_t cap;			/* bytes of the ring */
	uint64_t items;			/* messages that may be under way; 0: as many as fit */
	_Atomic uint32_t kept;		/* by rlet: 1: should it die, the next one will know the channel */
	uint32_t maker;			/* by rlet: the process that asked for it, and that request's number: it is asked again */
	uint64_t asked;			/* when rlet died before it could answer, and the next one answers with this one */
	struct chan_side w, r;
};
static_assert(sizeof(struct chan_shm) == 320, "layout changed: bump CHAN_LAYOUT");

struct chan {				/* one end, in the process that has it */
	struct chan_shm *shm;
	unsigned char *data;		/* 2 x cap bytes */
	uint64_t cap, items;
	uint64_t pos, count;		/* our own */
	uint64_t peer_pos, peer_count;	/* writer: last seen */
};

int	chan_create(const char *name, uint64_t cap, uint64_t items);	/* -> descriptor; -EINVAL: no power of two in range */
int	chan_map(int fd, struct chan *c);	/* checks seals, size, magic; ERR_LAYOUT.  Then chan_writer or chan_reader */
void	chan_unmap(struct chan *c);
struct chan_shm *chan_map_head(int fd, int *err);	/* rlet: the control words only */
void	chan_unmap_head(struct chan_shm *shm);
int	chan_take_writer(struct chan *c);	/* goes on where the end was left: 0, ERR_PROTO */
int	chan_take_reader(struct chan *c);

static inline _Atomic uint64_t *
chan_head(const struct chan *c, uint64_t pos)
{
	return (_Atomic uint64_t *)(void *)(c->data + (pos & (c->cap - 1)));
}

static inline uint64_t
chan_step(uint64_t n)			/* bytes of the ring that a message of n bytes takes */
{
	return 8 + ((n + 7) & ~UINT64_C(7));
}

/* --- the writer's end ------------------------------------------------------------------------------------------ */

static inline uint64_t
chan_longest(const struct chan *c)	/* most bytes of one part */
{
	return c->cap - CHAN_SPARE - 16;
}

/*
 * How many bytes the next part could have now, at least min (1 .. chan_longest, 0 counts as 1) or 0: wait for room.
 * last: the spare room may be used, and the limit of messages does not count.  ERR_PROTO: corrupt.
 */
static inline int64_t
chan_room(struct chan *c, uint64_t min, bool last)
{
	uint64_t keep = last ? 16 : 16 + CHAN_SPARE, step = chan_step(min + !min), used;

	for (int look = 0;; look++) {
		used = c->pos - c->peer_pos;
		if (used > c->cap || (c->items && c->count - c->peer_count > c->items))
			return ERR_PROTO;
		if (used + keep + step - 8 <= c->cap && (last || !c->items || c->count - c->peer_count < c->items))
			return (int64_t)((c->cap - keep - used) & ~UINT64_C(7));
		if (look)
			return 0;
		c->peer_pos = atomic_load_explicit(&c->shm->r.pos, memory_order_acquire);
		c->peer_count = atomic_load_explicit(&c->shm->r.count, memory_order_relaxed);
	}
}

static inline unsigned char *
chan_fill(const struct chan *c)		/* where the bytes go, before chan_publish */
{
	return c->data + (c->pos & (c->cap - 1)) + 8;
}

/* n: no more than chan_room said.  more: a part that is not the last one of its message.  Then ring the reader's bell. */
static inline void
chan_publish(struct chan *c, uint64_t n, uint32_t tag, bool more)
{
	uint64_t next = c->pos + chan_step(n);

	atomic_store_explicit(chan_head(c, next), 0, memory_order_relaxed);
	atomic_store_explicit(chan_head(c, c->pos), CHAN_HERE | (more ? CHAN_MORE : 0) | (uint64_t)tag << 32 | n,
	    memory_order_release);
	c->pos = next;
	c->count += !more;
	atomic_store_explicit(&c->shm->w.count, c->count, memory_order_relaxed);
	atomic_store_explicit(&c->shm->w.pos, next, memory_order_release);
}

/* --- the reader's end ------------------------------------------------------------------------------------------ */

struct chan_msg {
	const unsigned char *p;		/* in the ring, until chan_taken */
	uint64_t n;
	uint32_t tag;
	bool more;
};

static inline bool
chan_ready(const struct chan *c)
{
	return atomic_load_explicit(chan_head(c, c->pos), memory_order_acquire) != 0;
}

/* 1 and *m; 0: nothing there; ERR_PROTO: corrupt */
static inline int
chan_look(const struct chan *c, struct chan_msg *m)
{
	uint64_t h = atomic_load_explicit(chan_head(c, c->pos), memory_order_acquire);

	if (h == 0)
		return 0;
	m->n = (uint32_t)h;
	if (!(h & CHAN_HERE) || m->n > c->cap - 16)
		return ERR_PROTO;
	m->p = c->data + (c->pos & (c->cap - 1)) + 8;
	m->tag = (uint32_t)(h >> 32) & CHAN_TAG_MAX;
	m->more = h & CHAN_MORE;
	return 1;
}

/* the message is done with: its room is free.  Then ring the writer's bell. */
static inline void
chan_taken(struct chan *c, const struct chan_msg *m)
{
	c->pos += chan_step(m->n);
	c->count += !m->more;
	atomic_store_explicit(&c->shm->r.count, c->count, memory_order_relaxed);
	atomic_store_explicit(&c->shm->r.pos, c->pos, memory_order_release);
}

/* --- both ------------------------------------------------------------------------------------------------------- */

/*
 * What is known of the other end: 0 it may go on, 1 it closed, CHAN_CRASHED << 8 or CHAN_GONE << 8.  A reader looks for
 * a message once more after it: what was published before counts.
 */
static inline unsigned
chan_over(const struct chan_side *s)
{
	return (atomic_load_explicit(&s->closed, memory_order_acquire) != 0) |
	    (atomic_load_explicit(&s->dead, memory_order_acquire) & 0xff) << 8;
}

#endif
