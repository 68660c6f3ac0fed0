-- named.lua - names, namespaces, get-if-exists, remembered finds, waiting for handles, an actor's own handle
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "128M", namespace = "lab" }

local Counter = rota.actor {
	new = function(self, n) self.n = n or 0 end,
	add = function(self, k) self.n = self.n + k return self.n end,
	pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	me = function(self) return rota.context().actor end,
	who = function() local c = rota.context() return c.actor_name, c.incarnation, c.namespace end,
	leave = function() rota.stop(rota.context().actor) return "bye" end,
	mine = function(self) return rota.get(rota.context().actor:add(1)) end,
	keep = function(self) self.self = rota.context().actor end,
}
local function gone(name)			-- waits until the actor of that name is dead; rota.find would hold it
	local t0 = rota.now()
	while rota.now() - t0 < 10 do
		local there = false
		for _, x in ipairs(core.list "actors") do there = there or x.name == name and x.state ~= "dead" end
		if not there then return rota.find(name) == nil end
		rota.sleep(0.001)
	end
end

-- reuse
local a = Counter:with { name = "hits", reuse = true }(5)
is(rota.get(a:add(1)), 6, "get-if-exists: nobody had the name")
local b = Counter:with { name = "hits", reuse = true }(100)
ok(a == b, "somebody has it: the same actor")
is(rota.get(b:add(1)), 7, "whose constructor is not run again")
raises("exists in namespace 'lab'", "without reuse the name is taken", function() return Counter:with { name = "hits" }() end)
local refs = {}
local make = rota.task(function(i) local h = Counter:with { name = "one", reuse = true }() rota.get(h:add(1)) return h end):with { cpus = 0 }
for i = 1, 8 do refs[i] = make(i) end
local hs = rota.get(refs, 20)
local same = true
for i = 2, 8 do same = same and hs[i] == hs[1] end
ok(same, "eight tasks at once make one actor")
is(rota.get(hs[1]:add(0)), 8, "which counted all eight")
refs, hs = nil, nil
for i = 1, 30 do
	local h = Counter:with { name = "flip", reuse = true }(i)
	local v, e = rota.pget(h:add(0), 20)
	if not v then ok(false, "reuse right after a death, " .. i, e) break end
	rota.kill(h)
	if v ~= i then ok(false, "reuse right after a kill gave the old one", i, v) break end
	if i == 30 then ok(true, "reuse right after a kill waits for the end and makes a new one") end
end

-- namespaces
local other, why = rota.find("hits", { namespace = "attic" })
ok(other == nil and why == "no actor 'hits' in namespace 'attic'", "another namespace: nil and why", why)
ok(rota.find("hits", { namespace = "lab" }) == a and rota.find("hits", "lab") == a, "its own, by name")
is({ rota.get(a:who()) }, { "hits", 1, "lab" }, "the context of a method tells them")

-- finding is remembered, and forgotten when the actor is dead
local f = rota.find "hits"
for _ = 1, 1000 do f = rota.find "hits" end
ok(f == a, "a thousand times")
local t0 = rota.now()
for _ = 1, 10000 do rota.find "hits" end
local us = (rota.now() - t0) * 1e6 / 10000
ok(us < 50, "without a round trip each", us)
a, b, f = nil
T.collect()
ok(gone "hits", "once nobody has a handle it ends, though it was found before")
a = Counter:with { name = "hits" }(1)
is(rota.get(rota.find "hits":add(1)), 2, "the name is free, and finds the new one")
is(rota.get(rota.task(function()
	local h = rota.find "hits"
	rota.get(h:add(1))
	h = nil
	collectgarbage()
	for _ = 1, 10 do h = rota.find "hits" rota.get(h:add(1)) h = nil collectgarbage() end
	return rota.get(rota.find "hits":add(0))
end):with { cpus = 0 }()), 13, "a task that finds it again and again, each time letting go of it")
local pid = rota.get(a:pid())
os.execute("kill -9 " .. pid)
ok(gone "hits", "one that was killed is found no more")
for i = 1, 50 do
	a = Counter:with { name = "again" }(i)
	if rota.get(rota.find "again":add(0)) ~= i then ok(false, "a stale handle", i) break end
	rota.kill(a)
	if not gone "again" then ok(false, "a name that stays", i) break end
	if i == 50 then ok(true, "fifty actors of one name after one another") end
end

-- waiting for handles
local Slow = rota.actor { new = function(self, s) rota.sleep(s) end, f = function() return 1 end }
local s1, s2 = Slow(0.2), Slow(0)
local ready, rest = rota.wait({ s1, s2 }, { timeout = 10 })
ok(#ready == 1 and ready[1] == s2, "rota.wait: the handle whose actor is up", ready)
ok(#rest == 1 and rest[1] == s1, "the rest is the other handle")
ready = rota.wait(rest, { timeout = 10 })
ok(ready[1] == s1, "which comes later")
ready = rota.wait { s1, s2 }
is(#ready, 1, "one that is up is ready at once")
ready = rota.wait(s1, { timeout = 5 })
ok(ready[1] == s1, "a single handle")
ready = rota.wait({ s1, s1:f() }, { n = "all", timeout = 5 })
is(#ready, 2, "handles and references together")
local bad = rota.actor { new = function() error "no" end, f = function() end }()
ready = rota.wait({ bad }, { timeout = 10 })
ok(ready[1] == bad, "one whose constructor failed is ready: its calls fail at once")
has(select(2, rota.pget(bad:f())), "no", "with that error")
local n = 0
for i, h in rota.each { Slow(0.02), Slow(0.01) } do n = n + (core.is_actor(h) and i or 0) end
is(n, 3, "rota.each over handles")

-- an actor's own handle
a = Counter:with { name = "self", concurrency = 2 }(1)
ok(rota.get(a:me()) == a, "rota.context().actor is the handle others have")
is(rota.get(a:mine(), 10), 2, "an actor of several calls may call itself")
rota.get(a:keep())
a = nil
T.collect()
ok(gone "self", "one that holds only itself ends")
a = Counter:with { restarts = 5 }(1)
local bye, later = a:leave(), a:add(1)
is(rota.get(bye, 10), "bye", "rota.stop of itself: the call ends")
local v, e = rota.pget(later, 10)
ok(v == 2 or e and e.code == "actor_died", "a call sent before is run or fails", v, e)
v, e = rota.pget(a:add(1), 10)
t0 = rota.now()
while v and rota.now() - t0 < 10 do v, e = rota.pget(a:add(1), 10) end
ok(e and e.code == "actor_died" and e:find "stopped", "and then it is gone, in spite of restarts", v, e)

-- a node that is slow to read holds up nobody for good
local node, nobody = rota.nodes()[1].pid, Counter()
rota.kill(nobody)
local busy = rota.task(function(h, dir)
	io.open(dir .. "/ready", "w"):close()
	while not io.open(dir .. "/stopped") do rota.sleep(0.002) end
	for _ = 1, 3000 do rota.kill(h) end		-- more than a socket takes
	io.open(dir .. "/full", "w"):close()
	return (select(2, rota.find "nobody"))
end)
local function there(name)
	local t0 = rota.now()
	while not io.open(dir .. name) and rota.now() - t0 < 20 do rota.sleep(0.002) end
end
local r = busy(nobody, dir)
there "/ready"
os.execute("kill -STOP " .. node)
io.open(dir .. "/stopped", "w"):close()
there "/full"
os.execute("kill -CONT " .. node)
has(rota.get(r, 20), "no actor 'nobody'", "messages that found the node's socket full reach it once it reads again")
T.done()
