-- homes.lua - actors whose node vanishes are made again on another one, once (t/abroad_actor.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
io.stdout:setvbuf "line"
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
rota.init { address = "local" }

local Counter = rota.actor {
	new = function(self, n) self.n = n end,
	add = function(self, k) self.n = self.n + k return self.n end,
	node = function() return tonumber(os.getenv "ROTA_WORKER":match "^%d+") end,
	make = function(self, C) self.c = C(7) return self.c end,
	ask = function(self, c) return rota.get(c:add(1)) end,
}
local b					-- the process of the one that vanishes
for _, n in ipairs(rota.nodes()) do if n.name == "b" then b = n.pid end end
local tape = Counter:with { resources = { tape = 4 }, restarts = 1 }	-- of b, which has 8, and c, which has 16
local dear = Counter:with { resources = { disk = 2 } }			-- of both, which have 4 each
local fixed = Counter:with { resources = { pin = 1 } }(0)		-- of c alone
local filler = Counter:with { resources = { pin = 1, tape = 8 } }(0)
rota.get(filler:add(0))
-- two of them will be on b, others on c
local lasting, mortal = {}, {}
for i = 1, 4 do lasting[i] = tape(i) mortal[i] = dear(i) end
local at, there = {}, 0
for i = 1, 4 do
	at[i] = rota.get(lasting[i]:node())
	there = there + (at[i] == b and 1 or 0)
	at[-i] = rota.get(mortal[i]:node())
end
is(there, 2, "they live on two nodes")
is(rota.get(fixed:ask(lasting[1])), 2, "one of a node calls one of another")
-- an actor's actor: made by one there, kept here
local made = rota.get(lasting[1]:make(Counter:with { cpus = 0.1 }))
is(rota.get(made:add(1)), 8, "an actor that an actor made")
for i = 1, 4 do is(rota.get(fixed:ask(mortal[i])), i + 1, "a call from there") end
-- calls under way, when it dies
local refs = {}
for i = 1, 4 do refs[i] = lasting[i]:add(0) end
rota.get(refs)
io.open(os.getenv "DIE", "w"):close()
io.open(os.getenv "DEAD"):read "a"
rota.kill(filler)				-- there is room now
for i = 1, 4 do
	local v, e
	for _ = 1, 20 do
		v, e = rota.pget(lasting[i]:add(1))
		if v then break end
	end
	is(v, at[i] == b and i + 1 or i + (i == 1 and 2 or 1), "made again where it was lost, as it was else", e)
	ok(rota.get(lasting[i]:node()) ~= b, "and not there")
	is(rota.get(fixed:ask(lasting[i])), v + 1, "another node finds it, too")
	v, e = rota.pget(mortal[i]:add(1))
	if at[-i] == b then
		ok(e and e.code == "actor_died" and e:find("dead", 1, true), "one without restarts is dead, and it is said why", v, e)
		v, e = rota.pget(fixed:ask(mortal[i]))
		ok(e and tostring(e):find("dead", 1, true), "so it is for others", v, e)
	else
		is(v, i + 2, "one that lives elsewhere lives")
	end
end
T.done()
