-- values.lua - put and get of all kinds of values and sizes; buffers; the collector is told of shared memory; a full arena waits, then says what holds it
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 2, store = "64M" }
local id = rota.task(function(...) return ... end)

-- kinds
local shared = { 1 }
local cyc = {} cyc.me = cyc
local kinds = {
	true, false, 0, 1, -1, 127, 128, 255, 256, 65535, 65536, 1 << 31, 1 << 32, math.maxinteger, math.mininteger, 0.0, -0.0, 1.5, 3.0,
	1 / 0, -1 / 0, 0 / 0, "", "x", "\0\255\0", {}, { 1, 2, 3 }, { 1, nil, 3 }, { a = 1 }, { [1.5] = 1, [true] = 2, [-1] = 3 },
	{ { { {} } } }, { 1, 2, x = { y = { z = "deep" } } }, table.pack(nil, nil, 3),
}
for i, v in ipairs(kinds) do
	ok(T.same(rota.get(rota.put(v)), v), "put and get " .. i .. " " .. tostring(v))
	ok(T.same(rota.get(id(v)), v), "through a task")
	ok(T.same(rota.get(id { v })[1], v), "in a table")
end
ok(rota.get(rota.put(rota.null)) == rota.null and rota.get(id(rota.null)) == rota.null, "null")
ok(math.type(rota.get(id(3.0))) == "float" and math.type(rota.get(id(3))) == "integer", "3 and 3.0 stay different")
is({ rota.get(rota.put(1, nil, "x")) }, { 1, nil, "x" }, "several values in one put")
ok(select("#", rota.get(rota.put())) == 0, "none")
ok(select("#", rota.get(rota.put(nil, nil))) == 2, "two nils")
local c = rota.get(id(cyc))
ok(c.me == c, "a cycle")
c = rota.get(id { shared, shared })
ok(c[1] == c[2], "sharing")
local a1, a2 = rota.get(id(shared, shared))
ok(a1 == a2, "sharing between values")
ok(rota.get(id(string.format))("%d", 3) == "3" and rota.get(id(math)) == math, "functions and tables of the library are themselves")
ok(rota.get(id(function(x) return x * 2 end))(4) == 8, "a function as a value")
local keys = {}
for i = 1, 2000 do keys["k" .. i] = i keys[i] = -i end
is(rota.get(id(keys)), keys, "a table of 4,000 keys")
local list = {}
for i = 1, 50000 do list[i] = i end
is(rota.get(id(list)), list, "a list of 50,000")
local Point = { dist = function(p) return math.sqrt(p.x ^ 2 + p.y ^ 2) end }
rota.class("point", Point)
local p = rota.get(id(setmetatable({ x = 3, y = 4 }, Point)))
ok(getmetatable(p) == Point and p.x == 3, "a class travels by its name")
is(rota.get(rota.task(function(q) return getmetatable(q).dist(q) end)(setmetatable({ x = 3, y = 4 }, Point))), 5.0, "and is known there")

-- sizes of strings, around every limit
for _, n in ipairs { 0, 1, 30, 31, 32, 33, 40, 41, 255, 256, 1023, 1024, 1025, 4090, 4095, 4096, 4097, 65534, 65535, 65536, 65537, 100 << 10, 1 << 20 } do
	local s = ("%08d"):format(n):rep(n // 8 + 1):sub(1, n)
	local same = function(v) return (type(v) == "string" and v or v:string()) == s end
	ok(same(rota.get(rota.put(s))) and same(rota.get(id(s))), "string of " .. n)
	local t = rota.get(id { s, { k = s }, s .. "x" })
	ok(same(t[1]) and same(t[2].k) and #t[3] == n + 1, "in tables")
	ok(same(rota.get(rota.task(function(k) return (("%08d"):format(k):rep(k // 8 + 1):sub(1, k)) end)(n))), "as a result")
	local b = rota.buffer(n)
	for i = 1, n, 997 do b[i] = i % 251 end
	local back = rota.get(rota.put(b))
	local good = #back == n
	for i = 1, n, 997 do good = good and back[i] == i % 251 end
	ok(good, "buffer of " .. n)
	ok(rota.get(rota.task(function(x) return #x, x[1], x[#x] end)(b)) == n, "as an argument")
end
for _, n in ipairs { 4 << 20, 20 << 20 } do
	local s = ("abcdefgh"):rep(n // 8)
	local v = rota.get(rota.put(s))
	ok(#v == n and (type(v) == "string" and v:sub(-8) or v:sub(n - 7, n):string()) == "abcdefgh", "string of " .. n)
	ok(type(rota.get(rota.put(s), { as = "string" })) == "string", "as a string if it is asked for") 
	is(rota.get(rota.task(function(x) return #x end)(s)), n, "as an argument")
	is(#rota.get(rota.task(function(k) return ("z"):rep(k) end)(n)), n, "as a result")
	v, s = nil, nil
	collectgarbage()
end
-- buffers
local b = rota.buffer(10)
b[1] = 7
local g = rota.get(rota.put(b))
is(g[1], 7.0, "a buffer comes back with its bytes")
raises("read-only", "and is read-only", function() g[1] = 8 end)
local mine = g:copy()
mine[1] = 9
ok(mine[1] == 9 and g[1] == 7, "its copy is ours")
g = rota.get(rota.put((function() local x = rota.buffer(1 << 20) for i = 1, 10 do x[i] = i end return x end)()))
local cut = g:sub(2, 4)
g = nil
collectgarbage()
ok(#cut == 3 and cut[1] == 2 and cut[3] == 4, "a slice keeps its object")
cut = nil
local bufs = {}
for i = 1, 70 do bufs[i] = rota.buffer(2000) bufs[i][1] = i end
bufs = rota.get(id(bufs))
ok(#bufs == 70 and bufs[70][1] == 70, "70 buffers in one value")
bufs = nil

-- the arena: garbage is collected before it is full
for i = 1, 3000 do rota.put(("x"):rep(100 << 10)) end
ok(true, "3,000 puts of 100 KiB into 64 MiB, dropped at once")
for i = 1, 3000 do local r = rota.put(("y"):rep(100 << 10)) local v = rota.get(r) end
ok(true, "put, got and dropped")
local make = rota.task(function(i) return ("z"):rep(100 << 10) end)
for i = 1, 1500 do if #rota.get(make(i)) ~= 100 << 10 then ok(false, "result " .. i) end end
ok(true, "results of 1,500 tasks of 100 KiB, dropped")
local eat = rota.task(function(s) return #s end)
for i = 1, 1500 do if rota.get(eat(("a"):rep(100 << 10))) ~= 100 << 10 then ok(false, "argument " .. i) end end
ok(true, "1,500 arguments of 100 KiB")
ok(rota.get(rota.task(function() for i = 1, 2000 do rota.put(("t"):rep(100 << 10)) end return true end)()), "2,000 puts inside a task")
local Holder = rota.actor { put = function(self) self.r = rota.put(("h"):rep(100 << 10)) return { self.r } end }
local h = Holder()
for i = 1, 1500 do local t = rota.get(h:put()) if i % 100 == 0 and #rota.get(t[1]) ~= 100 << 10 then ok(false, "of an actor " .. i) end end
ok(true, "1,500 objects of an actor, lent to us and dropped")
h = nil

-- really full, of what is looked at and so stays: it waits, with a limit, and then says what holds the memory
local keep, look, err = {}, {}, nil
local t0 = rota.now()
local late = rota.task(function() rota.sleep(0.5) return ("f"):rep(20 << 20) end)()
local last
for i = 1, 100 do
	last = rota.now()
	local good, e = pcall(rota.put, ("k"):rep(1 << 20))
	if not good then err = e break end
	keep[i], look[i] = e, rota.get(e)
end
ok(err and err.code == "full", "the store is full", err)
has(err, "store is full", "it says so")
has(err, "MiB", "and how much there is")
has(err, "made by process " .. io.open("/proc/self/stat"):read "n", "and what lies there")
ok(#keep >= 40, "most of it could be used", #keep)
ok(rota.now() - last > 5 and rota.now() - last < 30, "it waited, but not for ever", rota.now() - last)
local v, e = rota.pget(late, 30)
ok(e and e.code == "full", "a result that has no room fails its task", e)
raises("does not fit the store", "larger than the whole store", rota.put, ("h"):rep(100 << 20))
raises("'as' is 'string'", "another option for get", rota.get, rota.put(1), { as = "table" })
-- who waits goes on when room is made
local waiter = rota.task(function() return #("w"):rep(30 << 20), rota.put(("w"):rep(30 << 20)) end)
local w = waiter()
ok(rota.wait({ w }, { timeout = 0.3 })[1] == nil, "a creation waits")
for i = 1, #keep do keep[i], look[i] = nil end
collectgarbage()
is(rota.get(w, 10), 30 << 20, "and goes on when there is room")
w, late, h = nil, nil, nil
collectgarbage()
collectgarbage()
local core, t1, objects = require "rota.core", rota.now(), nil
repeat objects = core.list "objects" until #objects == 0 or rota.now() - t1 > 10
ok(#objects == 0, "in the end no object is left", #objects, objects[1])
T.done()
