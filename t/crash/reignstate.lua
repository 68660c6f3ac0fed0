-- reignstate.lua [SEED] - the daemon is killed again and again: actors, names, groups, sets and keys are there as after deaths of workers
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
local lasting = os.getenv "REIGN_LASTING"
rota.init(lasting and { namespace = "reign" } or { cpus = 4, store = "64M", namespace = "reign" })
local kv = rota.kv

local function daemon() return rota.nodes()[1].pid end
local Act = rota.actor {
	new = function(self, k) self.k, self.n = k, 0 end,
	get = function(self) return self.k end,
	add = function(self) self.n = self.n + 1 return self.n end,
	lives = function() return rota.context().incarnation end,
	hold = function(self, path, s)		-- tells that it has begun
		io.open(path, "w"):close()
		rota.sleep(s)
		return "held"
	end,
	rank = function() return rota.context().rank end,
}
local once = Act:with { cpus = 0, restarts = 0 } (1)
local again = Act:with { cpus = 0, restarts = -1 } (2)
local named = Act:with { cpus = 0, restarts = -1, name = "named" } (3)
local detached = Act:with { cpus = 0, restarts = -1, name = "detached", detached = true } (4)
local big = Act:with { cpus = 0, restarts = -1 } (("b"):rep(100000))	-- its argument is an object of ours
local two = Act:with { cpus = 0, restarts = 2 } (5)
T.is(table.concat(rota.get { once:get(), again:get(), named:get(), detached:get(), two:get() }, " "), "1 2 3 4 5", "actors")
local gone = Act:with { cpus = 0, restarts = -1, name = "gone" } (6)
rota.get(gone:get())
rota.kill(gone)

local g = rota.group({ { cpus = 1 }, { cpus = 1 } }, "pack", { name = "both" })
T.ok(g:wait(20), "a placement group")
local inside = Act:with { group = g, bundle = 2, cpus = 1, restarts = -1 } (7)
local there = rota.task(function(x) return rota.context().group and x end):with { group = g, bundle = 1, cpus = 1 }
T.is(table.concat(rota.get { inside:get(), there(8) }, " "), "7 8", "work in it")
local waits = rota.group { { cpus = 4 } }	-- no room for it beside the other one
local set = rota.set(Act:with { cpus = 0 }, { n = 3, name = "set" }, 9)
local gang = rota.set(Act:with { cpus = 0 }, { n = 2, gang = true }, 10)
T.ok(set:wait(20) and gang:wait(20), "sets")

local revisions = {}
for i = 1, 20 do revisions[i] = kv:put("k" .. i, "v" .. i) end
kv:put("mine", "process", { session = true })
kv:put("ours", "job", { session = "job" })
local victims = io.popen("echo $$; exec rlua " .. arg[0]:match "^(.*/)" .. "reignvictim.lua", "r")
local victim = victims:read "n"
victims:read "l"
T.is(victims:read "l", "made", "another program")

local flag = os.tmpname()
local rounds = C.rounds(5, 60)
for round = 1, rounds do
	os.remove(flag)
	local begun = again:hold(flag, 0.3)
	while not io.open(flag) do rota.sleep(0.005) end
	local queued = {}
	for i = 1, 20 do queued[i] = again:add() end
	local mine = named:add()
	if round % 2 == 0 then rota.sleep(math.random() * 0.02) end
	C.kill(daemon())
	local at = ("round %d: "):format(round)
	local v, e = rota.pget(begun, 30)
	T.ok(not v and e.code == "actor_died" and tostring(e):match "may have had its effect", at .. "a call that had begun fails, and says so", v, e)
	local bad = 0
	for i = 1, 20 do if rota.pget(queued[i], 30) ~= i then bad = bad + 1 end end
	T.ok(bad == 0, at .. "those that had not run, in their order", bad)
	rota.pget(mine, 30)
	T.is(rota.pget(again:lives(), 30), round + 1, at .. "the next incarnation")
	v, e = rota.pget(once:get(), 30)
	T.ok(not v and e.code == "actor_died", at .. "one without restarts is dead", v, e)
	v, e = rota.pget(two:get(), 30)
	T.ok(round <= 2 and v == 5 or round > 2 and not v and e.code == "actor_died", at .. "restarts are counted", v, e)
	T.is({ rota.pget(named:get(), 30), rota.pget(rota.find "named":get(), 30), rota.pget(rota.find "detached":get(), 30) }, { 3, 3, 4 }, at .. "names")
	T.is(#rota.get(big:get(), 30), 100000, at .. "an argument that is an object")
	T.ok(rota.find "gone" == nil, at .. "what was killed is gone")
	T.is({ rota.pget(inside:get(), 30), rota.pget(there(round), 30) }, { 7, round }, at .. "the group is reserved, with what ran in it")
	T.ok(g:state() == "created" and rota.group "both" and waits:state() == "pending", at .. "and others wait for its resources", g:state(), waits:state())
	T.ok(set:ready(3) and rota.pget(set:ready(3), 30) ~= nil and rota.pget(gang:ready(2), 30) ~= nil, at .. "the sets are whole")
	local ranks = rota.get(set:all "rank", 30)
	T.is(table.concat(ranks, " "), "0 1 2", at .. "ranks")
	T.is(rota.get(gang:rank(), 30) ~= nil, true, at .. "a gang answers")
	T.ok(rota.set "set", at .. "a set's name")
	bad = 0
	for i = 1, 20 do
		local value, rev = kv:get("k" .. i)
		if value ~= "v" .. i or rev ~= revisions[i] then bad = bad + 1 end
	end
	T.ok(bad == 0, at .. "keys with their revisions", bad)
	T.ok((kv:get "mine") == "process" and (kv:get "ours") == "job", at .. "keys of sessions that live", (kv:get "mine"), (kv:get "ours"))
	local k = math.random(20)
	local r = kv:put("k" .. k, "v" .. k)
	T.ok(r > math.max(table.unpack(revisions)), at .. "revisions go on", r)
	revisions[k] = r
end
os.remove(flag)

-- a program that dies with the daemon takes its keys along; what is detached outlives it
C.kill(victim)
C.kill(daemon())
victims:close()
local t0 = rota.now()
while kv:get "theirs" and rota.now() - t0 < 20 do rota.sleep(0.01) end
T.is((kv:get "theirs"), nil, "the keys of a program that died are gone")
T.is(rota.pget(rota.find "orphan":get(), 30), 11, "its detached actor is there")
C.kill(daemon())
T.is(rota.pget(rota.find "orphan":get(), 30), 11, "and once more")
T.ok(rota.find "child" == nil or not rota.pget(rota.find "child":get(), 30), "what was not detached is not")

-- nothing stays
set:stop() gang:stop()
g:remove() waits:remove()
for _, name in ipairs { "detached", "orphan" } do rota.kill(rota.find(name)) end
once, again, named, detached, big, two, gone, inside = nil, nil, nil, nil, nil, nil, nil, nil
C.quiet("at the end", 20)
T.is(#core.list "groups", 0, "no group is left")
T.done()
