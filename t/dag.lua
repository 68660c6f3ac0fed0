-- dag.lua - compiled graphs: shapes, values of all sizes, many executions at once, errors with their origin, deaths, what is refused
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 2, store = "256M" }

local A = rota.actor {
	new = function(self, k) self.k = k or 1 self.n = 0 end,
	add = function(self, x, y) return x + (y or self.k) end,
	mul = function(self, x, y) return x * (y or self.k) end,
	pair = function(self, x) return x, -x end,
	none = function(self) end,
	id = function(self, x) return x end,
	len = function(self, x) return #x end,
	big = function(self, n) return ("x"):rep(n) end,
	count = function(self) self.n = self.n + 1 return self.n end,
	bad = function(self, x) if x % 2 == 1 then error("odd " .. x, 0) end return x end,
	badobj = function(self, x) error { code = x } end,
	die = function(self, x) if x == 0 then os.exit(3) end return x end,
	slow = function(self, s) rota.sleep(s) return s end,
	thread = function(self) return coroutine.create(print) end,
	self = function(self, x) self.seen = x return x end,
	seen_ = function(self) return self.seen end,
}
local a, b, c = A(), A(10), A(100)

-- shapes
local one = rota.dag(function(x) return a:add(x) end):compile()
has(one, "compiled graph of 1 actors", "a graph shows what it is")
is(one(1):get(), 2, "one actor")
is(rota.get(one(41)), 42, "rota.get takes a future")
local f = one(1)
has(f, "not fetched", "a future shows what it is")
is({ f:get(), f:get() }, { 2, 2 }, "a value is read as often as wanted")
local two = rota.dag(function(x) return b:mul(a:add(x)) end):compile()
is(two(1):get(), 20, "two in a row")
local same = rota.dag(function(x) return a:add(a:add(a:add(x))) end):compile()
is(same(1):get(), 4, "the same actor three times")
local back = rota.dag(function(x) return a:add(b:mul(a:add(x))) end):compile()
is(back(1):get(), 21, "there and back")
local diamond = rota.dag(function(x) local p = a:add(x) return c:add(a:mul(p, 2), b:mul(p)) end):compile()
is(diamond(1):get(), 24, "branches that meet")
local many = rota.dag(function(x, y, z) return a:add(x, y), b:add(y, z), c:add(z, x), a:add(z, 0.5) end):compile()
is({ many(1, 2, 3):get() }, { 3, 5, 4, 3.5 }, "several inputs, several outputs")
is({ rota.dag(function(x) local p = a:add(x) return p, p, b:add(p) end):compile()(1):get() }, { 2, 2, 12 }, "one value several times")
is(rota.dag(function() return a:count() end):compile()():get(), 1, "no inputs")
is(rota.dag(function(x) return a:add(5, 6) end):compile()(1):get(), 11, "constants only")
is(rota.dag(function(x) return a:add(x, 7) end):compile()(1):get(), 8, "a constant among the arguments")
is(rota.dag(function(x) return a:len { x = 1, 2, 3 } end):compile()(1):get(), 2, "a table as a constant")
is({ rota.dag(function(x) return a:pair(x) end):compile()(3):get() }, { 3, -3 }, "all values of a method")
is(rota.dag(function(x) return b:add(a:pair(x)) end):compile()(3):get(), 13, "an argument is the first of them")
is(select("#", rota.dag(function(x) return a:none(x) end):compile()(1):get()), 0, "no value")
is(rota.dag(function(x) return b:id(a:none(x)) end):compile()(1):get(), nil, "nil as an argument")
is(rota.dag(function(x, y) return a:id(y) end):compile()(1):get(), nil, "an input that is left out")

-- values
local echo = rota.dag(function(x) return b:id(a:id(x)) end):compile()
for _, v in ipairs { 0.5, "text", true, { 1, { 2 }, k = "v" }, { {}, {} } } do is(echo(v):get(), v, "value " .. tostring(v)) end
for _, n in ipairs { 0, 1000, 1025, 60000, 70000, 1000000, 10000000 } do
	ok(echo(("y"):rep(n)):get() == ("y"):rep(n), "a string of " .. n)
end
local buf = rota.buffer(100000)
for i = 1, #buf do buf[i] = i end
local got = echo(buf):get()
ok(#got == 100000 and got[99999] == 99999, "a buffer")

-- several under way, fetched in any order
local fs, want, have = {}, {}, {}
for i = 1, 1000 do fs[i] = two(i) want[i] = (i + 1) * 10 end
for i = 1000, 1, -1 do have[i] = fs[i]:get() end
is(have, want, "1,000 executions, fetched backwards")
for i = 1, 100 do two(i) end
T.collect()
is(two(5):get(), 60, "futures that are forgotten")
local narrow = rota.dag(function(x) return b:mul(a:add(x)) end):compile { inflight = 1, bytes = 4096 }
local s = 0
for i = 1, 50 do fs[i] = narrow(i) end
for i = 1, 50 do s = s + fs[i]:get() end
is(s, 13250, "one under way at a time")
-- long messages in both directions and crosswise, through rings of 4 KiB, with many executions: nobody waits in a circle
local cross = rota.dag(function(n, text)
	local p, q = a:big(n), b:big(n)
	local r = a:id(q)
	local t = b:len(p)
	return r, t, b:id(text), a:len(r)
end):compile { bytes = 4096 }
for i = 1, 40 do fs[i] = cross(100000 + i, ("t"):rep(50000 + i)) end
local good = true
for i = 1, 40 do
	local r, t, u, n = fs[i]:get()
	good = good and #r == 100000 + i and t == 100000 + i and #u == 50000 + i and n == t
end
ok(good, "long messages crosswise")

-- two graphs over the same actors in opposite directions, rings of 4 KiB that fill up, and the program waits for something else
local there = rota.dag(function(n) return b:len(a:big(n)), a:big(n) end):compile { bytes = 4096 }
local hither = rota.dag(function(n) return a:len(b:big(n)), b:big(n) end):compile { bytes = 4096 }
local fs2 = {}
for i = 1, 16 do fs[i] = there(3000 + i) fs2[i] = hither(3000 + i) end
is({ rota.get(a:add(1), 60), rota.get(b:add(1), 60) }, { 2, 11 }, "calls get through while results of graphs lie there")
good = true
for i = 16, 1, -1 do
	local n, x = fs[i]:get(60)
	local m, y = fs2[i]:get(60)
	good = good and n == 3000 + i and #x == n and m == n and #y == n
end
ok(good, "two graphs in opposite directions")

-- between ordinary calls
is(rota.get(a:add(1)), 2, "an actor in graphs answers calls")
for i = 1, 20 do fs[i] = two(i) have[i] = a:count() end
local n0 = rota.get(have[1])
good = true
for i = 1, 20 do good = good and fs[i]:get() == (i + 1) * 10 and rota.get(have[i]) == n0 + i - 1 end
ok(good, "both at once")
rota.get(a:self("stays"))
is(rota.dag(function(x) return a:seen_() end):compile()(1):get(), "stays", "self is the actor's own")

-- errors
local odd = rota.dag(function(x) return c:add(b:add(a:bad(x))) end):compile()
for i = 1, 10 do fs[i] = odd(i) end
good = true
for i = 1, 10 do
	local okk, e = pcall(fs[i].get, fs[i])
	if i % 2 == 1 then good = good and not okk and e.message == "odd " .. i and e.task:find "bad" and e.node else good = good and okk and e == i + 110 end
end
ok(good, "an error in one execution, with its origin; the others go on")
local e = select(2, pcall(function() return rota.get(rota.dag(function(x) return b:id(a:badobj(x)) end):compile()(7)) end))
ok(e.value and e.value.code == 7, "an error object", e)
local e = select(2, pcall(function() return rota.dag(function(x) return b:id(a:add("x", x)) end):compile()(7):get() end))
has(e, "attempt to add", "an error of Lua")
has(e.traceback, "dag.lua", "with its traceback")
has(e.task, ":add", "and its method")
local th = rota.dag(function(x) return a:thread(x) end):compile()
has(select(2, pcall(function() return th(1):get() end)), "a coroutine cannot travel", "a result that cannot travel")
has(select(2, pcall(function() return th(1):get() end)), "a coroutine cannot travel", "again")
raises("a coroutine cannot travel", "an argument that cannot travel raises at the call", two, coroutine.create(print))
is(two(1):get(), 20, "and nothing was sent")
raises("more arguments", "too many arguments", two, 1, 2)

-- what is refused when the graph is made
raises("takes a function", "no function", rota.dag, a)
raises("fixed number", "no varargs", rota.dag, function(...) return a:add(...) end)
raises("arithmetic of a symbol", "arithmetic", rota.dag, function(x) return a:add(x + 1) end)
raises("a field of a symbol", "a field", rota.dag, function(x) return a:add(x.y) end)
raises("has no method 'ad'", "no such method", rota.dag, function(x) return a:ad(x) end)
raises("with a colon", "a point in place of a colon", rota.dag, function(x) return a.add(x) end)
raises("symbol inside a table", "a symbol in a table", rota.dag, function(x) return a:add { x } end)
raises("returns nothing", "nothing to give", rota.dag, function(x) a:add(x) end)
raises("only methods of actors", "a task", rota.dag, function(x) return rota.task(function(y) return y end)(x) end)
raises("not the result of a method", "an input as the result", rota.dag, function(x) return x end)
raises("boom", "an error in the function", rota.dag, function(x) error "boom" end)
is(rota.get(a:add(1)), 2, "calls are calls again after it")
raises("no option 'inflght'", "an unknown option", function() rota.dag(function(x) return a:add(x) end):compile { inflght = 2 } end)
raises("from 1 to", "no number", function() rota.dag(function(x) return a:add(x) end):compile { inflight = 0 } end)
local t = rota.task(function(g) return g(1) end)
raises("only the process that compiled it", "another process cannot use it", t, one)

-- a task compiles a graph of its own
is(rota.get(rota.task(function(p, q) local g = rota.dag(function(x) return q:mul(p:add(x)) end):compile() return g(4):get() end)(a, b)), 50, "a graph in a task")

-- close
local f = two(7)
two:close()
is(f:get(), 80, "a graph that is closed ends its executions first")
raises("was closed", "then it takes no more", two, 1)
two:close()
is(one(1):get(), 2, "others go on")
do
	local g <close> = rota.dag(function(x) return a:add(x) end):compile()
	is(g(1):get(), 2, "a graph in a block")
end
for i = 1, 100 do rota.dag(function(x) return b:mul(a:add(x)) end):compile() end
T.collect()
is(one(1):get(), 2, "100 graphs that were forgotten")

-- time
local late = rota.dag(function(x) return a:slow(x) end):compile()
local f = late(0.05)
local e = select(2, pcall(f.get, f, 0.001))
is(e.code, "timeout", "a time-out")
has(e, "has not answered yet; none of its actors is dead", "tells slow from dead")
is(f:get(), 0.05, "and the value afterwards")

-- deaths
local function dies(name, make, ...)
	local p, q, r = A(), A(), A()
	local g = rota.dag(make(p, q, r)):compile()
	is(g(1):get(), 1, name .. ": before")
	local t0 = rota.now()
	local y = g(0)
	local fine, z = pcall(g, 2)			-- the call itself may know already
	local e1 = select(2, pcall(y.get, y))
	ok(e1.code == "actor_died" and e1.message:find "called exit%(3%)" and e1.message:find "^actor", name .. ": who died, and how", e1)
	has(fine and select(2, pcall(z.get, z)) or z, e1.message, name .. ": later executions too")
	has(select(2, pcall(g, 1)), e1.message, name .. ": and calls")
	ok(rota.now() - t0 < 2, name .. ": at once", rota.now() - t0)
	local alive = 0
	for _, h in ipairs { p, q, r } do if rota.pget(h:add(1)) then alive = alive + 1 end end
	is(alive, 2, name .. ": the others live")
end
dies("the only one", function(p) return function(x) return p:die(x) end end)
dies("the first", function(p, q, r) return function(x) return r:id(q:id(p:die(x))) end end)
dies("one in the middle", function(p, q, r) return function(x) return r:id(q:die(p:id(x))) end end)
dies("the last", function(p, q, r) return function(x) return r:die(q:id(p:id(x))) end end)
local p, q = A(), A()
local g = rota.dag(function(x) return q:id(p:id(x)) end):compile()
is(g(1):get(), 1, "an actor is killed")
rota.kill(p)
local e
while not e do local okk, x = pcall(function() return g(1):get() end) if not okk then e = x end end
has(e, "was killed", "while nothing is under way")
local p = A:with { restarts = 1 }()
local g = rota.dag(function(x) return p:die(x) end):compile()
local f = g(0)
has(select(2, pcall(f.get, f)), "died", "an actor that is restarted")
local g = rota.dag(function(x) return p:die(x) end):compile()
is(g(5):get(), 5, "is compiled into a new graph")
T.done()
