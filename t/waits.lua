-- waits.lua - rota.wait takes all that can be waited for, together: references, handles, streams, groups, sets, futures
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 6, store = "64M" }
local Act = rota.actor {
	add = function(self, x) return x + 1 end,
	slow = function(self, x) rota.sleep(x) return x end,
	wait = function(self, x) return rota.get(x) end,
	bad = function(self, x) error "bad" end,
	die = function(self) os.exit(3) end,
}
local gen = rota.task(function(n) for i = 1, n do coroutine.yield(i) end end):with { stream = true }
local a, b = Act(), Act()
local g = rota.dag(function(x) return b:add(a:add(x)) end):compile()

-- one of each, alone and together
local function each()
	return { rota.put(1), Act(), gen(2), rota.group { { cpus = 1 } }, rota.set(Act, { n = 2 }), g(1) }
end
for i, x in ipairs(each()) do
	local ready, rest = rota.wait(x, 20)
	ok(#ready == 1 and rawequal(ready[1], x) and #rest == 0, "alone: " .. tostring(x), #ready, #rest)
end
local all = each()
local ready, rest = rota.wait(all, { n = "all", timeout = 20 })
local seen = {}
for _, x in ipairs(ready) do seen[x] = true end
local every = true
for _, x in ipairs(all) do every = every and seen[x] end
ok(#ready == 6 and every and #rest == 0, "all of them together", #ready, #rest)
all[4]:remove()
all[5]:kill()

-- futures
local fs = {}
for i = 1, 1000 do fs[i] = g(i) end
ready, rest = rota.wait(fs, { n = 300, timeout = 20 })
is({ #ready, #rest }, { 300, 700 }, "1,000 executions, more than may be under way: the first 300")
local n = #ready
while #rest > 0 do ready, rest = rota.wait(rest) n = n + #ready end
is(n, 1000, "and the others")
local sum = 0
for i, v in rota.each { g(1), rota.put(10), g(3) } do sum = sum * 1 + i * v end
is(sum, 3 + 20 + 15, "each takes futures and references")

-- get and pget take them where they take references
is({ rota.pget(g(5)) }, { 7 }, "pget of a future")
local pair = rota.dag(function(x) return a:add(x), b:add(x) end):compile()
is({ rota.get(pair(1)) }, { 2, 2 }, "get: all its values")
is(rota.get { x = g(1), y = rota.put(4), 9, pair(6) }, { x = 3, y = 4, 9, 7, n = 2 }, "get of a table: of each the first value")
local wrong = rota.dag(function(x) return b:bad(x) end):compile()
local v, e = rota.pget(wrong(1))
ok(v == nil and e:match "bad" and e.code == "error", "pget of one that fails", v, e)
local vs, es = rota.pget { g(1), wrong(1), rota.put(3), k = wrong(2) }
is({ vs[1], vs[2] == nil, vs[3], vs.k == nil, vs.n, es[2].code, es.k.code, es[1] == nil }, { 3, true, 3, true, 3, "error", "error", true },
    "pget of a table: values and errors by their keys")
is({ rota.pget { g(1), g(2) } }, { { 3, 4, n = 2 } }, "no error: no table of them")
raises("bad", "get of a table raises the first", rota.get, { g(1), wrong(1) })
is({ rota.get({ g(1), wrong(1) }, { errors = "return" })[1] }, { 3 }, "errors=return")
wrong:close()

local s = rota.dag(function(x) return a:slow(x) end):compile()
v, e = rota.pget(s(0.2), 0.01)
ok(v == nil and e.code == "timeout", "pget: time is up", v, e)
vs, es = rota.pget({ s(0.2), rota.put(1) }, 0.01)
ok(vs[2] == 1 and es[1].code == "timeout", "in a table", es and es[1])
local f = s(0.2)
local t0 = rota.now()
ready, rest = rota.wait({ f }, 0.02)
ok(#ready == 0 and #rest == 1 and rota.now() - t0 < 0.15, "time is up", rota.now() - t0)
is(#rota.wait({ f }, { timeout = 0 }), 0, "a look")
local r = rota.task(function() return 7 end)()
is(rota.wait({ f, r })[1], r, "what is ready first: the reference")
is(rota.wait(rest, { timeout = 20 })[1], f, "then the future")
is(f:get(), 0.2, "with its value")
local late = rota.task(function() rota.sleep(0.3) end)()
is(rota.wait({ late, s(0.01) }, { timeout = 20 })[1] ~= late, true, "or the future first")

-- two graphs, several outputs, errors
local two = rota.dag(function(x) local p = a:add(x) return p, b:bad(x), b:add(p) end):compile()
e = two(1)
is(rota.wait({ s(0.01), e }, { n = "all", timeout = 20 })[2] ~= nil, true, "two graphs")
has(select(2, pcall(e.get, e)), "bad", "an execution that failed is ready too")

-- in a task, and whoever dies
is(rota.get(rota.task(function(a, b)
	local g = rota.dag(function(x) return b:add(a:add(x)) end):compile()
	local r, f = rota.task(function() return 1 end)(), g(1)
	return #rota.wait({ f, r }, { n = "all", timeout = 20 })
end)(a, b), 30), 2, "in a task")
local c = Act()
local d = rota.dag(function(x) return c:slow(x) end):compile()
f = d(0)
is(#rota.wait({ f }, 20), 1, "a graph over an actor")
f = d(30)
c:die()
rota.kill(c)
is(#rota.wait({ f, late }, { n = 2, timeout = 20 }), 2, "that dies: what was under way is ready")
is(select(2, pcall(f.get, f)).code, "actor_died", "with its error")

-- sets: how many members are up
local set = rota.set(Act:with { cpus = 1 }, { n = "1:2" })
is(rota.get(set:ready(), 20), true, "a set is alive")
is(rota.get(set:ready(2), 20), true, "two of it are up")
r = set:ready(3)
is(#rota.wait({ r }, 0.02), 0, "three are not")
set:resize(3)
is(rota.wait({ r }, 20)[1], r, "resized: three are")
r = set:ready(9)
set:kill()
has(select(2, rota.pget(r, 20)), "the set is dead: it was killed", "nine never will be")
has(select(2, rota.pget(set:ready(), 20)), "the set is dead", "asked later")
raises("a number of members", "what is no number", set.ready, set, 0)

-- what is refused
raises("expected", "what cannot be waited for", rota.wait, { 5 })
g:close()
T.done()
