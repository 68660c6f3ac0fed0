-- sets.lua - rota.set: members made, calls spread, deaths replaced, resizing, draining, gangs, bad constructors, names,
-- travelling, health checks, renewal
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
	count = function(self, n) for i = 1, n do coroutine.yield(i) end end,
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
local function replaced()
	local all = s:info().up == 3 and rota.pget(s:all("pid"), 20) or {}
	for _, p in pairs(all) do if p == pid then return false end end
	return #all == 3
end
local till = rota.now() + 20
repeat until replaced() or rota.now() > till
ok(replaced(), "a killed member is made again, as another process")
ok((s:info().why or ""):find("rank %d, worker " .. pid .. " killed by SIGKILL"), "and why tells of it", s:info().why)
-- an actor of it is ended for good: another one takes its rank
local before = s:info().members[2].actor
rota.kill(before)
local info = until_(s, function(i) return i.up == 3 and i.members[2].actor ~= before end)
ok(info.members[2].rank == 1 and info.members[2].actor ~= before, "a member that was ended is replaced in its rank")

-- resizing
local add = s.add
s:resize(5)
is(until_(s, function(i) return i.up == 5 end).members[5].rank, 4, "resized: more")
local long = {}
for i = 1, 5 do long[i] = s:nap(0.2) end
s:resize "1:2"
info = until_(s, function(i) return #i.members == 2 end)
is({ info.min, info.max, info.state }, { 1, 2, "alive" }, "resized: fewer")
is(rota.get(long, 20)[5], "slept", "those that go finish their calls first")
is(rota.get(add(s, 1), 20), 11, "a method that was looked up before goes to those that stay")
raises("number of members", "a size that is none", s.resize, s, "many")

-- the shortest queue is that of all callers: another process has called the first member
local busy = rota.set(C, { n = 2 })
busy:wait(20)
until_(busy, function(i) return i.up == 2 end)
local other = rota.task(function(s)
	local first, refs = s:info().members[1].actor, {}
	for i = 1, 5 do refs[i] = first:nap(0.3) end
	rota.get(s:info().members[2].actor:add(1))
	rota.kv:put("sets.busy", true)
	return #rota.get(refs)
end)
local r = other(busy)
while not rota.kv:get "sets.busy" do rota.sleep(0.005) end
rota.get(rota.wait { busy:info().members[1].actor }[1] and busy:info().members[2].actor:add(1), 20)
local ranks = { [0] = 0, 0 }
for i = 1, 4 do
	local _, rank = rota.get(busy:add(i), 20)
	ranks[rank] = ranks[rank] + 1
end
is(rota.get(r, 20), 5, "another process calls one member")
ok(ranks[0] <= 1, "ours go to the other one, but for the first, whose ring was not there yet", ranks[0], ranks[1])
busy:kill()

-- calls with options; one that streams counts until its last item
local _, late = rota.pget(s.nap:with { timeout = 0.1 }(60), 20)
is(late and late.code, "timeout", "a time limit for one call")
local items = s.count:with { stream = true, backlog = 1 }(5)
is(rota.get(items:next(20)), 1, "a member streams")
local others = {}
for i = 1, 12 do others[rota.get(s:pid(), 20)] = true end
local n = 0
for _ in pairs(others) do n = n + 1 end
is(n, #s - 1, "calls go to the others meanwhile")
n = 1
for _ in items:each() do n = n + 1 end
is(n, 5, "the rest of the stream")
raises("did you mean 'timeout'", "an unknown option", function() s.nap:with { tmeout = 1 } end)
raises("with a colon", "a point in place of a colon", function() s.nap(1) end)

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

-- health: by the worker's main thread, or by a method
local H = rota.actor {
	pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	spin = function(self, s) local t = os.clock() while os.clock() - t < s do end return "spun" end,
	stuck = function(self, s) os.execute("sleep " .. s) return "slept" end,
	nap = function(self, s) rota.sleep(s) return "napped" end,
	spoil = function(self, how) self.how = how return how end,
	ping = function(self)
		self.pings = (self.pings or 0) + 1
		if self.how == "raise" then error "a broken heart" end
		if self.how == "false" then return false end
		if self.how == "why" then return nil, "no pulse" end
	end,
	pings_ = function(self) return self.pings end,
}
local function ill(s, text)			-- a member was replaced, for that
	local i = until_(s, function(i) return i.why and i.why:find(text, 1, true) and i.up == 2 end)
	ok(i.up == 2 and i.why and i.why:find "rank %d, worker %d+", text, i.why)
end
local h = rota.set(H, { n = 2, health = "20ms", patience = "60s" })
is(h:wait(20), true, "members that are checked")
local busy = { h:spin(0.3), h:nap(0.3) }
is({ rota.get(busy[1], 60), rota.get(busy[2], 60) }, { "spun", "napped" }, "one that computes or waits is well")
is(h:info().why, nil, "and is left alone")
h:kill()
h = rota.set(H, { n = 2, health = "20ms", patience = "2s" })
h:wait(20)
pid = rota.get(h:pid(), 20)
os.execute("kill -STOP " .. pid)
ill(h, "did not answer its health check within 2 s: it is stopped by a signal")
local _, e = rota.pget(h:stuck(20), 40)
has(e, "did not answer its health check within 2 s: it runs 'stuck' since", "one that is stuck: its call says why")
ill(h, "it runs 'stuck' since")
h:kill()
h = rota.set(H, { n = 2, health = "10ms", patience = "20s", check = "ping" })
is(h:wait(20), true, "checked by a method")
repeat until (rota.get(h:pings_(), 20) or 0) > 3
for how, text in pairs { raise = "is not well: 'ping': ", ["false"] = "'ping': it returned false", why = "'ping': no pulse" } do
	rota.get(h:spoil(how), 20)
	ill(h, text)
end
h:kill()
raises("no method 'pong'", "a method that the class lacks", rota.set, H, { check = "pong" })
raises("'health' is a time", "no period", rota.set, H, { health = "often" })

-- renewal
for surge = 0, 1 do
	local r = rota.set(H, { n = 3, surge = surge })
	r:wait(20)
	until_(r, function(i) return i.up == 3 end)
	local had, least, most = {}, 3, 3
	for _, m in ipairs(r:info().members) do had[m.actor] = true end
	local calls = {}
	for i = 1, 6 do calls[i] = r:nap(0.05) end
	r:renew()
	info = until_(r, function(i)
		local old = 0
		least, most = math.min(least, i.up), math.max(most, #i.members)
		for _, m in ipairs(i.members) do old = old + (had[m.actor] and 1 or 0) end
		return old == 0 and i.up == 3
	end)
	ok(info.up == 3 and #info.members == 3, "renewed, surge " .. surge, info)
	ok(surge == 0 and most == 3 and least >= 2 or surge == 1 and least == 3 and most <= 4, "never fewer, or never more", least, most)
	is(#rota.get(calls, 20), 6, "and every call was answered")
	r:kill()
end
local gg = rota.set(H, { n = 2, gang = true })
gg:wait(20)
gg:renew()
is(until_(gg, function(i) return i.generation == 2 and i.up == 2 end).up, 2, "a gang is renewed as one")
gg:kill()

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
is(rota.get(named.add(rota.set "adders", 2), 20), 7, "which is the same set")
raises("call it with a colon", "not another one", function() named.add(s, 1) end)
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
till = rota.now() + 10
local function left()
	local n = 0
	for _, a in ipairs(core.list "actors") do n = n + (a.state ~= "dead" and 1 or 0) end
	return n
end
while left() > 0 and rota.now() < till do rota.sleep(0.01) end
is(left(), 0, "no actor is left")
T.done()
