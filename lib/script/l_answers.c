/*
 * l_answers - what comes from programs that speak frames, rota-program(7).
 *
 * Long values come as files in memory whose size is sealed, so that nothing that the program does later makes an access
 * of ours fault; what its list says is checked, and the values are copied.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/fd.h"
#include "os/seg.h"
#include "script/frames.h"
#include "wire/le.h"
#include "wire/mp.h"

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
	p->got.len = p->taken = 0;
	return process_fail(L, "%s", text);
}

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
	if (dec_values(L, m.p, (size_t)(m.end - m.p), (unsigned)list.n, &src, DEC_STRINGS | DEC_PLAIN) < 0)
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
		lua_pushnil(L);			/* what the call lent to it */
		lua_setiuservalue(L, 1, 1);
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
	uint64_t start;

	if (giveway_wait(&p->way, readable, &p->sock))
		return;
	start = clock_ns();
	pulse_await(L, p, POLLIN);
	giveway_slept(&p->way, clock_ns() - start);
}

bool
answers_take(lua_State *L, struct process *p)
{
	int nfd = PROCESS_FDS - (int)p->nfd;
	ssize_t k;

	if (p->got.len > FRAME_MAX + PROCESS_PART)
		broken(L, p, "the program sends without being asked");
	if (buf_reserve(&p->got, PROCESS_PART) < 0)
		process_fail(L, "not enough memory");
	k = fd_recv(p->sock, p->got.data + p->got.len, PROCESS_PART, p->fd + p->nfd, &nfd);
	if (k == -EMSGSIZE)
		broken(L, p, "the program sent more descriptors than go with a frame");
	if (k == -EMFILE)
		broken(L, p, "the actor has too many open files to take the descriptors that the program sent");
	p->nfd += (unsigned)nfd;
	if (k <= 0)
		return false;
	p->got.len += (size_t)k;
	pulse_heard(p);
	return true;
}

static bool				/* the next frame; false: it has ended */
next_frame(lua_State *L, struct process *p, struct frame *f)
{
	ssize_t k;

	drop_taken(p);
	while ((k = frame_parse(f, p->got.data, p->got.len, FRAME_MAX)) == ERR_PARTIAL && p->sock >= 0) {
		await_part(L, p);
		if (p->sock >= 0 && !answers_take(L, p))
			process_shut(&p->sock);
	}
	if (k == ERR_PARTIAL || k == 0 || p->got.len == 0)
		return false;
	if (k < 0)
		return broken(L, p, "the program sent what is no frame");
	if (f->nfd > p->nfd)
		return broken(L, p, "the program sent fewer descriptors than its frame names");
	if ((f->type == MSG_REPLY_T || f->type == MSG_ERROR_T || f->type == MSG_ITEM_T) &&
	    (p->owed == 0 || f->req != p->owed))
		return broken(L, p, "the program answered a call that is not under way");
	p->taken = (size_t)k;
	p->taken_fd = f->nfd;
	return true;
}

bool
answers_settle(lua_State *L, struct process *p)
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

void
answers_idle(lua_State *L, struct process *p)
{
	struct frame f;

	if (!answers_take(L, p))
		process_shut(&p->sock);
	while (frame_parse(&f, p->got.data + p->taken, p->got.len - p->taken, FRAME_MAX) != ERR_PARTIAL && next_frame(L, p, &f))
		if (f.type == MSG_REPLY_T || f.type == MSG_ERROR_T)
			answered(L, p, &f);		/* to a call that was given up */
		else if (p->owed == 0 && f.type != MSG_PONG_T)
			broken(L, p, "the program sent a message without being asked");
	drop_taken(p);
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
answers_methods(lua_State *L)
{
	static const luaL_Reg method[] = { { "recv", l_recv }, { NULL, NULL } };
	static const luaL_Reg maps[] = { { "__gc", l_maps_gc }, { NULL, NULL } };

	luaL_setfuncs(L, method, 0);
	luaL_newmetatable(L, "rota.process maps");
	luaL_setfuncs(L, maps, 0);
	lua_pop(L, 1);
}
