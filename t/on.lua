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
	rota.poll()
	readable(0.05)
	rota.poll()
	is(readable(0.1), 0, "quiet when nothing comes")
end
is(rota.get(nap(0.01)), 0.01, "waits work beside it")
T.done()
