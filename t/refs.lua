-- refs.lua - dependencies: refs as arguments, in tables, in puts and results, kept in actors; pending, ready, failed, large; 10,000 of them
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 2, store = "256M" }

local inc = rota.task(function(x) return x + 1 end)
local slow = rota.task(function(x, s) rota.sleep(s or 0.02) return x end)
local len = rota.task(function(...) local n = 0 for i = 1, select("#", ...) do n = n + #(select(i, ...)) end return n end)
local boom = rota.task(function() error("boom", 0) end):with { name = "boom" }
local sum = rota.task(function(...) local n = 0 for i = 1, select("#", ...) do n = n + select(i, ...) end return n end)

-- at top level a ref becomes its value
is(rota.get(inc(inc(1))), 3, "a ref of a call")
is(rota.get(inc(slow(1))), 2, "one that is pending")
local r = inc(1)
rota.get(r)
is(rota.get(inc(r)), 3, "one that is ready")
is(rota.get(inc(rota.put(4))), 5, "one of a put")
is(rota.get(sum(inc(1), 2, slow(3), rota.put(4), 5)), 16, "among plain values, in their places")
is(rota.get(rota.task(function(a, b) return b, a end)(rota.put(1, 2, 3), 7)), 7, "of an object of several values the first")
is({ rota.get(rota.task(function(...) return select("#", ...), ... end)(rota.put(), rota.put(nil), 1)) }, { 3, nil, nil, 1 }, "an empty object is nil")
local x = 0
for i = 1, 2000 do x = inc(x) end
is(rota.get(x), 2000, "a chain of 2,000")
x = slow(0)
local chain = x
for i = 1, 500 do chain = inc(chain) end
is(rota.get(chain), 500, "a chain whose first link is late")
local fan = {}
for i = 1, 300 do fan[i] = inc(x) end
is(rota.get(sum(table.unpack(fan))), 300, "many on one, one on many")
is(rota.get(sum(r, r, r)), 6, "the same ref thrice")

-- sizes
for _, n in ipairs { 0, 31, 32, 33, 1023, 1024, 1025, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20 } do
	local s = ("x"):rep(n)
	local put, made = rota.put(s), rota.task(function(k) return ("x"):rep(k) end)(n)
	ok(rota.get(len(put)) == n and rota.get(len(made)) == n and rota.get(len(put, s, made)) == 3 * n, "string of " .. n .. " bytes as an argument")
	local late = slow(s)
	ok(rota.get(len(late, late, s)) == 3 * n, "string of " .. n .. " bytes from a task that is not ready")
	local t = rota.put { s, { s } }
	ok(rota.get(rota.task(function(v) return #v[1] + #v[2][1] end)(t)) == 2 * n, "in a table")
end
local parts = {}
for i = 1, 200 do parts[i] = slow(("y"):rep(700)) end
is(rota.get(len(table.unpack(parts))), 140000, "pending arguments that together need the arena")
parts = nil

-- 10,000
local refs = {}
for i = 1, 10000 do refs[i] = inc(i) end
is(rota.get(sum(table.unpack(refs))), 50015000, "10,000 refs of calls as arguments")
for i = 1, 10000 do refs[i] = rota.put(i) end
is(rota.get(sum(table.unpack(refs))), 50005000, "10,000 refs of puts as arguments")
is(rota.get(rota.task(function(t) local n = 0 for _, v in ipairs(rota.get(t)) do n = n + v end return n end)(refs)), 50005000,
	"10,000 refs in a table, got inside")
local box = rota.put(refs)
is(#rota.get(box), 10000, "an object that holds 10,000 refs")
local inner = rota.get(box)
refs = nil
collectgarbage()
is(rota.get(inner[10000]), 10000, "they live in it")
box, inner = nil, nil
collectgarbage()

-- failures pass through
local v, err = rota.pget(inc(boom()))
ok(err and err.message == "boom" and err.task == "boom", "an argument that failed is the outcome", err)
v, err = rota.pget(sum(1, slow(2), boom(), slow(3)))
ok(err and err.message == "boom", "also among pending ones", err)
local f = boom()
rota.pget(f)
v, err = rota.pget(inc(f))
ok(err and err.message == "boom", "one that had failed before the call", err)
x = boom()
for i = 1, 100 do x = inc(x) end
v, err = rota.pget(x)
ok(err and err.message == "boom" and err.task == "boom", "at the end of a chain, still told of the first", err)
v, err = rota.pget(inc(rota.task(function() error(("e"):rep(20000), 0) end)()))
ok(err and #err.message > 1000 or err.message:find "cannot travel", "a long message", err and #err.message)
v, err = rota.pget(rota.task(function(t) return rota.get(t[1]) end) { boom() })
ok(err and err.message == "boom", "got inside a task, its failure fails the task", err)
local kids = { rota.task(function(a) return a, a end):with { returns = 2 }(boom()) }
for i = 1, 2 do has(select(2, rota.pget(kids[i])), "boom", "a task with two returns, ref " .. i) end

-- in tables refs stay refs
local kind = rota.task(function(t) return rota.get(t.r) + rota.get(t.list[2]), tostring(t.r):match "^ref" end)
is({ rota.get(kind { r = slow(5), list = { inc(1), inc(2) } }) }, { 8, "ref" }, "refs in tables stay refs, and can be got there")
local pass = rota.task(function(t) return t end)
local back = rota.get(pass { slow(1), r })
is(rota.get(back), { 1, 2, n = 2 }, "our own refs come back as themselves")
ok(back[2] == r or tostring(back[2]) == tostring(r), "with the same name")

-- refs in results: of a put there, of a nested task, of a pending one
local made = rota.task(function(n) return rota.put(("z"):rep(n)), { deep = rota.put { 1, 2 } }, inc(41) end)
for _, n in ipairs { 1, 5000, 200000 } do
	local a, b, c = rota.get(made(n))
	is(#rota.get(a), n, "a ref in a result: put of " .. n)
	is(rota.get(b.deep), { 1, 2 }, "deep in a table")
	is(rota.get(c), 42, "of a nested task")
end
local pend = rota.get(rota.task(function() return { slow(7, 0.1) } end)())
is(rota.get(pend[1]), 7, "a ref in a result that is still pending")
is(rota.get(inc(rota.get(rota.task(function() return { slow(7, 0.1) } end)())[1])), 8, "and passed on as an argument")
local list = {}
for i = 1, 50 do list[i] = rota.task(function(k) return { rota.put(("q"):rep(k * 100)) } end)(i) end
local all = rota.get(list)
list = nil
collectgarbage()
local good = true
for i = 1, 50 do good = good and #rota.get(all[i][1]) == i * 100 end
ok(good, "objects of 50 tasks outlive their tasks")
all = nil
-- a ref that goes through three hands
local hand = rota.task(function(t) return t end)
local t = { rota.put(("h"):rep(9000)) }
local through = rota.get(hand { rota.get(hand(t))[1] })
t = nil
collectgarbage()
is(#rota.get(through[1]), 9000, "through several hands")
local made2 = rota.task(function() return rota.get(hand { rota.put(("i"):rep(9000)) }) end)
is(#rota.get(rota.get(made2())[1]), 9000, "made inside, handed to a nested task and back, then to us")

-- refs in puts
local hold = rota.put { a = inc(1), b = rota.put(("p"):rep(50000)) }
collectgarbage()
local h = rota.get(hold)
hold = nil
collectgarbage()
ok(rota.get(h.a) == 2 and #rota.get(h.b) == 50000, "refs in a put keep their objects")
local nest = rota.put("core")
for i = 1, 50 do nest = rota.put { nest } collectgarbage() end
for i = 1, 50 do nest = rota.get(nest)[1] end
is(rota.get(nest), "core", "50 puts deep")

-- refs kept in an actor
local Keeper = rota.actor {
	keep = function(self, k, t) self[k] = t[1] end,
	get = function(self, k) return rota.get(self[k]) end,
	give = function(self, k) local x = self[k] self[k] = nil collectgarbage() return { x } end,
	make = function(self, k, v) self[k] = rota.put(v) return { self[k] } end,
	size = function(self, t) return #rota.get(t[1]) end,
}
local k = Keeper()
for _, n in ipairs { 10, 3000, 100000 } do
	rota.get(k:keep("x", { rota.put(("k"):rep(n)) }))
	collectgarbage()
	is(#rota.get(k:get "x"), n, "a ref kept in an actor after the call: " .. n)
	local g = rota.get(k:give "x")
	is(#rota.get(g[1]), n, "and given back: " .. n)
end
rota.get(k:keep("late", { slow("late", 0.05) }))
collectgarbage()
is(rota.get(k:get "late"), "late", "one that was pending")
local m = rota.get(k:make("m", ("m"):rep(70000)))
is(#rota.get(m[1]), 70000, "an actor's own object")
local k2 = Keeper()
is(rota.get(k2:size { m[1] }), 70000, "lent to another actor")
rota.get(k2:keep("m", { m[1] }))
m = nil
rota.get(k:keep("m", { rota.put(1) }))
collectgarbage()
is(#rota.get(k2:get "m"), 70000, "which keeps it when its owner and we let go")
-- many refs kept by one call
local many = {}
for i = 1, 1000 do many[i] = rota.put("v" .. i) end
local K = rota.actor { keep = function(self, t) self.t = t end, at = function(self, i) return rota.get(self.t[i]) end,
	odd = function(self, s) return s end }
local kk = K()
rota.get(kk:keep(many))
many = nil
collectgarbage()
ok(rota.get(kk:at(1)) == "v1" and rota.get(kk:at(64)) == "v64" and rota.get(kk:at(65)) == "v65" and rota.get(kk:at(1000)) == "v1000",
	"1,000 refs kept by one call")
-- a long result beside refs that are kept
local Both = rota.actor { keep = function(self, t, n) self.t = t return ("b"):rep(n) end, at = function(self, i) return rota.get(self.t[i]) end }
local both = Both()
for _, n in ipairs { 0, 30, 40, 1000, 3100, 3500, 4000, 4080, 4090, 5000 } do
	local t = {}
	for i = 1, 60 do t[i] = rota.put(n + i) end
	local s = rota.get(both:keep(t, n))
	t = nil
	collectgarbage()
	ok(#s == n and rota.get(both:at(1)) == n + 1 and rota.get(both:at(60)) == n + 60, "60 refs kept beside a result of " .. n)
end
-- owner gone
local o = Keeper()
local own = rota.get(o:make("x", "tiny"))
local ownbig = rota.get(o:make("y", ("Y"):rep(100000)))
rota.kill(o)
raises("", "the actor is dead", rota.get, o:get "x")
v, err = rota.pget(own[1])
ok(err and err.code == "lost", "an object whose owner died is lost", err)
has(err, "owner", "and it says why")
v, err = rota.pget(inc(own[1]))
ok(err and err.code == "lost", "as an argument too", err)
T.done()
