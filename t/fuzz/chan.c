/*
 * chan.c - a channel whose other end writes what it likes: the bytes are a program of sending, receiving and scribbling
 * The first byte says which end is honest.  Messages carry references and lie in the store; the node is played here.
 */
#include "../fuzz.h"
#include <sys/mman.h>
#include "../../lib/client/chan.c"	/* for what a message is, beside its calls */
#include "store/arena_node.h"
#include "wire/frame.h"
#include "wire/val.h"

enum { KEPT = 32, NODE = 1, ME = 2, OTHER = 3 };

static struct client c;
static struct chan both;
static struct client_chan *w, *r;
static struct rec *mine, *others, *kept[KEPT];	/* of two objects references are sent; some that came are kept */

static void
start(void)
{
	static struct arena_node an;
	uint64_t off, len;
	int fd;

	if (c.np)
		return;
	client_chan_longest = 1 << 20;
	fuzz_must((fd = slab_create("fuzz")) >= 0 && slab_init(&c.slab, fd) == 0);
	fuzz_must((fd = page_create("fuzz", NODE, ME)) >= 0 && page_map(fd, &c.page, 1) == 0);
	fuzz_must((fd = nodepage_create("fuzz", NODE, 1)) >= 0 && nodepage_map(fd, &c.np) == 0);
	fuzz_must(arena_node_create(&an, 64 << 20) == 0 && arena_attach(&c.arena, an.fd, ME) == 0);
	fuzz_must(arena_node_lend(&an, ME, 48 << 20, &off, &len) == 0 && arena_lend(&c.arena, off, len) == 0);
	c.arena.reserve = len;
	c.me.node = NODE;
	c.me.proc = ME;
	c.next_task = 1;
	c.rejoining = true;			/* what is sent to the node stays in c.out */
	c.serving = true;			/* and no thread is needed */
	c.nudge = -1;
	list_init(&c.asks);
	list_init(&c.lineage);
	list_init(&c.lineage_dying);
	list_init(&c.chans);
	list_init(&c.drains);
}

/* what was sent to the node: it and owners elsewhere answer */
static void
node(void)
{
	struct buf out;
	struct frame f;
	struct msg_route m;
	ssize_t n;

	lock_take(&c.lock);
	link_holds_l(&c);
	out = c.out;
	c.out = (struct buf)BUF_INIT;
	for (size_t at = 0; at < out.len; at += (size_t)n) {
		fuzz_must((n = frame_parse(&f, out.data + at, out.len - at, FRAME_MAX)) > 0);
		if (f.type != MSG_ROUTE_T || msg_get_route(&m, f.body, f.len) < 0)
			continue;
		if (m.kind == ROUTE_HOLD)
			m.kind = ROUTE_HELD;
		route_l(&c, &m);
	}
	c.drops.len = 0;
	lock_drop(&c.lock);
	buf_release(&out);
}

static void
scribble(struct fuzz *f)
{
	uint64_t where = fuzz_int(f, 2), cap = both.cap;
	size_t n;
	const unsigned char *p = fuzz_bytes(f, 16, &n);

	if (where & 1)
		memcpy((unsigned char *)both.shm + where / 2 % (CHAN_PAGE - 16), p, n);	/* its control words */
	else
		memcpy(both.data + where / 2 % cap, p, n);
}

static void
word(struct fuzz *f)			/* one of an end's words */
{
	unsigned which = (unsigned)fuzz_int(f, 1);
	uint64_t v = fuzz_int(f, 1);
	struct chan_side *s = which & 8 ? &both.shm->w : &both.shm->r;

	v = which & 16 ? 0 - v : v;
	switch (which & 7) {
	case 0: atomic_store(&s->pos, v); break;
	case 1: atomic_store(&s->count, v); break;
	case 2: atomic_store(&s->closed, (uint32_t)v); break;
	case 3: atomic_store(&s->dead, (uint32_t)v); break;
	case 4: atomic_store(&s->owner, (uint32_t)v); break;
	case 5: atomic_store(&s->bell, (uint32_t)v); break;
	default: atomic_store(&s->held, v);
	}
}

static void
header(struct fuzz *f)			/* a header where the reader looks next, with a length and a tag of any kind */
{
	uint64_t n = fuzz_int(f, 2), tag = fuzz_int(f, 3), flags = fuzz_int(f, 1);
	struct chan_side *s = &both.shm->r;

	atomic_store(chan_head(&both, atomic_load(&s->pos)), (flags & 1 ? 0 : CHAN_HERE) | (flags & 2 ? CHAN_MORE : 0) | tag << 32 |
	    (flags & 4 ? n << 12 : n));
}

/* a message with a reference, or the place of an object in the store: whose, and where it is */
static void
place(struct fuzz *f)
{
	static const uint32_t procs[] = { OTHER, OTHER + 1, ME, 0 };
	unsigned how = (unsigned)fuzz_int(f, 1);
	unsigned char *to = (unsigned char *)chan_head(&both, atomic_load(&both.shm->r.pos)) + 8;
	struct wref at = { .id = { how & 4 ? NODE + 1 : NODE, procs[how & 3], fuzz_int(f, 1) << ID_RET_BITS } };
	uint64_t n = WREF_SIZE, tag = CHAN_STORED | 1;

	at.off = how & 8 ? fuzz_int(f, 1) * 64 + ARENA_GRANULE : 0;
	at.gen = how & 8 ? (uint32_t)fuzz_int(f, 1) : 0;
	at.flags = how & 16 ? WREF_ERROR : 0;
	if (how & 32) {
		memcpy(to, "\xc7\x28\1", 3);
		to += 3;
		n += 3;
		tag = CHAN_REFS | 1;
	}
	val_wref_pack(to, &at);
	atomic_store((_Atomic uint64_t *)(void *)chan_head(&both, atomic_load(&both.shm->r.pos)),
	    CHAN_HERE | (tag | (how & 64 ? CHAN_HANDLES : 0) | (how & 128 ? CHAN_BYTES : 0)) << 32 | n);
}

static int
never(struct client_chan *ch, void *arg)
{
	(void)ch, (void)arg;
	return -EINTR;
}

/* n bytes or nearly so; with references they are one or two of these and a string */
static void
send(struct fuzz *f)
{
	static unsigned char bytes[20000];
	unsigned how = (unsigned)fuzz_int(f, 1);
	struct payload p = { .p = bytes, .n = fuzz_int(f, 2) % (sizeof bytes - 200), .nvals = 1 };
	struct seg seg = { bytes, fuzz_int(f, 1) * 8 };
	struct rec *to[2] = { mine, others };
	unsigned char *q = bytes;
	struct wref at;

	memset(bytes, 0, 200);
	if (how & 1) {
		p.nseg = 1;
		p.seg = &seg;
	}
	for (unsigned i = 0; i < 2; i++)
		if (how & 2u << i) {
			client_export(&c, to[i], &at);
			memcpy(q, "\xc7\x28\1", 3);
			val_wref_pack(q + 3, &at);
			q += 3 + WREF_SIZE;
			p.nvals++;
			p.flags = PAYLOAD_REFS;
		}
	if (p.flags) {
		memcpy(q, "\xc6\0\0", 3);
		q[3] = (unsigned char)(p.n >> 8);
		q[4] = (unsigned char)p.n;
		p.n += (size_t)(q + 5 - bytes);
	}
	client_chan_send(w, &p, how & 8 ? CHAN_BYTES : how & 16 ? CHAN_ERROR : 0, never, NULL);
}

static void
keep(unsigned i, struct rec *o)		/* o is counted, or NULL: what was kept there is let go of */
{
	if (kept[i])
		client_release(&c, kept[i]);
	kept[i] = o;
}

struct come {
	unsigned keep, i;
};

static int
import(void *arg, const struct wref *at, bool valref)
{
	struct come *k = arg;
	struct rec *o = client_import(&c, at);

	(void)valref;
	fuzz_must(o);
	if (k->keep & 1u << (k->i++ & 3))
		keep(k->i & (KEPT - 1), o);
	else
		client_release(&c, o);
	return 0;
}

static void
read_all(const unsigned char *p, size_t n)
{
	volatile unsigned char sum = 0;

	for (size_t i = 0; i < n; i++)
		sum ^= p[i];
	(void)sum;
}

static void
message(const struct chan_in *m, unsigned how)	/* every byte that we were told of can be read */
{
	struct come k = { how >> 1, how >> 5 };
	struct rec *o;
	struct value v;

	read_all(m->p, m->n);
	fuzz_must(m->nseg <= CHAN_SEGS);
	for (unsigned i = 0; i < m->nseg; i++)
		read_all(m->seg[i].p, m->seg[i].n);
	if (!(m->tag & CHAN_CARRIED))
		return;
	fuzz_must(client_chan_enter(r, m) == 0);
	if (!(m->tag & CHAN_STORED)) {
		if (!(m->tag & CHAN_BYTES))
			val_walk_refs(m->p, m->n, m->nvals, import, &k);
	} else if (rec_is_ready(o = client_chan_stored(r))) {
		if (client_value(&c, o, &v) == 0) {
			read_all(v.p, v.n);
			val_walk_refs(v.p, v.n, v.nvals, import, &k);
			client_unview(&c, o);
		}
		if (how & 1) {
			client_retain(&c, o);
			keep(how & (KEPT - 1), o);
		}
	}
	client_chan_leave(r, m);
}

/* ends go as their owners let them go, and what they leave behind goes when everybody else is dead */
static void
leave(unsigned how)
{
	static const unsigned char error[] = "\xc7\x07\x07\0";

	if (how & 1)
		client_chan_close(w, how & 2 ? error : NULL, sizeof error - 1, how & 4);
	else if (how & 2 || client_chan_pass(w) < 0)
		end_free(w);
	node();
	if (how & 8)
		client_chan_close(r, NULL, 0, false);
	else if (how & 16 || !list_empty(&r->due) || client_chan_pass(r) < 0)
		end_free(r);
	for (unsigned i = 0; i < KEPT; i++)
		keep(i, NULL);
	client_release(&c, mine);
	client_release(&c, others);
	node();
	lock_take(&c.lock);
	chans_settle_l(&c);
	list_each_safe(l, next, &c.chans)
		end_free_l(list_entry(l, struct client_chan, link));
	lock_drop(&c.lock);
	node();
	fuzz_must(c.owing == 0 && c.nfresh == 0 && c.helds == 0 && c.arena.used == 0);
	fuzz_must(c.side.n == 0 && c.exported.n == 0 && c.borrowed.n == 0);
	c.out.len = c.drops.len = 0;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	struct fuzz f = { p, n };
	struct payload pl = { .p = (const unsigned char *)"\1", .n = 1, .nvals = 1 };
	struct chan_in m;
	unsigned how = (unsigned)fuzz_int(&f, 1), end = (unsigned)fuzz_int(&f, 1);
	int fd = chan_create("fuzz", CHAN_MIN, end >> 5 & 3);

	start();
	fuzz_must(fd >= 0 && chan_map(fd, &both) == 0);
	fuzz_must(end_new(&c, 1, false, fd, &w) == 0 && end_new(&c, 1, true, fd, &r) == 0);
	close(fd);
	fuzz_must(client_put(&c, &pl, &mine) == 0);
	fuzz_must((others = client_import(&c, &(struct wref){ .id = { NODE, OTHER, 1 << ID_RET_BITS } })));
	if (how & 2)
		client_chan_drain(r);
	while (f.n > 0)
		switch (fuzz_int(&f, 1) % 12) {
		case 0:
		case 1: scribble(&f); break;
		case 2: header(&f); break;
		case 3:
		case 4: send(&f); break;
		case 5: place(&f); break;
		case 6: word(&f); break;
		case 7: node(); break;
		case 8:
			keep((unsigned)fuzz_int(&f, 1) & (KEPT - 1), NULL);
			break;
		case 9: chans_drain(&c); break;
		default:
			if (client_chan_get(r, &m) == 1) {
				message(&m, (unsigned)fuzz_int(&f, 1));
				client_chan_done(r);
			}
			client_chan_ready(r);
			client_chan_ready(w);
			client_chan_whole(r);
		}
	leave(how & 1 ? end : end & ~1u);
	chan_unmap(&both);
}

void
fuzz_seeds(void)
{
	fuzz_seed("\1\0\3\0\12\0\0\12\0\3\0\13\0\0\12\0", 16);
	fuzz_seed("\1\0\3\1\x11\x27\4\12\0\3\1\x11\x27\4\12\0\12\0", 18);
	fuzz_seed("\1\0\2\30\0\1\0\10\0\0\10\0\0\0\1\0\0\0\10\0\0\0\0\0\0\0\12\0", 28);
	fuzz_seed("\1\17\3\6\12\0\0\12\37\7\3\6\0\40\0\12\377\7\10\0\10\1\12\0", 24);	/* references, in the message and in the store */
	fuzz_seed("\3\15\3\7\0\40\4\11\12\41\5\0\1\12\1\7\5\52\1\1\1\12\3\5\142\1\12\7\7\6\6\1", 32);
}
