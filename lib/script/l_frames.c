/*
 * l_frames - programs that speak frames on descriptor 3, rota-program(7): what goes to them.  Answers: l_answers.c; waits and
 * health: l_pulse.c.
 *
 * Long values do not go through the socket: descriptors go, the object store's, read-only, for what lies there already, and
 * a file in memory for the rest, with a list that says where in them each value is.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "os/fd.h"
#include "os/seg.h"
#include "script/buffer.h"
#include "script/frames.h"
#include "wire/le.h"
#include "wire/mp.h"

enum { LENT_MIN = 64 << 10 };	/* bytes of long values together, else they are copied */

/* Until there is room to write.  It may be writing itself, and read nothing until that was read. */
static void
await_room(lua_State *L, struct process *p)
{
	short ready;

	do {
		ready = pulse_await(L, p, POLLIN | POLLOUT);
		if (ready & POLLIN && !answers_take(L, p))
			process_shut(&p->sock);
	} while (ready && !(ready & (POLLOUT | POLLERR | POLLHUP)));
}

bool
frames_flush(lua_State *L, struct process *p, bool wait)
{
	while (p->sent < p->unsent.len && p->sock >= 0) {
		ssize_t k = send(p->sock, p->unsent.data + p->sent, p->unsent.len - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (k > 0)
			p->sent += (size_t)k;
		else if (errno != EAGAIN && errno != EINTR)
			process_shut(&p->sock);
		else if (!wait)
			return true;
		else
			await_room(L, p);
	}
	p->unsent.len = p->sent = 0;
	return p->sock >= 0;
}

static bool				/* false: it has ended */
send_all(lua_State *L, struct process *p, const struct buf *b, const int *fds, unsigned nfd)
{
	size_t at = 0;

	if (!frames_flush(L, p, true))
		return false;
	if (nfd) {
		int k;

		await_room(L, p);
		if (!frames_flush(L, p, true))	/* a PING, meanwhile */
			return false;
		if ((k = fd_send(p->sock, b->data, FRAME_HEAD, fds, (int)nfd)) < 0)
			process_shut(&p->sock);
		at = k > 0 ? (size_t)k : 0;
	}
	if (buf_add(&p->unsent, b->data + at, b->len - at) < 0)
		process_shut(&p->sock);
	return frames_flush(L, p, true);
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

/* what the program looks at must stay until it has answered (l_answers.c) */
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
	if (!answers_settle(L, p)) {
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

bool
frames_tell(lua_State *L, struct process *p, uint64_t req, struct buf *b)
{
	frame_set_req(b->data, req);
	return buf_add(&p->unsent, b->data, b->len) == 0 && frames_flush(L, p, false);
}

/* p:cancel(req): does not wait; a call that has been answered is not cancelled */
static int
l_cancel_call(lua_State *L)
{
	struct process *p = process_check(L);
	uint64_t req = (uint64_t)luaL_checkinteger(L, 2);
	struct buf b = BUF_INIT;

	if (p->owed == req && msg_put_cancel_call(&b, &(struct msg_cancel_call){ 0 }) == 0)
		frames_tell(L, p, req, &b);
	buf_release(&b);
	return 0;
}

void
frames_methods(lua_State *L)
{
	static const luaL_Reg method[] = { { "call", l_call }, { "cancel", l_cancel_call }, { NULL, NULL } };

	luaL_setfuncs(L, method, 0);
	answers_methods(L);
	pulse_methods(L);
}
