-- chan.lua - channels: values, bytes and buffers of every size, limits, both directions, ends that travel, close, errors, deaths
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "256M" }

-- here: values, bytes
local w, r = rota.channel { bytes = "64K" }
has(w, "writing end", "an end shows what it is")
w:send(1, "two", nil, { 4 })
is({ r:recv() }, { 1, "two", nil, { 4 } }, "values, nil among them")
w:send()
is(select("#", r:recv()), 0, "no values")
w:write "raw\0bytes"
is(r:recv(), "raw\0bytes", "bytes")
w:send(2^53, -1, 0.5, true, rota.null)
is({ r:recv() }, { 2^53, -1, 0.5, true, rota.null }, "scalars")
for _, n in ipairs { 0, 1, 7, 8, 1024, 1025, 4096, 60000 } do
	w:send(("x"):rep(n), n)
	local s, k = r:recv()
	ok(s == ("x"):rep(n) and k == n, "a string of " .. n)
	w:write(("y"):rep(n))
	ok(r:recv() == ("y"):rep(n), "bytes of " .. n)
end
local b = rota.buffer(1000)
for i = 1, 1000 do b[i] = i end
w:send({ b, "text", b })
local got = r:recv()
ok(#got[1] == 1000 and got[1][1000] == 1000 and got[3][7] == 7 and got[2] == "text", "buffers in a table")
w:write(b)
local into = rota.buffer(8000, "u8")
is(r:read(into), 8000, "bytes of a buffer, into another")
w:write "four"
raises("does not fit", "a message that is longer than the buffer", r.read, r, rota.buffer(3, "u8"))
is(r:recv(), "four", "and it is still there")
is({ r:recv(0) }, { nil, "timeout" }, "nothing there")
local t0 = rota.now()
is({ r:recv(0.02) }, { nil, "timeout" }, "nothing comes")
ok(rota.now() - t0 >= 0.02, "in that time")
raises("this is the writing end", "the writer does not receive", w.recv, w)
raises("this is the reading end", "the reader does not send", r.send, r, 1)
raises("coroutine cannot travel", "what cannot travel raises at the call", w.send, w, coroutine.create(print))
w:close()
raises("was closed here", "a closed end is not used", w.send, w, 1)
is({ r:recv() }, { nil, "closed" }, "the end")
is({ r:recv() }, { nil, "closed" }, "and again")
r:close()
raises("no option 'byte'", "an unknown option", rota.channel, { byte = 1 })
raises("'bytes' is a size", "no size", rota.channel, { bytes = "many" })
raises("'items' is a whole number", "no number", rota.channel, { items = 0 })

-- a task reads, a task writes; messages longer than the ring; order
local w, r = rota.channel { bytes = 4096 }
local sum = rota.task(function(from)
	local n, bytes, last = 0, 0, 0
	for i, s in function() return from:recv() end do
		if i ~= last + 1 then error("order: " .. i .. " after " .. last) end
		n, bytes, last = n + 1, bytes + #s, i
	end
	return n, bytes
end)
local ref = sum(r)
local want = 0
for i = 1, 3000 do
	local n = i % 500 == 0 and 100000 or i % 700
	want = want + n
	w:send(i, ("z"):rep(n))
end
w:close()
is({ rota.get(ref) }, { 3000, want }, "3,000 messages of all sizes through a ring of 4 KiB")
raises("passed on", "an end that went is not closed here", r.close, r)

local produce = rota.task(function(to, n) for i = 1, n do to:send(i) end to:close() end)
local w, r = rota.channel { items = 2 }
produce(w, 1000)
local n, good = 0, true
for i in r do n = n + 1 good = good and i == n end
ok(good and n == 1000, "a task writes, two messages under way at most")

-- limit: the writer waits for the reader
local w, r = rota.channel { items = 3 }
local pump = rota.task(function(to, file)
	for i = 1, 5 do
		to:send(i)
		local f = io.open(file, "w") f:write(i) f:close()
	end
	to:close()
end)
local ref = pump(w, dir .. "/sent")
local function sent() local f = io.open(dir .. "/sent") local i = f and f:read "n" if f then f:close() end return i or 0 end
while sent() < 3 do rota.sleep(0.001) end
rota.sleep(0.02)
is(sent(), 3, "three go, the fourth waits")
is({ r:recv(), r:recv() }, { 1, 2 }, "two are taken")
while sent() < 5 do rota.sleep(0.001) end
is({ r:recv(), r:recv(), r:recv() }, { 3, 4, 5 }, "all arrive")
is({ r:recv() }, { nil, "closed" }, "and the end")

-- task to task; the end that a result brings
local w, r = rota.channel()
local a, c = produce(w, 5000), sum(r)
local err = select(2, rota.pget(c))
has(err, "attempt to get length", "an error in the reading task (values are no strings)")
local double = rota.task(function(from)
	local to, back = rota.channel()
	local rest = rota.task(function(x, y) for v in x do y:send(2 * v) end y:close() end)
	rest(from, to)
	return back
end)
local w, r = rota.channel()
local back = rota.get(double(r))
for i = 1, 100 do w:send(i) end
w:close()
local s = 0
for v in back do s = s + v end
is(s, 10100, "an end that a task made comes back as its result")

-- actors keep ends
local Sink = rota.actor {
	new = function(self, from) self.from = from end,
	take = function(self, n) local t = {} for i = 1, n do t[i] = self.from:recv() end return t end,
}
local w, r = rota.channel()
local sink = Sink(r)
w:send "a" w:send "b" w:send "c"
is(rota.get(sink:take(2)), { "a", "b" }, "an actor keeps an end")
is(rota.get(sink:take(1)), { "c" }, "between calls")

-- errors and deaths
local w, r = rota.channel()
rota.task(function(to) to:send(1) to:close { code = 7 } end)(w)
is(r:recv(), 1, "messages before the error")
local e = select(2, pcall(r.recv, r))
ok(e.value and e.value.code == 7, "close with an error: it is raised", e)
is({ r:recv() }, { nil, "closed" }, "once")
local w, r = rota.channel()
rota.task(function(to) to:close(("long "):rep(1000)) end)(w)
has(select(2, pcall(r.recv, r)), "long long", "a long error is cut")
local w, r = rota.channel { bytes = 4096 }
rota.task(function(to) for i = 1, 20 do to:send(("x"):rep(100)) end to:close "full" end)(w)
local n = 0
local good, why = pcall(function() for _ in r do n = n + 1 end end)
ok(n == 20 and tostring(why):find "full", "an error finds room in a full ring", n, why)

local w, r = rota.channel()
rota.task(function(to) to:send(1) os.exit(3) end):with { retries = 0 }(w)
is(r:recv(), 1, "messages before a death")
local t0 = rota.now()
local e = select(2, pcall(r.recv, r))
has(e, "the process with the writing end", "the death of the writer is told")
is(e.code, "crashed", "with its code")
ok(rota.now() - t0 < 2, "soon", rota.now() - t0)
local w, r = rota.channel { bytes = 4096 }
rota.task(function(from) from:recv() os.exit(3) end):with { retries = 0 }(r)
local good, e = pcall(function() while true do w:send(("x"):rep(100)) end end)
has(e, "the process with the reading end", "the death of the reader is told to a writer that waits for room")
local w, r = rota.channel()
rota.task(function(from) from:close() end)(r)
local good, e = pcall(function() while true do w:send(1) end end)
is(e.code, "closed", "a reader that closed")
local w, r = rota.channel()
rota.task(function(from) end)(r)
local good, e = pcall(function() while true do w:send(1) end end)
is(e.code, "closed", "a reader that was dropped is closed by the collector")

-- a writer that was not closed is no end of the messages
local w, r = rota.channel()
rota.task(function(to) to:send(1) error "boom" end)(w)
is(r:recv(), 1, "messages before the task failed")
local good, e = pcall(r.recv, r)
has(e, "was dropped without close()", "a reader does not take a failed task for the end")
is(e.code, "lost", "with its code")
local w, r = rota.channel()
rota.task(function(to) local w <close> = to w:send(1) error "boom" end)(w)
is(r:recv(), 1, "messages before the block was left")
local good, e = pcall(r.recv, r)
has(e, "boom", "the error that leaves the block of a <close> variable goes to the reader")
local w, r = rota.channel()
rota.task(function(to) local w <close> = to w:send(1) end)(w)
is(r:recv(), 1, "messages")
is(select(2, r:recv()), "closed", "the end of the block alone is the end of the messages")

local p <close> = io.popen([[rlua -l rota -e '
	local w, r = rota.channel()
	local ref = rota.task(function(w) w:send(1) end):with { resources = { nothing = 1 } }(w)
	r:recv(5.5)' 2>&1]])
has(p:read "a", "waiting for channel 1: no process has its other end", "an end on its way to a task that cannot run is told after 5 s")

-- one user at a time
local w, r = rota.channel()
local hold = rota.task(function(from) return from:recv() end)
local h = hold(r)
w:send "first"
is(rota.get(h), "first", "a task has the end")
local Keep = rota.actor { new = function(self, x) self.x = x end, ok = function() return true end }
local k = Keep(w)
rota.get(k:ok())
has(select(2, pcall(w.send, w, 1)), "in use by process", "the end that another process has is not opened here")
has(select(2, pcall(w.send, w, 1)), "each end has one user", "with the reason")
rota.kill(k)
while true do
	local good, e = pcall(w.send, w, 1)
	if not tostring(e):find "in use" then has(e, "channel", "after its death it is gone") break end
end

-- many
local all = {}
for i = 1, 200 do all[i] = { rota.channel { bytes = 4096 } } end
for i = 1, 200 do all[i][1]:send(i) end
local good = true
for i = 1, 200 do good = good and all[i][2]:recv() == i end
ok(good, "200 channels")
all = nil
T.collect()
for i = 1, 5000 do local a, b = rota.channel { bytes = 4096 } a:close() b:close() end
ok(true, "5,000 channels one after the other")
T.done()
