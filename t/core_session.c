/* core_session.c - over connections that break anywhere, what is told arrives once and in order, in bounded memory */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/session.h"
#include "tap.h"
#include "wire/frame.h"

static uint64_t seed;
static bool fine = true;

static unsigned
draw(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static void
push(struct session *s, enum session_class class, uint64_t tag, size_t n)
{
	struct frame f = { .len = (uint32_t)n, .type = 7, .version = 1, .req = tag };
	unsigned char *p = calloc(1, FRAME_HEAD + n);

	frame_pack(p, &f);
	ok(session_push(s, class, p, FRAME_HEAD + n) == 0);
	free(p);
}

static size_t
one(const unsigned char *p, size_t n, struct frame *f)
{
	ssize_t len = frame_parse(f, p, n, FRAME_MAX);

	if (len <= 0)
		fine = false;
	return len > 0 ? (size_t)len : n;
}

static void
simple(void)
{
	struct session a, b;
	struct frame f;
	struct span o;

	session_init(&a, 2);
	session_init(&b, 1);
	ok(session_out(&a, 65536).n == 0);
	push(&a, SESSION_SMALL, 1, 10);
	push(&a, SESSION_SMALL, 2, 10);
	push(&a, SESSION_CONTROL, 3, 0);
	o = session_out(&a, FRAME_HEAD + 20);		/* control first; what fits */
	ok(o.n == FRAME_HEAD && one(o.p, o.n, &f) == FRAME_HEAD && f.req == 3 && f.session == 1);
	o = session_out(&a, 1);				/* one always fits */
	ok(one(o.p, o.n, &f) == o.n && f.req == 1 && f.session == 2);
	ok(session_in(&b, 2, 10) == ERR_PROTO);
	ok(session_in(&b, 1, 10) == 1 && session_in(&b, 1, 10) == 0 && session_in(&b, 2, 10) == 1);
	ok(b.received == 2 && b.told == 0 && session_tell(&b) == 2 && b.told == 2);
	ok(session_acked(&a, 3) == ERR_PROTO && session_acked(&a, 2) == 0 && session_acked(&a, 1) == 0);
	ok(session_resume(&a, 9, 2) == -ESTALE && session_resume(&a, 2, 1) == ERR_PROTO && session_resume(&a, 2, 3) == ERR_PROTO);
	ok(session_out(&a, 65536).n == FRAME_HEAD + 10 && session_out(&a, 65536).n == 0);
	ok(session_resume(&a, 2, 2) == 0);		/* it was lost on the way */
	o = session_out(&a, 65536);
	ok(o.n == FRAME_HEAD + 10 && one(o.p, o.n, &f) == o.n && f.req == 2 && f.session == 3);
	ok(session_resume(&a, 2, 3) == 0 && session_out(&a, 65536).n == 0);
	session_release(&a);
	session_release(&b);
}

static void
bounds(void)
{
	struct session a;
	size_t out = 0, n, k = 0;
	static unsigned char big[1 << 20];
	struct frame f = { .len = sizeof big - FRAME_HEAD, .type = 7, .version = 1 };
	int e;

	session_init(&a, 2);
	frame_pack(big, &f);
	while ((e = session_push(&a, SESSION_SMALL, big, sizeof big)) == 0)
		k++;
	ok(e == ERR_FULL && k == SESSION_QUEUE / sizeof big);
	while ((n = session_out(&a, 65536).n) > 0)
		out += n;
	ok(out == SESSION_WINDOW);			/* no more until the peer has some of it */
	ok(session_acked(&a, 1) == 0 && session_out(&a, 65536).n == sizeof big && session_out(&a, 65536).n == 0);
	for (uint64_t i = 2; i <= k; i++) {
		while (session_out(&a, 1 << 30).n > 0)
			;
		ok(session_acked(&a, i) == 0);
	}
	ok(session_out(&a, 65536).n == 0 && a.kept.b.len == 0 && a.wait[SESSION_SMALL].b.len == 0);
	session_release(&a);
}

/* --- two nodes, pipes of frames between them, and breaks --- */

struct side {
	struct session s;
	struct buf pipe;		/* what it sent on this connection and the other has not read */
	uint64_t sent[SESSION_CLASSES], got[SESSION_CLASSES];
};

static void
receive(struct side *to, struct side *from)
{
	struct frame f;
	size_t n;
	int e;

	if (from->pipe.len == 0)
		return;
	n = one(from->pipe.data, from->pipe.len, &f);
	if (f.type == 8) {
		fine &= session_acked(&to->s, f.req) == 0;
	} else {
		e = session_in(&to->s, f.session, n);
		fine &= e >= 0;
		if (e == 1) {
			unsigned class = f.credit;

			fine &= f.req == ++to->got[class];
		}
	}
	buf_drop(&from->pipe, n);
}

static void
tell(struct side *d)
{
	struct frame f = { .type = 8, .version = 1, .req = session_tell(&d->s) };
	unsigned char p[FRAME_HEAD];

	frame_pack(p, &f);
	buf_add(&d->pipe, p, sizeof p);
}

static void
submit(struct side *d)
{
	unsigned class = draw(4) == 0 ? SESSION_CONTROL : SESSION_SMALL;
	size_t n = draw(30) ? draw(300) : draw(100000);
	struct frame f = { .len = (uint32_t)n, .type = 7, .version = 1, .req = d->sent[class] + 1, .credit = class };
	unsigned char *p = calloc(1, FRAME_HEAD + n);

	frame_pack(p, &f);
	if (session_push(&d->s, class, p, FRAME_HEAD + n) == 0)
		d->sent[class]++;
	free(p);
}

static void
write_some(struct side *d)
{
	struct span o = session_out(&d->s, draw(70000));

	if (o.n)
		buf_add(&d->pipe, o.p, o.n);
	if (session_ack_due(&d->s) || draw(50) == 0)
		tell(d);
}

static void
broken(struct side *a, struct side *b)		/* what is in the pipes is lost; a part of it may have been read before */
{
	for (unsigned k = draw(20); k > 0; k--) {
		receive(a, b);
		receive(b, a);
	}
	a->pipe.len = b->pipe.len = 0;
	fine &= session_resume(&a->s, 2, b->s.received) == 0 && session_resume(&b->s, 1, a->s.received) == 0;
}

static void
random_breaks(uint64_t with)
{
	struct side a = { 0 }, b = { 0 };

	seed = with;
	fine = true;
	session_init(&a.s, 2);
	session_init(&b.s, 1);
	for (unsigned i = 0; i < 30000 && fine; i++) {
		struct side *d = draw(2) ? &a : &b, *o = d == &a ? &b : &a;

		switch (i < 20000 ? draw(8) : 4 + draw(3)) {	/* in the end nothing new is said */
		case 0: case 1: submit(d); break;
		case 2: case 3: case 4: write_some(d); break;
		case 5: case 6: receive(d, o); break;
		case 7: if (draw(20) == 0) broken(&a, &b); break;
		}
		fine &= a.s.kept.b.len - a.s.kept.off <= SESSION_WINDOW + 100100;
	}
	for (int i = 0; i < 200000 && fine; i++) {
		write_some(&a), write_some(&b);
		receive(&a, &b), receive(&b, &a);
	}
	for (int k = 0; k < SESSION_CLASSES; k++) {
		fine &= a.got[k] == b.sent[k] && b.got[k] == a.sent[k] && a.sent[k] > 100;
		if (!fine)
			printf("# seed %llu class %d: %llu of %llu, %llu of %llu\n", (unsigned long long)with, k, (unsigned long long)a.got[k],
			    (unsigned long long)b.sent[k], (unsigned long long)b.got[k], (unsigned long long)a.sent[k]);
	}
	tell(&a), tell(&b);
	while (a.pipe.len || b.pipe.len)
		receive(&a, &b), receive(&b, &a);
	fine &= a.s.kept.b.len == 0 && b.s.kept.b.len == 0;
	ok(fine);
	session_release(&a.s);
	session_release(&b.s);
	buf_release(&a.pipe);
	buf_release(&b.pipe);
}

int
main(void)
{
	simple();
	bounds();
	for (uint64_t i = 1; i <= 20; i++)
		random_breaks(i);
	return tap_done();
}
