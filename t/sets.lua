-- sets.lua - rota.set: members made, calls spread, deaths replaced, resizing, draining, gangs, bad constructors, names, travelling
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 4, store = "64M" }

local function until_(s, f)			-- waits until f(info) of a set holds
	for info in s:watch() do if f(info) then return info end end
	return s:info()
end
local C = rota.actor {
	new = function(self, k) self.k, self.n = k or 0, 0 end,
	add = function(self, x) self.n = self.n + 1 return x + self.k, rota.context().rank end,
	pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	nap = function(self, s) rota.sleep(s) return "slept" end,
}

local s = rota.set(C, { n = 3 }, 10)
is(s:wait(20), true, "a set is alive")
is(#s, 3, "all its members are up")
local refs, by = {}, {}
for i = 1, 30 do refs[i] = s:add(i) end
for i = 1, 30 do
	local v, rank = rota.get(refs[i], 20)
	if v ~= i + 10 then ok(false, "call " .. i, v) end
	by[rank] = (by[rank] or 0) + 1
end
ok(by[0] and by[1] and by[2], "calls go to all members, who know their ranks", by[0], by[1], by[2])
is(s:map("add", { 1, 2, 3 })[3], 13, "map")
is(#rota.get(s:all("pid")), 3, "all")
raises("no method 'sub'", "a method that it lacks", function() s:sub(1) end)
raises("call it with a colon", "without the colon", function() s.add(1) end)

-- a member is killed: the same actor is made again
local pid = rota.get(s:pid())
os.execute("kill -9 " .. pid)
until_(s, function(i) return i.up < 3 end)
is(until_(s, function(i) return i.up == 3 end).up, 3, "a killed member is made again")
local alive = true
for _, p in ipairs(rota.get(s:all("pid"))) do alive = alive and p ~= pid end
ok(alive, "as another process")
-- an actor of it is ended for good: another one takes its rank
local before = s:info().members[2].actor
rota.kill(before)
local info = until_(s, function(i) return i.up == 3 and i.members[2].actor ~= before end)
ok(info.members[2].rank == 1 and info.members[2].actor ~= before, "a member that was ended is replaced in its rank")

-- resizing
s:resize(5)
is(until_(s, function(i) return i.up == 5 end).members[5].rank, 4, "resized: more")
local long = {}
for i = 1, 5 do long[i] = s:nap(0.2) end
s:resize "1:2"
info = until_(s, function(i) return #i.members == 2 end)
is({ info.min, info.max, info.state }, { 1, 2, "alive" }, "resized: fewer")
is(rota.get(long, 20)[5], "slept", "those that go finish their calls first")
raises("number of members", "a size that is none", s.resize, s, "many")

-- it travels
local other = rota.task(function(s) return (rota.get(s:add(1))) end)
is(rota.get(other(s), 20), 11, "a set travels")
s:stop()
is(s:join(20), true, "stopped, it ends")
is(s:info().state, "dead", "its state")
raises("the set is dead: it was stopped", "calls of a dead set", function() s:add(1) end)

-- a gang
local g = rota.set(C:with { cpus = 1 }, { n = 3, gang = true, strategy = "strict_pack" }, 1)
is(g:wait(20), true, "a gang")
is(core.list "groups"[1].cpus, 3, "is placed as one")
local first = rota.get(g:all("pid"))
os.execute("kill -9 " .. first[2])
info = until_(g, function(i) return i.generation == 2 and i.up == 3 end)
is(info.generation, 2, "one of it dies: the next generation")
local new = rota.get(g:all("pid"))
ok(new[1] ~= first[1] and new[3] ~= first[3], "of which all are new")
raises("a gang keeps its size", "a gang is not resized", g.resize, g, 2)
local late = rota.set(C:with { cpus = 1 }, { n = 2, gang = true })
is(late:wait(0.05), nil, "a second gang has no room")
g:kill()
is(g:join(20), true, "killed")
is(late:wait(20), true, "then it has")
late:kill()
late:join(20)

-- what can never be
local bad = rota.set(rota.actor { new = function() error "no such model" end }, { n = 2 })
local _, err = bad:wait(20)
has(err, "no such model", "a constructor that fails")
raises("needs 64 cpus", "members that no node can hold", rota.set, C:with { cpus = 64 }, { n = 1 })
_, err = rota.set(C:with { cpus = 3 }, { n = 2, gang = true }):wait(20)
has(err, "cannot hold", "a gang that no node can hold")
raises("as '2:8'", "sizes that are none", rota.set, C, { n = "8:2" })
raises("one number of members", "a gang of some size", rota.set, C, { n = "1:2", gang = true })
raises("no option 'min'", "an unknown option", rota.set, C, { min = 2 })

-- names
local named = rota.set(C, { n = 1, name = "adders" }, 5)
is(rota.get(rota.set "adders":add(1), 20), 6, "found by name")
raises("a set 'adders' exists", "names are taken once", rota.set, C, { name = "adders" })
_, err = rota.set "none"
has(err, "no set 'none'", "not found")
named:kill()
named:join(20)
_, err = rota.set "adders"
has(err, "no set 'adders'", "the name is free again")
do
	local scoped <close> = rota.set(C, { n = 1 })
	is(scoped:wait(20), true, "in a scope")
	late = scoped
end
is(late:join(20), true, "<close> stops it")
local till = rota.now() + 10
local function left()
	local n = 0
	for _, a in ipairs(core.list "actors") do n = n + (a.state ~= "dead" and 1 or 0) end
	return n
end
while left() > 0 and rota.now() < till do rota.sleep(0.01) end
is(left(), 0, "no actor is left")
T.done()
