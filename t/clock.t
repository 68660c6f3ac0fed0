#!/bin/sh
# clock.t - the clock on the wall is set forward and back by hours while everything runs: nothing waits or ends by it
. "${0%/*}/lib.sh"
nm -D "$O/bin/rlet" | grep -qE '__[at]san_init' && skip_all 'the programs are sanitized ones, which want to be first'
umask 077
mkdir -p "$ROTA_DIR"
cat >"$TMP/wall.c" <<'END_C'
/* the clock on the wall is off by as many seconds as the file $WALL says, for every process at once */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long *off;
__attribute__((constructor)) static void
begin(void)
{
	int fd = open(getenv("WALL"), O_RDONLY | O_CLOEXEC);
	void *p = mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, fd, 0);

	off = p == MAP_FAILED ? NULL : p;
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
	if (off && e == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += *off;
	return e;
}
time_t
time(time_t *at)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (at)
		*at = t.tv_sec;
	return t.tv_sec;
}
int
gettimeofday(struct timeval *restrict v, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	v->tv_sec = t.tv_sec;
	v->tv_usec = t.tv_nsec / 1000;
	return 0;
}
END_C
${CC:-cc} -shared -fPIC -o "$TMP/wall.so" "$TMP/wall.c" -ldl || exit 1
WALL=$TMP/wall XDG_STATE_HOME=$TMP/state
head -c 8 /dev/zero >"$WALL"
export WALL XDG_STATE_HOME
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
LD_PRELOAD=$TMP/wall.so; export LD_PRELOAD

cat >"$TMP/clock.lua" <<'END_LUA'
local rota, core = require "rota", require "rota.core"
local function set(hours)
	local f = assert(io.open(os.getenv "WALL", "r+b"))
	f:write(string.pack("=j", hours * 3600)) f:close()
end
local function took(least, most, what, f, ...)
	local t0 = rota.now()
	local res = table.pack(f(...))
	local t = rota.now() - t0
	assert(t >= least and t < most, what .. " took " .. t .. " s")
	return table.unpack(res, 1, res.n)
end
local real = os.time()
set(5) assert(os.time() - real > 17000, "the clock was not set")
set(0)
local nap = rota.task(function(s) rota.sleep(s) return s end)
local kv = rota.kv
kv:put("mine", 1, { session = "process" })
for _, hours in ipairs { 7, -9, 0 } do
	local at = " at " .. hours
	-- what has begun before the clock is set
	local short, long = nap:with { timeout = 0.1 } (30), nap(0.1)
	local kept = rota.put("kept for a while")
	local id = rota.keep(kept, { ttl = "1h" })
	local brief = rota.keep(rota.put("briefly"), { ttl = 0.05 })
	local tries = rota.put(0)
	local flaky = rota.task(function() os.exit(3) end):with { retries = 1 } ()
	local watch = kv:watch("none/", { timeout = 0.05 })
	set(hours)
	took(0, 20, "a task" .. at, function() assert(rota.get(long, 20) == 0.1) end)
	took(0, 20, "a timeout" .. at, function()
		local v, err = rota.pget(short, 20)
		assert(not v and err.code == "timeout", tostring(err))
	end)
	took(0, 20, "a retry" .. at, function()
		local v, err = rota.pget(flaky, 20)
		assert(not v and err.code == "crashed", tostring(err))
	end)
	took(0.09, 20, "sleep" .. at, rota.sleep, 0.1)
	took(0.04, 20, "get" .. at, function() assert(not rota.pget(nap(30), 0.05)) end)
	took(0.04, 20, "wait" .. at, rota.wait, { nap(30) }, { timeout = 0.05 })
	took(0, 20, "watch" .. at, function() assert(watch() == nil) end)
	assert(rota.lookup(id), "what is kept for an hour is gone" .. at)
	took(0, 20, "ttl" .. at, function() while rota.lookup(brief) do rota.sleep(0.01) end end)
	assert(kv:get "mine" == 1, "a session ended" .. at)
	for _, what in ipairs { "nodes", "drivers", "objects" } do
		for _, row in ipairs(core.list(what)) do
			for _, k in ipairs { "age", "uptime" } do
				assert(not row[k] or (row[k] >= 0 and row[k] < 3600e9), what .. "." .. k .. " is " .. tostring(row[k]) .. at)
			end
		end
	end
	for _, row in ipairs(core.list "drivers") do
		assert(math.abs(row.since // 1000000000 - os.time()) < 3600, "a time that is shown follows the clock" .. at)
	end
	for _, o in ipairs(core.list "objects") do
		assert(not o.ttl or o.ttl <= 3600e9 and o.ttl > 3000e9, "ttl is " .. tostring(o.ttl) .. at)
	end
end
print "fine"
END_LUA
check 'a lasting node' rota up -q -c 2 --store 32M
check 'tasks, time-outs, retries, ttls, sessions, ages' prints fine timeout 100 rlua "$TMP/clock.lua"

# a command that sets the clock: what it took is not what the clock says, and none is late before its time
set_to() { printf "$1" | dd of="$WALL" conv=notrunc status=none; }	# two bytes, of seconds: up to 18 hours
check 'a command during which the clock is set' prints 'a
b' env WALL_TO="$WALL" rmap -q -k -j 1 --timeout 60 --joblog "$TMP/jl" -s 'printf "\000\200" | dd of="$WALL_TO" conv=notrunc status=none; echo {}; printf "\000\000" | dd of="$WALL_TO" conv=notrunc status=none' ::: a b
runtimes() { awk -F '\t' 'NR > 1 && ($4 < 0 || $4 > 50) { print; bad = 1 } END { exit bad || NR != 3 }' "$TMP/jl"; }
check 'the time it took is right in the job log' runtimes
set_to '\000\200'
late() { exits 124 timeout -s KILL 20 rmap -q --timeout 0.1 -s "sleep 40;:" ::: a 2>/dev/null; }
check "a late one ends in time" late
check 'the node ends, and comes back with the clock behind' sh -c 'rota down -q && printf "\000\000" | dd of="$WALL" conv=notrunc status=none && rota up -q -c 2 --store 32M'
check 'its state is there' prints 42 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function() return 42 end)()))'
check 'it ends' rota down -q
unset LD_PRELOAD
rm -f "$ROTA_DIR"/*.lock
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
