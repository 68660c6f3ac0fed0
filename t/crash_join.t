#!/bin/sh
# crash_join.t - a daemon is killed just as a program joins it, or comes back to it: the next one serves the program
. "${0%/*}/lib.sh"
nm -D "$O/bin/rlet" | grep -qE '__[at]san_init' && skip_all 'the daemon is a sanitized one, which wants to be first'
umask 077
mkdir -p "$ROTA_DIR" "$TMP/die"
cat >"$TMP/die.c" <<'END'
/*
 * A daemon dies between taking a connection and answering, as often as there are files die/1, die/2, ...; and before it sends
 * anything to the process whose number is the name of a directory there.  Its clock is ahead by as many seconds as the file
 * die.ahead says.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
static volatile long *ahead;
__attribute__((constructor)) static void
begin(void)
{
	char path[4096];
	void *p;
	int fd;

	snprintf(path, sizeof path, "%s.ahead", getenv("DIE"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	p = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
	ahead = p == MAP_FAILED ? NULL : p;
	close(fd);
}
int
clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	int e;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	e = real(id, t);
	if (ahead && e == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE))
		t->tv_sec += *ahead;
	return e;
}
int
accept4(int sock, struct sockaddr *sa, socklen_t *n, int flags)
{
	int (*real)(int, struct sockaddr *, socklen_t *, int);
	int fd;
	char path[4096];

	*(void **)&real = dlsym(RTLD_NEXT, "accept4");
	fd = real(sock, sa, n, flags);
	for (int i = 1; fd >= 0 && i < 10; i++) {
		snprintf(path, sizeof path, "%s/%d", getenv("DIE"), i);
		if (unlink(path) == 0)
			kill(getpid(), SIGKILL);
	}
	return fd;
}
ssize_t
sendmsg(int sock, const struct msghdr *m, int flags)
{
	ssize_t (*real)(int, const struct msghdr *, int);
	struct ucred u = { 0 };
	socklen_t n = sizeof u;
	char path[4096];

	*(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &u, &n) == 0) {
		snprintf(path, sizeof path, "%s/%d", getenv("DIE"), (int)u.pid);
		if (rmdir(path) == 0)
			kill(getpid(), SIGKILL);
	}
	return real(sock, m, flags);
}
END
${CC:-cc} -shared -fPIC -o "$TMP/die.so" "$TMP/die.c" -ldl || exit 1

joins() {	# while three daemons die of it
	touch "$TMP/die/1" "$TMP/die/2" "$TMP/die/3"
	prints 42 timeout 60 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function() return 42 end)()))' &&
	[ -z "$(ls "$TMP/die")" ]
}
cat >"$TMP/back.lua" <<'END'
local rota = require "rota"
local half = rota.task(function(s) return #s // 2 end)
local kept = rota.put(("k"):rep(200000))
for round = 1, 3 do
	local refs = {}
	for i = 1, 50 do refs[i] = half(kept) end
	for i = 1, 6 do io.open(os.getenv "DIE" .. "/" .. i, "w"):close() end
	os.execute("kill -9 " .. rota.nodes()[1].pid)
	for _, v in ipairs(rota.get(refs, 60)) do assert(v == 100000, v) end
	assert(#rota.get(kept) == 200000)
	while io.open(os.getenv "DIE" .. "/6") do rota.sleep(0.01) end
end
print "fine"
END
returns() { prints fine timeout 60 rlua "$TMP/back.lua" && [ -z "$(ls "$TMP/die")" ]; }

# the daemon does what it is asked for, and dies before it says so: it is done once
cat >"$TMP/once.lua" <<'END'
local rota = require "rota"
local kv, core = rota.kv, require "rota.core"
rota.init { namespace = "once" }
local die = os.getenv "DIE" .. "/" .. io.open("/proc/self/stat"):read "n"
local function dying(name, f, ...)
	rota.nodes()				-- all is said that was to be said
	os.execute("mkdir " .. die)
	local res = table.pack(f(...))
	local t0 = rota.now()
	while os.rename(die, die) and rota.now() - t0 < 20 do rota.nodes() end
	assert(not os.rename(die, die), name .. ": no daemon died")
	return table.unpack(res, 1, res.n)
end
local function count(what) return #core.list(what) end
local Act = rota.actor { get = function(self) return "got" end }

local g = dying("group", rota.group, { { cpus = 1 } }, "pack", { name = "g" })
assert(g:wait(30), "the group is there")
assert(count "groups" == 1 and rota.group "g", "once")
local r = kv:put("k", "1")
assert(dying("put", kv.put, kv, "k", "2") == r + 1, "a key is changed once")
local v, now = kv:get "k"
assert(v == "2" and now == r + 1)
assert(dying("add", kv.put, kv, "n", "1", { if_rev = 0 }), "one that must not be there")
local a = dying("actor", function() return Act:with { cpus = 0, restarts = -1, name = "a" } () end)
assert(rota.get(a:get(), 30) == "got" and rota.get(rota.find "a":get(), 30) == "got")
local b = dying("actor without restarts", function() return Act:with { cpus = 0, name = "b" } () end)
assert(rota.get(b:get(), 30) == "got")
local s = dying("set", function() return rota.set(Act:with { cpus = 0 }, { n = 2, name = "s" }) end)
assert(s:wait(30) and count "sets" == 1, "one set")
assert(rota.get(s:get(), 30) == "got")
local function channels()			-- nil where we may not look
	local p = io.popen("ls -l /proc/" .. rota.nodes()[1].pid .. "/fd 2>/dev/null")
	local text = p:read "a"
	p:close()
	return text ~= "" and select(2, text:gsub("rota%-chan", "")) or nil
end
local w, rd = dying("channel", rota.channel)
local held = channels()
assert(not held or held == 1, "one channel, not " .. tostring(held))
-- what gets no answer
local d = rota.nodes()[1].pid
os.execute("kill -STOP " .. d)
g:remove() rota.kill(a) s:stop()
a, b, s, g = nil
collectgarbage() collectgarbage()
os.execute("kill -9 " .. d)
local t0 = rota.now()
local function left()
	local n = count "groups" + count "sets"
	for _, x in ipairs(core.list "actors") do if x.state ~= "dead" then n = n + 1 end end
	return n
end
while left() > 0 and rota.now() - t0 < 20 do rota.sleep(0.01) end
assert(left() == 0, "something is left: " .. count "groups" .. " groups, " .. count "sets" .. " sets")
print "fine"
END
once() { prints fine timeout 60 rlua "$TMP/once.lua" && [ -z "$(ls "$TMP/die")" ]; }

DIE=$TMP/die; export DIE
head -c 8 /dev/zero >"$DIE.ahead"
LD_PRELOAD=$TMP/die.so serve rlet -p -q -c 2 --store 16M --ready-fd 3
check 'a program joins while daemons die of it' joins
check 'a program comes back while daemons die of it' returns
check 'what a daemon did and had no time to say is done once' once

# one that is stopped is waited for, and nothing ends for its sake meanwhile: neither the node nor its actor
cat >"$TMP/stopped.lua" <<'END'
local rota = require "rota"
local Counter = rota.actor { add = function(self) self.n = (self.n or 0) + 1 return self.n end }
local c = Counter:with { cpus = 0, restarts = -1, name = "counter" } ()
local kept = rota.put(("k"):rep(200000))
assert(rota.get(c:add()) == 1)
print(rota.nodes()[1].pid) io.flush()
io.read "l"
assert(rota.get(c:add(), 60) == 1 and #rota.get(kept) == 200000)
print "fine"
END
begin() {		# the program, in $prog; its daemon in $daemon.  A word to descriptor 4 lets it go on
	rm -f "$TMP/in"; mkfifo "$TMP/in"
	rlua "$TMP/stopped.lua" <"$TMP/in" >"$TMP/out" 2>&1 &
	prog=$!
	exec 4>"$TMP/in"
	timeout 20 sh -c "until [ -s $TMP/out ]; do sleep 0.02; done"
	daemon=$(head -1 "$TMP/out")
}
seen() { rstat -A "unix:$ROTA_DIR/shared.sock" -J nodes >"$TMP/nodes" 2>&1 && grep -q '"drivers":1[,}]' "$TMP/nodes"; }
stopped() {
	begin
	kill -STOP "$prog"; kill -9 "$daemon"
	for i in 2 6; do			# a node without programs stays for 1 s, one is waited for 3 s that is not seen
		printf "\\00$i" | dd of="$DIE.ahead" conv=notrunc status=none
		seen && seen || { cat "$TMP/nodes"; return 1; }
	done
	says "private ones: $prog (" rstat nodes || return
	kill -CONT "$prog"; echo go >&4; exec 4>&-
	wait "$prog" || { cat "$TMP/out"; return 1; }
	[ "$(tail -1 "$TMP/out")" = fine ]
}
check 'a program that is stopped finds all when it goes on' stopped

# one that dies with the daemon is not waited for
dead() {
	begin
	kill -STOP "$pid"; kill -9 "$prog" "$daemon"; kill -CONT "$pid"
	exec 4>&-
	prints nil rlua -e 'local rota = require "rota" print((rota.find("counter", { namespace = "x" })))' &&
	timeout 10 sh -c 'until [ -z "$(rstat objects)" ]; do :; done'
}
check 'one that died with the daemon is not' dead

# it ends an actor and itself while no daemon hears it: the next one does
cat >"$TMP/leaves.lua" <<'END'
local rota = require "rota"
rota.init { namespace = "leaves" }
local a = rota.actor { get = function() return 1 end }:with { cpus = 0, name = "left", detached = true, restarts = -1 } ()
assert(rota.get(a:get()) == 1)
os.execute("kill -STOP " .. arg[1] .. "; kill -9 " .. rota.nodes()[1].pid .. "; { sleep 1.2; kill -CONT " .. arg[1] .. "; } &")
rota.kill(a)		-- a program waits a second for its output
END
leaves() {
	timeout 60 rlua "$TMP/leaves.lua" "$pid" &&
	timeout 20 rlua -e 'local rota = require "rota" rota.init { namespace = "leaves" } while rota.find "left" do rota.sleep(0.01) end'
}
check 'the end of an actor, said while there is no daemon, is not lost with its program' leaves

daemon=$(rlua -e 'print(require "rota".nodes()[1].pid)')
between() { kill -STOP "$pid"; kill -9 "$daemon"; kill -TERM "$pid"; kill -CONT "$pid"; gone "$pid" && t/leaks.sh "$ROTA_DIR"; }
check 'TERM between two daemons: nothing is left' between

unable() {
	serve rlet -p -q -c 2 --store 16M --ready-fd 3 2>/dev/null
	daemon=$(rlua -e 'print(require "rota".nodes()[1].pid)')
	prlimit --pid "$pid" --nofile=50:50 && kill -9 "$daemon"
	exits 125 wait "$pid" && t/leaks.sh "$ROTA_DIR"
}
check 'a daemon that cannot take over: nothing is left' unable
done_testing
