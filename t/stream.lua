-- stream.lua - tasks and methods that stream: order, references and values, backlog, errors, ends
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "256M" }

local count = rota.task(function(n) for i = 1, n do coroutine.yield(i) end return "done", n end):with { stream = true }
local function list(s) local l = {} for _, v in s:each() do l[#l + 1] = v end return l end
local function upto(n) local l = {} for i = 1, n do l[i] = i end return l end

-- for ref in gen(…) do
local l = {}
for ref in count(5) do l[#l + 1] = rota.get(ref) end
is(l, upto(5), "for ref in gen(...): references, in order")
is(list(count(5)), upto(5), "s:each(): the values")
l = {}
for i, v in rota.each(count(3)) do l[i] = v end
is(l, upto(3), "rota.each(stream): number and value")
is(list(count(0)), {}, "no items")
local s = count(2)
is({ rota.get(s:result()) }, { "done", 2 }, "what the function returned")
is(rota.get(s:next()), 1, "the items are still there when it has ended")
is(rota.get(s:next()), 2, "to the last")
is({ s:next() }, { nil, "end" }, "then the end")
is({ s:next() }, { nil, "end" }, "and again")
has(count(1), "stream (task", "a stream shows what it is")
ok(list(count(20000))[20000] == 20000, "more than its backlog")
s = count(3)
local first, second = s:next(), s:next()
ok(first:id():sub(1, 26) == s:result():id():sub(1, 26) and first:id():sub(-1) == "1" and second:id():sub(-1) == "2",
    "items have the numbers of their call", first:id(), second:id())

-- what can be an item
local big = ("x"):rep(200000)
local odd = rota.task(function()
	coroutine.yield(nil)
	coroutine.yield()
	coroutine.yield(1, "two", nil, { 4 })
	coroutine.yield(("y"):rep(3000))
	coroutine.yield(("x"):rep(200000))
	coroutine.yield(rota.put("put"))
	coroutine.yield({ rota.put(("z"):rep(200000)) })
	coroutine.yield(rota.buffer(10, "i32"))
	coroutine.yield(function(x) return x + 1 end)
end):with { stream = true }
local got = {}
for i, a, b, c, d in odd():each() do got[i] = { a, b, c, d } end
is(#got, 9, "items of every kind", #got)
is({ got[1], got[2], got[3] }, { {}, {}, { 1, "two", nil, { 4 } } }, "nil, nothing, several values")
ok(got[4][1] == ("y"):rep(3000) and got[5][1] == big, "strings, long ones in the store")
is(rota.get(got[6][1]), "put", "a reference")
is(#rota.get(got[7][1][1]), 200000, "a reference in a table")
is(#got[8][1], 10, "a buffer")
is(got[9][1](1), 2, "a function")
local refs = {}
for ref in odd() do refs[#refs + 1] = ref end
ok(#refs == 9 and rota.get(refs[5]) == big and #refs[8]:get() == 10 and rota.get(rota.get(refs[6])) == "put", "the same, as references")
local len = rota.task(function(x) return #x end)
is(rota.get(len(refs[5])), 200000, "a reference to an item goes to another task")
raises("cannot travel", "a stream does not", function() len(count(1)) end)

-- backlog: the producer is never further ahead
local log = dir .. "/ahead"
local slow = rota.task(function(path, n)
	for i = 1, n do
		coroutine.yield(i)
		local f <close> = io.open(path, "w")
		f:write(i)
	end
end)
local function made() local f <close> = io.open(log) return f and f:read "n" or 0 end
for _, backlog in ipairs { 1, 3, 200 } do
	log = dir .. "/ahead" .. backlog	-- the one before may still be ending
	local s = slow:with { stream = true, backlog = backlog }(log, 1000)
	local most = 0
	for i = 1, 500 do
		if i == 100 then rota.sleep(0.05) end	-- it stands still then
		rota.get(s:next())
		most = math.max(most, made() - i)
	end
	ok(most <= backlog + 1, "backlog=" .. backlog .. ": so far ahead and no further", most)
	s:close()
end

-- it waits without a CPU: others run meanwhile, on the same worker too
local ones = {}
for i = 1, 8 do ones[i] = count:with { backlog = 1 }(50) end
local sum = 0
for i = 50, 1, -1 do for k = 8, 1, -1 do sum = sum + rota.get(ones[k]:next()) end end
is(sum, 8 * 50 * 51 // 2, "eight streams on two CPUs, in turns")

-- errors in the middle
local bad = rota.task(function() coroutine.yield(1) coroutine.yield(2) error { code = "mine" } end):with { stream = true }
l = {}
local fine, err = pcall(function() for i, v in bad():each() do l[i] = v end end)
ok(not fine and err.value.code == "mine" and #l == 2, "an error comes after the items before it", err)
s, l = bad(), {}
for ref in s do l[#l + 1] = ref end
local _, e = rota.pget(l[3])
ok(#l == 3 and rota.get(l[2]) == 2 and e.value.code == "mine", "as a last reference", #l)
is({ s:next() }, { nil, "end" }, "then the end")
_, e = rota.pget(s:result())
is(e.value.code, "mine", "it is the result of the call, too")
local cannot = rota.task(function() coroutine.yield(1) coroutine.yield(coroutine.create(print)) end):with { stream = true }
fine, err = pcall(list, cannot())
has(err, "coroutine cannot travel", "what cannot travel ends the stream")
_, e = rota.pget(rota.task(function() coroutine.yield(1) end)())
has(e, "that is no stream", "row 19: a yield in a task that is no stream")
local inner = rota.task(function()
	for x in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do coroutine.yield(10 * x) end
end):with { stream = true }
is(list(inner()), { 10, 20, 30 }, "row 19: the task's own coroutine streams, the user's do not")

-- the consumer goes away
local flag = dir .. "/closed"
local endless = rota.task(function(path)
	local done <close> = setmetatable({}, { __close = function() io.open(path, "w"):close() end })
	for i = 1, math.huge do coroutine.yield(i) end
end):with { stream = true }
local function gone(path)
	local till = rota.now() + 20
	repeat
		local f = io.open(path)
		if f then f:close() os.remove(path) return true end
		rota.sleep(0.005)
	until rota.now() > till
end
for i in endless(flag):each() do if i == 10 then break end end
ok(gone(flag), "a loop that is left ends the producer, which closes what it has open")
s = endless(flag)
s:next()
s:close()
ok(gone(flag), "so does close")
is({ s:next() }, { nil, "end" }, "nothing comes out of a closed one")
do local s <close> = endless(flag) s:next() end
ok(gone(flag), "and the end of its scope")
endless(flag):next()
collectgarbage() collectgarbage()
ok(gone(flag), "and the collector")
s = endless(flag)
rota.get(s:next())
ok(rota.cancel(s), "rota.cancel(stream)")
ok(gone(flag), "ends it")
_, e = rota.pget(s:result())
is(e.code, "cancelled", "with that error")
l = 0
for ref in s do l = l + 1; e = select(2, rota.pget(ref)) end
ok(l >= 1 and e.code == "cancelled", "after what had come", l, e)
s = endless:with { timeout = 0.2 }(flag)
fine, err = pcall(function() for _ in s:each() do end end)
ok(not fine and err.code == "timeout", "a time-out", err)

-- waiting
local tick = rota.task(function(name, path)
	for i = 1, 2 do
		while not io.open(path .. i) do rota.sleep(0.002) end
		coroutine.yield(name .. i)
	end
end):with { stream = true }
local a, b = tick("a", dir .. "/a"), tick("b", dir .. "/b")
is({ a:next(0) }, { nil, "timeout" }, "next with a time-out")
is({ a:next(0.02) }, { nil, "timeout" }, "nothing comes in that time")
io.open(dir .. "/b1", "w"):close()
local ready, rest = rota.wait({ a, b }, { n = 1 })
ok(#ready == 1 and ready[1] == b and #rest == 1, "rota.wait takes streams: the one that has an item")
is(rota.get(b:next()), "b1", "which is there")
io.open(dir .. "/a1", "w"):close()
ready = rota.wait({ a, b })
ok(ready[1] == a and rota.get(a:next()) == "a1", "then the other")
io.open(dir .. "/a2", "w"):close()
io.open(dir .. "/b2", "w"):close()
is({ rota.get(a:next()), rota.get(b:next()) }, { "a2", "b2" }, "both")
ready = rota.wait({ a, b }, { n = "all" })
ok(#ready == 2 and a:next() == nil and b:next() == nil, "the end is something to wait for, too")

-- in tasks
local relay = rota.task(function(n)
	local sum = 0
	for _, v in count:with { backlog = 4 }(n):each() do sum = sum + v end
	return sum
end)
is(rota.get(relay(1000)), 500500, "a task reads a stream")
local chain = rota.task(function(n) for ref in count(n) do coroutine.yield(rota.get(ref) * 2) end end):with { stream = true }
is(#list(chain(300)), 300, "and streams itself")
local deep = rota.task(function(n)
	local t = { count:with { backlog = 1 }(n), count:with { backlog = 1 }(n), count:with { backlog = 1 }(n) }
	local sum = 0
	for i = 1, n do for k = 1, 3 do sum = sum + rota.get(t[k]:next()) end end
	return sum
end):with { cpus = 2 }
is(rota.get(deep(40)), 3 * 820, "children that stream on the one worker there is")
is(rota.get(rota.task(function()
	local t = {}
	for _, v in count(3):each() do t[#t + 1] = v end
	table.sort({ 2, 1 }, function(x, y) for _, v in count(2):each() do t[#t + 1] = v end return x < y end)
	return #t >= 5
end)()), true, "also where Lua cannot yield")

-- retries: by index

-- actors
local Act = rota.actor {
	new = function(self) self.n = 0 end,
	count = function(self, n) for i = 1, n do self.n = self.n + 1 coroutine.yield(i, self.n) end return self.n end,
	add = rota.method(function(self, n) for i = 1, n do coroutine.yield(i) end end, { stream = true, backlog = 2 }),
	total = function(self) return self.n end,
}
local act = Act()
l = {}
for i, v, n in act.count:with { stream = true }(4):each() do l[i] = { v, n } end
is(l, { { 1, 1 }, { 2, 2 }, { 3, 3 }, { 4, 4 } }, "a method streams")
is(list(act:add(50)), upto(50), "one that is declared so")
is(rota.get(act:total()), 4, "calls go on after it")
local held = act.count:with { stream = true, backlog = 1 }(100)
local total = act:total()
held:next()
ok(not total:wait(0.05), "a call waits until the stream before it has ended")
held:close()
ok(rota.get(total, 20) < 20, "closed early, it ends")
local wide = Act:with { concurrency = 4 }()
local four = {}
for i = 1, 4 do four[i] = wide.count:with { stream = true, backlog = 1 }(20) end
sum = 0
for i = 1, 20 do for k = 4, 1, -1 do sum = sum + rota.get(four[k]:next()) end end
is(sum, 840, "an actor with concurrency=4 streams four at once")
local gone_actor = Act()
s = gone_actor.count:with { stream = true, backlog = 5 }(10^9)
rota.get(s:next())
rota.kill(gone_actor)
l = 1
fine, err = pcall(function() for _ in s:each() do l = l + 1 end end)
ok(not fine and err.code == "actor_died" and l < 10^9, "an actor that dies ends its streams", l, err)

-- retries: by index
local function tries(path) local n = 0 for _ in io.lines(path) do n = n + 1 end return n end
local log = dir .. "/tries"
local dies = rota.task(function(path, n, at)
	local f = io.open(path, "a")
	f:write "x\n"
	f:close()
	local n = 0
	for _ in io.lines(path) do n = n + 1 end
	for i = 1, 100 do
		coroutine.yield(i)
		if i == at and n < 3 then os.exit(3) end
	end
end):with { stream = true }
is(list(dies(log, 100, 40)), upto(100), "a producer that dies twice: each item once, in order")
is(tries(log), 3, "it was run three times")
os.remove(log)
is(list(dies:with { backlog = 1 }(log, 100, 40)), upto(100), "the same with backlog=1")
os.remove(log)
l = {}
fine, err = pcall(function() for i, v in dies:with { retries = 1 }(log, 100, 40):each() do l[i] = v end end)
ok(not fine and err.code == "crashed" and #l <= 40, "without further attempts: the error comes after what had come", err, #l)
os.remove(log)
local raises_once = rota.task(function(path)
	for i = 1, 10 do coroutine.yield(i) if i == 5 and not io.open(path) then io.open(path, "w"):close() error "once" end end
	return rota.context().attempt
end):with { stream = true, retry_on = "error" }
s = raises_once(log)
is(list(s), upto(10), "an error with retry_on: goes on where it was")
is(rota.get(s:result()), 2, "in its second attempt")
os.remove(log)
local shorter = rota.task(function(path)
	if io.open(path) then coroutine.yield(1) return end
	for i = 1, 5 do coroutine.yield(i) end
	io.open(path, "w"):close()
	error "again"
end):with { stream = true, retry_on = "error" }
fine, err = pcall(list, shorter(log))
has(err, "the stream ended after 1 items when it was run again: 5 had come before", "an attempt that ends earlier is an error")

-- nobody stands still for a stream that could go on
local ends = wide.count:with { stream = true }(10^9)
ends:next()
ok(rota.get(wide:total(), 20) > 0, "other calls of an actor go on beside one that always has room")
ends:close()
local one = rota.task(function(count, path)
	local s = count(path)
	rota.get(s:next())
	io.open(path, "w"):close()
	local n = 0
	for _, v in s:each() do n = n + 1 if v == "seen" then return true end end
	return false
end):with { cpus = 2 }
local busy = rota.task(function(path)
	local till = rota.now() + 20
	coroutine.yield "first"
	repeat coroutine.yield(io.open(path) and "seen" or "not yet") until rota.now() > till
end):with { stream = true, backlog = 2^31 }
ok(rota.get(one(busy, dir .. "/seen")), "a task that waits for its child's item gets it before the next one is made")

-- the store
local large = rota.task(function(n) for i = 1, n do coroutine.yield(("m"):rep(4 << 20)) end end):with { stream = true }
s = large(200)
s:next()
rota.sleep(0.3)
local used = 0
for _, o in ipairs(require "rota.core".list "objects") do used = used + o.size end
ok(used <= 44 << 20, "large items: an eighth of the store ahead", used)
local n = 0
for ref in s do n = n + #rota.get(ref) ref:free() end
is(n, 199 * (4 << 20), "and all of them come")

s, refs, n = large(90), {}, 0
for ref in s do refs[#refs + 1] = ref end
for i = 1, 90 do n = n + #rota.get(refs[i]) refs[i]:free() end
is(n, 90 * (4 << 20), "items that are kept, more than the store holds: some wait on the disk")

-- the process of the consumer dies
local orphan = rota.task(function(endless, flag, pid)
	local s = endless(flag)
	rota.get(s:next())
	local f <close> = io.open(pid, "w")
	f:write(tostring(io.open("/proc/self/stat"):read "n"))
	f:close()
	rota.sleep(60)
end):with { retries = 0, cpus = 2 }
r = orphan(endless, flag, dir .. "/pid")
local other = endless(flag)
repeat rota.sleep(0.01) until io.open(dir .. "/pid")
other:close()
gone(flag)
os.execute("kill -9 " .. io.open(dir .. "/pid"):read "n")
is(select(2, rota.pget(r, 20)).code, "crashed", "a consumer is killed")
is(rota.get(rota.task(function() return 1 end):with { cpus = 2 }(), 20), 1, "its producer is not there any more: all CPUs are free")

local maps = count:map { 2, 3 }
ok(#maps == 2 and #list(maps[2]) == 3 and #list(maps[1]) == 2, "task:map gives streams")
raises("has no one result", "rota.map does not", rota.map, count, { 1 })
raises("does not stream", "nor with the option", rota.map, function() end, { 1 }, { stream = true })
raises("do not go together", "nor does task:map in chunks", count.map, count, { 1, 2 }, { chunk = 2 })
raises("no 'returns'", "several returns", function() count:with { returns = 2 } end)
raises("goes with stream", "backlog without a stream", function() rota.task(print):with { backlog = 2 } end)
T.done()
