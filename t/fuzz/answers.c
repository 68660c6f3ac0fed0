/*
 * answers.c - a worker and a program that speaks frames on descriptor 3 and sends what it likes: any bytes, frames of the
 * types that are its to send, answers with lists of long values.  The bytes are a program of both sides' deeds.
 */
#include "../fuzz.h"
#include <fcntl.h>
#include <lauxlib.h>
#include <sys/socket.h>
#include "os/fd.h"
#include "os/seg.h"
#include "script/codec.h"
#include "script/frames.h"
#include "wire/le.h"

enum { SHARED = 4096 };

static int theirs;			/* the program's end of the socket */
static int memory, file;		/* what it may send: of a sealed size, and not */

static lua_State *
state(void)
{
	static const struct codec_hooks none = { .node = "node" };
	static struct script s;
	static lua_State *L;
	void *p;
	size_t n;
	int e;

	if (L)
		return L;
	fuzz_must((memory = seg_create("fuzz", SHARED)) >= 0 && (file = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
	fuzz_must((p = seg_map(memory, &n, true, &e)) != NULL && n == SHARED);
	memset(p, 'x', n);
	seg_unmap(p, n);
	fuzz_must((L = luaL_newstate()) != NULL);
	*(struct script **)lua_getextraspace(L) = &s;
	s.L = L;
	codec_open(L, &none);
	process_open(L);
	lua_settop(L, 0);
	return L;
}

static void
tell(const void *p, size_t n, unsigned nfd)	/* nothing waits: what has no room is lost */
{
	int fds[2] = { memory, file };

	if (n)
		fd_send(theirs, p, n, fds, (int)nfd);
}

static void
hear(void)
{
	unsigned char p[65536];
	int fds[FRAME_FDS], nfd;

	do {
		nfd = FRAME_FDS;
		if (fd_recv(theirs, p, sizeof p, fds, &nfd) <= 0)
			break;
		while (nfd > 0)
			close(fds[--nfd]);
	} while (true);
}

static void
frame(struct fuzz *f, uint64_t req)
{
	static const uint16_t types[] = { MSG_START_T, MSG_REPLY_T, MSG_ITEM_T, MSG_ERROR_T, MSG_PONG_T, MSG_PING_T, 0, 9999 };
	unsigned how = (unsigned)fuzz_int(f, 1);
	unsigned char p[FRAME_HEAD + 256];
	size_t n;
	const unsigned char *body = fuzz_bytes(f, fuzz_int(f, 1), &n);
	struct frame h = { .len = (uint32_t)n, .type = types[how & 7], .version = MSG_PROTO, .req = how & 8 ? req + 1 : req,
	    .nfd = how >> 4 & 3 };

	frame_pack(p, &h);
	memcpy(p + FRAME_HEAD, body, n);
	tell(p, FRAME_HEAD + n, how >> 6 & 3 ? 0 : h.nfd < 2 ? h.nfd : 2);
}

/* long values are the OOB of the bytes, and an entry of the list each */
static void
reply(struct fuzz *f, uint64_t req)
{
	unsigned how = (unsigned)fuzz_int(f, 1), n = how & 3;
	unsigned char list[3 * LENT];
	struct buf b = BUF_INIT;
	struct msg_reply r = { .buffers = span_of(list, n * LENT - (how & 4 && n)) };

	for (unsigned i = 0; i < n; i++) {
		le_put32(list + i * LENT, (uint32_t)fuzz_int(f, 1));
		le_put64(list + i * LENT + 4, fuzz_int(f, 2));
		le_put64(list + i * LENT + 12, fuzz_int(f, 2));
	}
	r.values.p = fuzz_bytes(f, fuzz_int(f, 1), &r.values.n);
	fuzz_must(msg_put_reply(&b, &r) == 0);
	frame_set_req(b.data, req);
	frame_set_nfd(b.data, how >> 3 & 3);
	if (how & 32) {
		struct frame h;

		fuzz_must(frame_parse(&h, b.data, b.len, FRAME_MAX) > 0);
		h.type = MSG_ITEM_T;
		frame_pack(b.data, &h);
	}
	tell(b.data, b.len, (how >> 3 & 3) < 2 ? how >> 3 & 3 : 2);
	buf_release(&b);
}

/* a method of the process that is at 1, with n arguments that are pushed */
static void
method(lua_State *L, const char *name, int n)
{
	lua_getfield(L, 1, name);
	lua_insert(L, -n - 1);
	lua_pushvalue(L, 1);
	lua_insert(L, -n - 1);
	if (lua_pcall(L, n + 1, LUA_MULTRET, 0) != LUA_OK)
		fuzz_must(lua_type(L, -1) == LUA_TSTRING);
	lua_settop(L, 1);
}

static bool
whole(const struct process *p)		/* else it would be waited for */
{
	struct frame f;

	return p->got.len && frame_parse(&f, p->got.data + p->taken, p->got.len - p->taken, FRAME_MAX) != ERR_PARTIAL;
}

void
fuzz_one(const unsigned char *s, size_t n)
{
	struct fuzz f = { s, n };
	lua_State *L = state();
	struct process *p = lua_newuserdatauv(L, sizeof *p, 1);
	uint64_t req = 0;
	int pair[2];

	fuzz_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	theirs = pair[1];
	*p = (struct process){ .in = -1, .out = -1, .err = -1, .sock = pair[0], .store = -1, .lent = -1, .end = -1 };
	luaL_setmetatable(L, "rota.process");
	if (fuzz_int(&f, 1) & 1)
		p->period = p->patience = p->heard = 1;	/* who is silent is dead at once: nothing is waited for */
	while (f.n > 0) {
		unsigned what = (unsigned)fuzz_int(&f, 1);

		switch (what % 8) {
		case 0: {
			size_t k;
			const unsigned char *q = fuzz_bytes(&f, fuzz_int(&f, 1), &k);

			tell(q, k, what & 8 ? what >> 4 & 1 : 0);
			break;
		}
		case 1: frame(&f, p->owed); break;
		case 2:
		case 3: reply(&f, p->owed); break;
		case 4:				/* a call; the last one's answer may be still to come */
			if (p->owed && !p->period)
				break;
			lua_pushinteger(L, (lua_Integer)++req);
			lua_pushliteral(L, "m");
			lua_pushinteger(L, what);
			lua_pushliteral(L, "text");
			method(L, "call", 4);
			break;
		case 5:
			lua_pushinteger(L, (lua_Integer)req);
			method(L, "cancel", 1);
			break;
		case 6: method(L, "beat", 0); break;
		default:
			if (p->period || whole(p))
				method(L, "recv", 0);
			else if (p->sock >= 0)
				method(L, "beat", 0);	/* takes what has come */
		}
		hear();				/* a call waits for room for what it says */
		fuzz_must(p->nfd <= PROCESS_FDS && p->taken <= p->got.len && p->taken_fd <= p->nfd);
	}
	close(theirs);
	while (p->sock >= 0 || whole(p))
		method(L, "recv", 0);
	method(L, "kill", 0);
	lua_settop(L, 0);
	lua_gc(L, LUA_GCCOLLECT);
}

void
fuzz_seeds(void)
{
	fuzz_seed("\1\1\0\1\xc0\7\4\2\0\3\1\xa1x\7", 14);
	fuzz_seed("\0\4\1\1\0\7\7\3\50\2\1\5\7\2\0\1\x90\7\6", 19);
	fuzz_seed("\1\4\2\11\0\0\0\144\0\11\x91\xc7\15\17\0\0\0\0\0\0\0\0\0\0\0\0\0\7", 29);
	fuzz_seed("\1\4\1\4\0\6\6\1\3\0\7\5", 12);
}
