/*
 * l_frames - programs that speak frames on descriptor 3, rota-program(7): calls and answers.
 *
 * Long values do not go through the socket.  To the program go descriptors: the object store's, read-only, for what
 * lies there already, and a file in memory for the rest, with a list that says where in them each value is.  From it come
 * files in memory whose size is sealed, so that nothing that it does later makes an access of ours fault; what its list
 * says is checked, and the values are copied.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/fd.h"
#include "os/seg.h"
#include "script/buffer.h"
#include "script/process.h"
#include "wire/frame.h"
#include "wire/le.h"
#include "wire/mp.h"
#include "wire/msg.h"

enum { LENT = 20, LENT_MIN = 64 << 10 };	/* bytes of an entry of the list; of long values together, else they are copied */

struct maps {				/* userdata "rota.process maps": what a program sent */
	unsigned n;
	struct {
		unsigned char *p;
		size_t bytes;
	} map[FRAME_FDS];
};

static int
l_maps_gc(lua_State *L)
{
	struct maps *m = lua_touserdata(L, 1);

	while (m->n > 0) {
		m->n--;
		seg_unmap(m->map[m->n].p, m->map[m->n].bytes);
	}
	return 0;
}

/* It breaks the protocol: no further word of it can be trusted to be one. */
static int
broken(lua_State *L, struct process *p, const char *text)
{
	if (p->pid > 0)
		kill(-p->pid, SIGKILL);
	process_shut(&p->sock);
	return process_fail(L, "%s", text);
}

static bool settle(lua_State *L, struct process *p);

/* --- to the program --------------------------------------------------------------------------------------------------- */

static bool				/* what is unsent; false: it has ended */
flush(lua_State *L, struct process *p, int flags)
{
	while (p->sent < p->unsent.len && p->sock >= 0) {
		ssize_t k = send(p->sock, p->unsent.data + p->sent, p->unsent.len - p->sent, MSG_NOSIGNAL | flags);

		if (k > 0)
			p->sent += (size_t)k;
		else if (flags && (errno == EAGAIN || errno == EINTR))
			return true;
		else if (errno == EINTR)
			process_interrupted(L);
		else
			process_shut(&p->sock);
	}
	p->unsent.len = p->sent = 0;
	return p->sock >= 0;
}

static bool				/* false: it has ended */
send_all(lua_State *L, struct process *p, const struct buf *b, const int *fds, unsigned nfd)
{
	size_t at = 0;

	if (!flush(L, p, 0))
		return false;
	if (nfd) {
		struct pollfd fd = { .fd = p->sock, .events = POLLOUT };
		int k;

		process_await(L, &fd, 1);
		if ((k = fd_send(p->sock, b->data, FRAME_HEAD, fds, (int)nfd)) < 0)
			process_shut(&p->sock);
		at = k > 0 ? (size_t)k : 0;
	}
	if (buf_add(&p->unsent, b->data + at, b->len - at) < 0)
		process_shut(&p->sock);
	return flush(L, p, 0);
}

static bool
in_store(const struct arena *a, const struct enc_seg *s)
{
	const unsigned char *p = s->p;

	return a && a->base && p >= a->base && p < a->base + a->bytes;
}

static int
write_at(int fd, const void *p, size_t n, uint64_t at)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = pwrite(fd, (const char *)p + done, n - done, (off_t)(at + done));

		if (k < 0 && errno != EINTR)
			return -errno;
		done += k > 0 ? (size_t)k : 0;
	}
	return 0;
}

/* Where the program finds the segments of e: an entry each in list, descriptors in fds, which stay p's.  How many, or -errno. */
static int
lend(lua_State *L, struct process *p, const struct enc *e, struct buf *list, int fds[2])
{
	struct script *s = script_of(L);
	const struct arena *a = s->c ? client_arena(s->c) : NULL;
	uint64_t own = 0, at = 0;
	int nfd = 0, r = 0;

	for (unsigned i = 0; i < e->nseg; i++)
		if (!in_store(a, &e->seg[i]))
			own += (e->seg[i].n + 63) & ~UINT64_C(63);
	if (own && (p->lent = seg_create("rota-call", own)) < 0)
		return p->lent;
	if (own)
		fds[nfd++] = p->lent;
	for (unsigned i = 0; i < e->nseg && r >= 0; i++) {
		const struct enc_seg *g = &e->seg[i];
		bool stored = in_store(a, g);
		unsigned char entry[LENT];

		if (stored && p->store < 0 && (p->store = client_arena_fd(s->c)) < 0)
			return p->store;
		if (stored && (nfd == 0 || fds[nfd - 1] != p->store))
			fds[nfd++] = p->store;
		if (!stored)
			r = write_at(p->lent, g->p, g->n, at);
		le_put32(entry, stored ? (uint32_t)nfd - 1 : 0);
		le_put64(entry + 4, stored ? (uint64_t)((const unsigned char *)g->p - a->base) : at);
		le_put64(entry + 12, g->n);
		at += stored ? 0 : (g->n + 63) & ~UINT64_C(63);
		if (r == 0)
			r = buf_add(list, entry, sizeof entry);
	}
	return r < 0 ? r : nfd;
}

/* buffers in the slots first..last become strings: bytes to a program that takes no others */
static void
flatten(lua_State *L, int first, int last)
{
	for (int i = first; i <= last; i++)
		if (buffer_test(L, i)) {
			size_t len;
			const char *bytes;

			if (!nd_packed(&buffer_test(L, i)->a)) {
				buffer_push_packed(L, &buffer_test(L, i)->a);
				lua_replace(L, i);
			}
			bytes = buffer_bytes(L, i, &len);
			lua_pushlstring(L, bytes, len);
			lua_replace(L, i);
		}
}

static void
encode(lua_State *L, struct process *p, struct enc *e, int first, int last)
{
	uint64_t sum = 0;
	int r;

	e->flags = p->buffers ? 0 : ENC_INLINE;
	if (!p->buffers)
		flatten(L, first, last);
	r = enc_values(L, e, first, last, "argument");
	for (unsigned i = 0; r >= 0 && i < e->nseg; i++)
		sum += e->seg[i].n;
	if (r >= 0 && e->nseg && sum < LENT_MIN) {
		enc_forget(L, e);
		e->flags = ENC_INLINE;
		r = enc_values(L, e, first, last, "argument");
	}
	if (r < 0) {
		enc_release(L, e);
		lua_error(L);
	}
}

/* what the program looks at must stay until it has answered */
static void
hold(lua_State *L, int first, int last)
{
	lua_createtable(L, last - first + 1, 0);
	for (int i = first; i <= last; i++) {
		lua_pushvalue(L, i);
		lua_rawseti(L, -2, i - first + 1);
	}
	lua_setiuservalue(L, 1, 1);
}

static void
let_go(lua_State *L)
{
	lua_pushnil(L);
	lua_setiuservalue(L, 1, 1);
}

static int
l_call(lua_State *L)
{
	struct process *p = process_check(L);
	uint64_t req = (uint64_t)luaL_checkinteger(L, 2);
	size_t n;
	const char *method = luaL_checklstring(L, 3, &n);
	int last = lua_gettop(L), e, nfd = 0, fds[2];
	struct buf *b = lua_newuserdatauv(L, 2 * sizeof *b, 0), *args = b + 1, *list;
	struct enc enc = ENC_INIT;

	b[0] = b[1] = (struct buf)BUF_INIT;
	luaL_setmetatable(L, "rota.process bytes");
	list = lua_newuserdatauv(L, 2 * sizeof *list, 0);
	list[0] = list[1] = (struct buf)BUF_INIT;
	luaL_setmetatable(L, "rota.process bytes");
	process_shut(&p->lent);
	if (!settle(L, p)) {
		lua_pushboolean(L, false);
		return 1;
	}
	encode(L, p, &enc, 4, last);
	e = enc.flags & (ENC_REFS | ENC_CODE) ? -EINVAL : mp_put_array(args, last > 3 ? (size_t)last - 3 : 0);
	if (e == 0 && enc.b.len)
		e = buf_add(args, enc.b.data, enc.b.len);
	if (e == 0 && enc.nseg)
		e = nfd = lend(L, p, &enc, list, fds);
	enc_release(L, &enc);
	if (e == -EINVAL)
		return process_fail(L, "references, functions and handles do not go to a program; give it values");
	if (e >= 0)
		e = msg_put_call(b, &(struct msg_call){ .method = span_of(method, n), .args = span_of(args->data, args->len),
		    .buffers = span_of(list->data, list->len) });
	if (e < 0)
		return process_fail(L, "%s", e == ERR_VALUE ? "too many bytes for a frame (64 MiB)" : err_str(e));
	frame_set_req(b->data, req);
	frame_set_nfd(b->data, (unsigned)nfd);
	if (nfd)
		hold(L, 4, last);
	p->owed = req;
	lua_pushboolean(L, send_all(L, p, b, fds, (unsigned)nfd));
	process_shut(&p->lent);
	return 1;
}

/* p:tell("ping"|"cancel", req): does not wait; a call that has been answered is not cancelled */
static int
l_tell(lua_State *L)
{
	static const char *const words[] = { "ping", "cancel", NULL };
	struct process *p = process_check(L);
	int what = luaL_checkoption(L, 2, NULL, words);
	uint64_t req = (uint64_t)luaL_checkinteger(L, 3);
	struct buf b = BUF_INIT;
	int e = what ? msg_put_cancel_call(&b, &(struct msg_cancel_call){ 0 }) : msg_put_ping(&b, &(struct msg_ping){ 0 });
	bool sent = e == 0 && (!what || p->owed == req);

	if (sent) {
		frame_set_req(b.data, req);
		sent = buf_add(&p->unsent, b.data, b.len) == 0 && flush(L, p, MSG_DONTWAIT);
	}
	buf_release(&b);
	lua_pushboolean(L, sent);
	return 1;
}

/* --- from the program ------------------------------------------------------------------------------------------------- */

/* Pushes what keeps the segments that list names, and gives them; raises if they are not there. */
static struct enc_seg *
borrow(lua_State *L, struct process *p, const struct frame *f, struct span list, unsigned *nseg)
{
	unsigned n = (unsigned)(list.n / LENT);
	struct enc_seg *seg;
	struct maps *m;
	int e;

	if (list.n % LENT)
		process_fail(L, "the program's reply: its list of buffers is cut short");
	seg = lua_newuserdatauv(L, (n + 1) * sizeof *seg, 1);
	m = lua_newuserdatauv(L, sizeof *m, 0);
	m->n = 0;
	luaL_setmetatable(L, "rota.process maps");
	lua_setiuservalue(L, -2, 1);
	for (; m->n < f->nfd; m->n++)
		if ((m->map[m->n].p = seg_map(p->fd[m->n], &m->map[m->n].bytes, false, &e)) == NULL)
			process_fail(L, "the program's reply: descriptor %d of %d is no memory of a sealed size%s%s", (int)m->n + 1,
			    (int)f->nfd, e == ERR_LAYOUT ? "" : ": ", e == ERR_LAYOUT ? "" : err_str(e));
	for (unsigned i = 0; i < n; i++) {
		const unsigned char *q = list.p + (size_t)i * LENT;
		uint32_t which = le_get32(q);
		uint64_t off = le_get64(q + 4), len = le_get64(q + 12);

		if (which >= m->n || off > m->map[which].bytes || len > m->map[which].bytes - off)
			process_fail(L, "the program's reply: buffer %d of %d does not lie in a descriptor that it sent", (int)i + 1,
			    (int)n);
		seg[i] = (struct enc_seg){ m->map[which].p + off, len };
	}
	*nseg = n;
	return seg;
}

static void
give_back(lua_State *L, int maps)	/* what borrow pushed there: every value was copied */
{
	lua_getiuservalue(L, maps, 1);
	lua_replace(L, maps);
	lua_pushcfunction(L, l_maps_gc);
	lua_pushvalue(L, maps);
	lua_call(L, 1, 0);
}

static int				/* "reply" or "item", the request and the values, pushed; or -1 */
push_reply(lua_State *L, struct process *p, const struct frame *f)
{
	struct dec_src src = { .nseg = 0 };
	struct msg_reply r;
	struct mp_tok list;
	struct mp m;
	int maps;

	if (msg_get_reply(&r, f->body, f->len) < 0)
		return -1;
	m = mp_read(r.values.p, r.values.n);
	if (mp_next(&m, &list) < 0 || list.kind != MP_ARRAY || list.n > 1 << 20)
		return -1;
	luaL_checkstack(L, (int)list.n + 8, "too many values");
	if (r.buffers.n)
		src.seg = borrow(L, p, f, r.buffers, &src.nseg);
	maps = lua_gettop(L);
	lua_pushstring(L, f->type == MSG_ITEM_T ? "item" : "reply");
	lua_pushinteger(L, (lua_Integer)f->req);
	if (dec_values(L, m.p, (size_t)(m.end - m.p), (unsigned)list.n, &src, DEC_STRINGS) < 0)
		process_fail(L, "the program's reply: %s", lua_tostring(L, -1));
	if (r.buffers.n)
		give_back(L, maps);
	return 2 + (int)list.n;
}

static int				/* "start", 0 and its name, pushed; or -1 */
push_start(lua_State *L, struct process *p, const struct frame *f)
{
	struct msg_start st;

	if (msg_get_start(&st, f->body, f->len) < 0)
		return -1;
	if (st.proto_min > MSG_PROTO || st.proto_max < MSG_PROTO)
		process_fail(L, "the program speaks protocol %d to %d, this is %d", (int)st.proto_min, (int)st.proto_max,
		    (int)MSG_PROTO);
	p->buffers = st.buffers;
	lua_pushliteral(L, "start");
	lua_pushinteger(L, 0);
	lua_pushlstring(L, (const char *)st.name.p, st.name.n);
	return 3;
}

static int				/* "error", the request, text and traceback, pushed; or -1 */
push_error(lua_State *L, const struct frame *f)
{
	struct msg_error er;

	if (msg_get_error(&er, f->body, f->len) < 0)
		return -1;
	lua_pushliteral(L, "error");
	lua_pushinteger(L, (lua_Integer)f->req);
	lua_pushlstring(L, (const char *)er.text.p, er.text.n);
	lua_pushlstring(L, (const char *)er.traceback.p, er.traceback.n);
	return 4;
}

static void
answered(lua_State *L, struct process *p, const struct frame *f)
{
	if (f->req == p->owed) {
		p->owed = 0;
		let_go(L);
	}
}

/* what a frame says, pushed: the number of values; raises what makes no sense */
static int
push_message(lua_State *L, struct process *p, const struct frame *f)
{
	int n = -1;

	switch (f->type) {
	case MSG_REPLY_T:
		answered(L, p, f);
		n = push_reply(L, p, f);
		break;
	case MSG_ITEM_T:		/* of the same fields */
		n = push_reply(L, p, f);
		break;
	case MSG_ERROR_T:
		answered(L, p, f);
		n = push_error(L, f);
		break;
	case MSG_START_T:
		n = push_start(L, p, f);
		break;
	case MSG_PONG_T:
		lua_pushliteral(L, "pong");
		lua_pushinteger(L, (lua_Integer)f->req);
		n = 2;
	}
	return n >= 0 ? n : process_fail(L, "the program sent a message that makes no sense (type %d)", (int)f->type);
}

static void
drop_taken(struct process *p)
{
	buf_drop(&p->got, p->taken);
	for (unsigned i = 0; i < p->taken_fd; i++)
		close(p->fd[i]);
	p->nfd -= p->taken_fd;
	memmove(p->fd, p->fd + p->taken_fd, p->nfd * sizeof *p->fd);
	p->taken = 0;
	p->taken_fd = 0;
}

static bool
readable(void *arg)
{
	struct pollfd fd = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&fd, 1, 0) != 0;
}

/* until there is the next part of a frame: first where it comes at once, then asleep */
static void
await_part(lua_State *L, struct process *p)
{
	struct pollfd fd = { .fd = p->sock, .events = POLLIN };
	uint64_t start;

	if (giveway_wait(&p->way, readable, &p->sock))
		return;
	start = clock_ns();
	process_await(L, &fd, 1);
	giveway_slept(&p->way, clock_ns() - start);
}

static void
receive(lua_State *L, struct process *p)
{
	int nfd = PROCESS_FDS - (int)p->nfd;
	ssize_t k;

	if (buf_reserve(&p->got, PROCESS_PART) < 0)
		process_fail(L, "not enough memory");
	await_part(L, p);
	k = fd_recv(p->sock, p->got.data + p->got.len, PROCESS_PART, p->fd + p->nfd, &nfd);
	if (k == -EMSGSIZE)
		broken(L, p, "the program sent more descriptors than go with a frame");
	p->nfd += (unsigned)nfd;
	if (k > 0)
		p->got.len += (size_t)k;
	else
		process_shut(&p->sock);
}

static bool				/* the next frame; false: it has ended */
next_frame(lua_State *L, struct process *p, struct frame *f)
{
	ssize_t k;

	drop_taken(p);
	while ((k = frame_parse(f, p->got.data, p->got.len, FRAME_MAX)) == ERR_PARTIAL && p->sock >= 0)
		receive(L, p);
	if (k == ERR_PARTIAL || k == 0 || p->got.len == 0)
		return false;
	if (k < 0)
		return broken(L, p, "the program sent what is no frame");
	if (f->nfd > p->nfd)
		return broken(L, p, "the program sent fewer descriptors than its frame names");
	p->taken = (size_t)k;
	p->taken_fd = f->nfd;
	return true;
}

/* the answer to a call that was given up comes before the next call: it looks at the arguments until then; false: it has ended */
static bool
settle(lua_State *L, struct process *p)
{
	struct frame f;

	while (p->owed) {
		if (!next_frame(L, p, &f))
			return false;
		if (f.type == MSG_REPLY_T || f.type == MSG_ERROR_T)
			answered(L, p, &f);
	}
	drop_taken(p);
	return true;
}

static int
l_recv(lua_State *L)
{
	struct process *p = process_check(L);
	struct frame f;
	int n;

	if (!next_frame(L, p, &f)) {
		luaL_pushfail(L);
		return 1;
	}
	n = push_message(L, p, &f);
	drop_taken(p);
	return n;
}

void
frames_methods(lua_State *L)
{
	static const luaL_Reg method[] = { { "call", l_call }, { "tell", l_tell }, { "recv", l_recv }, { NULL, NULL } };
	static const luaL_Reg maps[] = { { "__gc", l_maps_gc }, { NULL, NULL } };

	luaL_setfuncs(L, method, 0);
	luaL_newmetatable(L, "rota.process maps");
	luaL_setfuncs(L, maps, 0);
	lua_pop(L, 1);
}
