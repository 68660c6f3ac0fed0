-- on.lua - callbacks run in waits and in rota.poll, each once; rota.fd is readable when something came, and quiet after rota.poll
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, raises = T.ok, T.is, T.raises
rota.init { address = "private", cpus = 2, store = "64M" }
local nap = rota.task(function(x) rota.sleep(x) return x end)

local got = {}
local function note(r) got[#got + 1] = rota.get(r) end
is(rota.poll(), false, "nothing is watched")
for i = 1, 5 do rota.on(nap(i / 100), note) end
is(#got, 0, "no callback runs at once")
while #got < 5 do rota.sleep(0.01) end
table.sort(got)
is(got, { 0.01, 0.02, 0.03, 0.04, 0.05 }, "all ran while the program slept, each once")
got = {}
rota.on(rota.put(7), note)
is(#got, 0, "a ref that is ready: not at once either")
is(rota.poll(), 1, "poll runs it")
is(got, { 7 }, "with the ref")
rota.on(nap(0.02), note)
is(rota.poll(math.huge), 1, "poll waits")
is(rota.poll(math.huge), false, "false once nothing is left")
got = {}
rota.on(nap(0), function(r) rota.on(nap(0.01), note) rota.get(nap(0.02)) note(r) end)
while rota.poll(5) do end
is(got, { 0, 0.01 }, "a callback that waits and watches is not interrupted by another")
rota.on(nap(0), function() error("of a callback", 0) end)
raises("of a callback", "an error comes out of the wait", rota.sleep, 5)
rota.on(nap(0), note)
while rota.poll(5) do end
is(#got, 3, "later ones run all the same")
raises("a function is expected", "no function", rota.on, rota.put(1))
raises("not inside a task", "inside a task", function() rota.get(rota.task(function() rota.on(rota.put(1), print) end)()) end)


-- all that rota.wait takes; futures of compiled graphs among them, whose results come through channels
local Act = rota.actor { add = function(self, x) return x + 1 end, slow = function(self, x) rota.sleep(x) return x end,
	bad = function() error("bad", 0) end, die = function() os.exit(3) end }
local a, b = Act(), Act:with { restarts = 0 }()
local group, set = rota.group { { cpus = 0 } }, rota.set(Act, { n = 1 })
local seen, left = {}, 0
local function once(x, name)
	left = left + 1
	rota.on(x, function(y) seen[name], left = rawequal(x, y), left - 1 end)
end
local both = rota.dag(function(x) local y = a:slow(x) return y, b:add(y) end):compile()
once(a, "handle") once(group, "group") once(set, "set") once(both(0.05), "future")
once(rota.task(function() coroutine.yield(1) end):with { stream = true }(), "stream")
while left > 0 do rota.sleep(0.01) end
is(seen, { handle = true, group = true, set = true, future = true, stream = true }, "handles, groups, sets, streams, futures")
set:kill()
got = {}
for i = 1, 40 do rota.on(both(i / 10000), function(f) got[#got + 1] = f:get() end) end
rota.get(nap(0.05))
while #got < 40 do rota.get(nap(0.001)) end
is({ got[1], got[20], got[40] }, { 1 / 10000, 20 / 10000, 40 / 10000 }, "many executions, in their order, while the program waits for other things")
local wrong = rota.dag(function(x) return a:bad(x) end):compile()
rota.on(wrong(1), function(f) got = { rota.pget(f) } end)
while rota.poll(20) do end
is(tostring(got[2]), "bad", "one that fails")
local dying = rota.dag(function(x) return b:slow(x) end):compile()
rota.on(dying(1000), function(f) got = { rota.pget(f) } end)
rota.kill(b)
while rota.poll(60) do end
is(got[2].code, "actor_died", "one whose actor dies")

local fd = rota.fd()
is(rota.fd(), fd, "one descriptor")
local me = io.open("/proc/self/stat"):read "n"
local function readable(s)			-- seen by another process, as this Lua has no poll(2)
	local p = io.popen(([[python3 -c 'import ctypes, select
c = ctypes.CDLL(None)
f = c.syscall(438, c.syscall(434, %d, 0), %d, 0)
print(len(select.select([f], [], [], %g)[0]) if f >= 0 else -1)' 2>/dev/null]]):format(me, fd, s))
	local n = p:read "n"
	p:close()
	return n
end
local can = readable(0)
if can and can >= 0 then
	for round = 1, 3 do
		local done
		rota.on(nap(0.2), function() done = true end)
		local t0, n = rota.now(), 0
		repeat
			is(readable(5), 1, "readable, round " .. round)
			rota.poll()
			n = n + 1
		until done or n > 50
		ok(done and rota.now() - t0 < 4, "it told of the end of the task", n)
	end
	local one, done = rota.dag(function(x) return a:slow(x) end):compile()
	for round = 1, 3 do
		done = nil
		rota.on(one(round == 1 and 0 or 0.1), function(f) done = f:get() end)
		local n = 0
		repeat
			rota.poll()
			if not done then is(readable(20), 1, "readable for a future, round " .. round) end
			rota.poll()
			n = n + 1
		until done or n > 50
		ok(done, "it told of it", n)
	end
	rota.poll()
	readable(0.05)
	rota.poll()
	is(readable(0.1), 0, "quiet when nothing comes")
end
is(rota.get(nap(0.01)), 0.01, "waits work beside it")
T.done()
