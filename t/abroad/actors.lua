-- actors.lua - actors of a driver whose node cannot have them: another node does (t/abroad_actor.t)
io.stdout:setvbuf "line"
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has = T.ok, T.is, T.has
rota.init { address = "local" }
local here = rota.nodes()[1].pid

local Counter = rota.actor {
	new = function(self, n) self.n = n end,
	add = function(self, k) self.n = self.n + k return self.n end,
	where = function() return tonumber(os.getenv "ROTA_WORKER":match "^%d+") end,
	pid = function() return tonumber(io.open "/proc/self/stat":read "n") end,
	fail = function() error "no" end,
}
local c = Counter:with { resources = { disk = 1 } } (10)
is(rota.get(c:add(1)), 11, "a call")
ok(rota.get(c:where()) ~= here, "it lives on the other node")
local refs, wrong = {}, 0
for i = 1, 3000 do refs[i] = c:add(1) end
for i = 1, 3000 do if rota.get(refs[i]) ~= 11 + i then wrong = wrong + 1 end end
is(wrong, 0, "3,000 calls, in order")
local v, e = rota.pget(c:fail())
ok(e and e.code == "error" and e:find("no", 1, true), "an error comes back", v, e)

-- a task of another node has the handle
local use = rota.task(function(a) return rota.get(a:add(5)) end):with { cpus = 1 }
is(rota.get(use(c)), 3016, "a task there calls it")
is(rota.get(c:add(0)), 3016, "it is the same")

-- by name
local named = Counter:with { name = "hits", resources = { disk = 1 } } (0)
is(rota.get(named:add(2)), 2, "a named one")
local f = rota.find "hits"
is(rota.get(f:add(3)), 5, "found by name")
is(rota.get(rota.task(function() return rota.get(rota.find "hits":add(4)) end):with { cpus = 1 }()), 9, "found by a task there")

-- it dies, and is made again there
local r = Counter:with { resources = { disk = 0.1 }, restarts = 1 } (1)
is(rota.get(r:add(1)), 2, "another one")
local pid = rota.get(r:pid())
os.execute("kill -9 " .. pid)
for _ = 1, 3 do
	v, e = rota.pget(r:add(1))
	if v then break end
end
is(v, 2, "it began anew", e)
os.execute("kill -9 " .. rota.get(r:pid()))
for _ = 1, 10 do
	v, e = rota.pget(r:add(1))
	if not v then break end
end
ok(e and e.code == "actor_died" and e:find("SIGKILL", 1, true), "no restarts are left", v, e)
rota.kill(c)
v, e = rota.pget(c:add(1))
ok(e and e.code == "actor_died", "killed", v, e)
rota.stop(named)
T.done()
