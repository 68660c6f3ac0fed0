/* session.c - numbers, what is kept, and what is sent again */
#include <errno.h>
#include <string.h>
#include "base/err.h"
#include "core/session.h"
#include "wire/frame.h"

void
session_init(struct session *s, uint64_t peer)
{
	*s = (struct session){ .peer = peer, .next = 1 };
}

void
session_release(struct session *s)
{
	for (int k = 0; k < SESSION_CLASSES; k++)
		buf_release(&s->wait[k].b);
	buf_release(&s->kept.b);
}

/* --- bytes --- */

static size_t
held(const struct session_bytes *q)
{
	return q->b.len - q->off;
}

static unsigned char *
first(const struct session_bytes *q)
{
	return q->b.data + q->off;
}

static void
drop(struct session_bytes *q, size_t n)
{
	q->off += n;
	if (q->off > q->b.len / 2) {
		buf_drop(&q->b, q->off);
		q->off = 0;
	}
}

static size_t
frame_len(const unsigned char *p)		/* of one that we packed ourselves */
{
	struct frame f;

	return (size_t)frame_parse(&f, p, FRAME_HEAD + (size_t)FRAME_MAX, FRAME_MAX);
}

/* --- out --- */

size_t
session_waiting(const struct session *s)
{
	size_t n = 0;

	for (int k = 0; k < SESSION_CLASSES; k++)
		n += held(&s->wait[k]);
	return n;
}

int
session_push(struct session *s, enum session_class class, const void *frames, size_t n)
{
	if (n > SESSION_QUEUE - session_waiting(s))
		return ERR_FULL;
	return buf_add(&s->wait[class].b, frames, n);
}

/* Frames that wait get their numbers, control first: `most` bytes of them while the window has room, and always one. */
static void
number(struct session *s, size_t most)
{
	size_t moved = 0;

	for (int k = 0; k < SESSION_CLASSES; k++) {
		struct session_bytes *w = &s->wait[k];
		uint64_t next = s->next;
		size_t n = 0, len;
		bool stop = false;

		for (; n < held(w) && !stop; n += stop ? 0 : len) {
			len = frame_len(first(w) + n);
			stop = (moved + n > 0 && moved + n + len > most) ||
			    (held(&s->kept) + n > 0 && held(&s->kept) + n + len > SESSION_WINDOW);
			if (!stop)
				frame_set_session(first(w) + n, next++);
		}
		if (n && buf_add(&s->kept.b, first(w), n) < 0)
			return;			/* they wait on, and get the same numbers then */
		s->next = next;
		drop(w, n);
		moved += n;
		if (stop)
			return;
	}
}

struct span
session_out(struct session *s, size_t most)
{
	size_t n = 0, len;
	const unsigned char *p;

	if (s->at == held(&s->kept))
		number(s, most);
	p = first(&s->kept) + s->at;
	for (; s->at < held(&s->kept); s->at += len, n += len) {
		len = frame_len(p + n);
		if (n && n + len > most)
			break;
	}
	return span_of(p, n);
}

/* --- in --- */

int
session_in(struct session *s, uint64_t n, size_t bytes)
{
	s->unsaid += bytes + SESSION_ACK / 64;
	if (n <= s->received)
		return 0;
	if (n != s->received + 1)
		return ERR_PROTO;
	s->received = n;
	return 1;
}

int
session_acked(struct session *s, uint64_t n)
{
	size_t bytes = 0;

	if (n >= s->next)
		return ERR_PROTO;
	for (; s->acked < n; s->acked++)
		bytes += frame_len(first(&s->kept) + bytes);
	drop(&s->kept, bytes);
	s->at = s->at > bytes ? s->at - bytes : 0;	/* the last connection may have brought what this one was not given */
	return 0;
}

bool
session_ack_due(const struct session *s)
{
	return s->unsaid >= SESSION_ACK;
}

uint64_t
session_tell(struct session *s)
{
	s->unsaid = 0;
	return s->told = s->received;
}

int
session_resume(struct session *s, uint64_t peer, uint64_t received)
{
	int e;

	if (peer != s->peer)
		return -ESTALE;
	if (received < s->acked || (e = session_acked(s, received)) < 0)
		return ERR_PROTO;
	s->at = 0;
	return 0;
}
