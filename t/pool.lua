-- pool.lua - actors as one: who is chosen, submit, next, any, map, each, dead members, what is refused
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "128M" }

local Worker = rota.actor {
	new = function(self, tag) self.tag, self.n = tag, 0 end,
	pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	double = function(self, x) self.n = self.n + 1 return 2 * x end,
	two = function(self, x) return x, self.tag end,
	hold = function(self, path) while not io.open(path) do rota.sleep(0.002) end return rota.context().actor end,
	me = function() return rota.context().actor end,
	n_of = function(self) return self.n end,
	fail = function(self, x) if x == 3 then error "three" end return x end,
	sleep = function(self, s) rota.sleep(s) return s end,
	die = function() os.exit(5) end,
	deaf = function() rota.shield(rota.sleep, 0.2) return 1 end,
}
local function open(name) io.open(dir .. "/" .. name, "w"):close() end

-- choosing
local p = Worker:pool(3, "t")
is(#p:members(), 3, "three members")
is(tostring(p), "pool of 3 actors", "tostring")
local pids, n = {}, 0
for _, pid in ipairs(rota.get(p:all "pid")) do if not pids[pid] then pids[pid] = true n = n + 1 end end
is(n, 3, "all() calls each of them, three processes")
is({ rota.get(p:call("two", 7)) }, { 7, "t" }, "call(): any of them; they are made with the same arguments")
local w = p:with { timeout = 0.05 }
local v, e = rota.pget(w:call("sleep", 60), 20)
ok(not v and e.code == "timeout", "with(): a call with options", v, e)
w = w:with { timeout = 60, name = "mine" }
is(#rota.get(w:all("two", 2), 20), 3, "all(), and options on top of others")
w:submit("two", 3)
is({ p:pending(), p:next(20) }, { 1, 3, "t" }, "what is submitted with options is the pool's")
raises("no option 'restarts'; it is for actors only", "options are checked", function() p:with { restarts = 1 } end)
w = nil
local under_way = {}
for i, h in ipairs(p:members()) do		-- one runs, one waits in its ring: neither counts once it is out of time
	local first = h:hold(dir .. "/b" .. i)
	v, e = rota.pget(h.two:with { timeout = 0.05 }(1), 20)
	open("b" .. i)
	rota.get(first, 20)
	under_way[i] = e.code .. (" %d"):format(core.actor_load(h, true))
end
do
	local h = p:members()[1]
	v, e = rota.pget(h.deaf:with { timeout = 0.05 }(), 20)
	local after = rota.get(h:two(1), 20)
	is({ e and e.code, after, (core.actor_load(h, true)) }, { "timeout", 1, 0 }, "nor one that was told to end and gave a value")
end
is(under_way, { "timeout 0", "timeout 0", "timeout 0" }, "a call that timed out before it began is under way no more")
local held = { p:call("hold", dir .. "/a"), p:call("hold", dir .. "/a") }
local free = rota.get(p:call "me", 20)
local same = true
for _ = 1, 30 do same = same and rota.get(p:call "me", 20) == free end
ok(same, "two are busy: thirty calls go to the one that is idle")
open "a"
held = rota.get(held, 20)
ok(held[1] ~= held[2] and held[1] ~= free and held[2] ~= free, "which is none of those two")
local at, gate = {}, p:all("hold", dir .. "/c")
for i = 1, 60 do at[i] = p:call("double", i) end
open "c"
is(rota.get(at, 20)[60], 120, "sixty calls while all are busy")
is(rota.get(p:all "n_of", 20), { 20, 20, 20, n = 3 }, "are shared out")

-- submit, next, any
p = Worker:pool(4, "t")
rota.get(p:all "pid")
is(p:pending(), 0, "nothing is pending")
raises("nothing that was submitted is left", "next() of nothing", function() p:next() end)
raises("nothing that was submitted is left", "any() of nothing", function() p:any() end)
local first = p:submit("sleep", 0.2)
p:submit("sleep", 0.001)
p:submit("sleep", 0.1)
is(p:pending(), 3, "three are")
is(p:next(20), 0.2, "next(): the oldest, though others have ended")
is(rota.get(first), 0.2, "submit() gave its reference")
is(p:next(20), 0.001, "then the second")
is({ p:next(), p:pending() }, { 0.1, 0 }, "and the third")
local slow = p:submit("hold", dir .. "/b")
local second, third = p:submit("hold", dir .. "/d"), p:submit("hold", dir .. "/e")
p:submit("double", 1)
is(p:any(20), 2, "any(): the one that ends first")
open "e"
ok(p:any(20) == rota.get(third), "and then the others")
open "d"
ok(p:any(20) == rota.get(second), "as they end")
local e = raises("timed out", "next() with a time limit", function() p:next(0.01) end)
is({ e.code, p:pending() }, { "timeout", 1 }, "says so, and the submission stays")
raises("timed out", "any() with a time limit", function() p:any "10ms" end)
is(p:pending(), 1, "the same")
open "b"
is(p:any(20), rota.get(slow), "later it is taken")
for i = 1, 6 do p:submit("double", i) end
local sum = p:next() + p:any() + p:next() + p:any() + p:any() + p:next()
is({ sum, p:pending() }, { 42, 0 }, "next() and any() in turn take each one once")
for i = 2, 4 do p:submit("fail", i) end
is(p:next(), 2, "before a failure")
is(raises("three", "the submission that failed raises", function() p:next() end).code, "error", "its error")
is({ p:next(), p:pending() }, { 4, 0 }, "and is taken")
is({ (function() p:submit("two", 5) return p:next() end)() }, { 5, "t" }, "all values of a call")

-- map and each
local list, want = {}, { n = 100 }
for i = 1, 100 do list[i], want[i] = i, 2 * i end
is(p:map("double", list), want, "map(): a list in the same order")
is(p:map("double", {}), {}, "of nothing")
is(p:map("double", { 1, 2 }, { j = 1 }), { 2, 4, n = 2 }, "one call a member")
is(p:map("sleep", { 0, 0.01 }, { timeout = 10, retries = 1 }), { 0, 0.01, n = 2 }, "options of the calls")
raises("no option 'x'", "unknown ones", function() p:map("double", list, { x = 1 }) end)
raises("'j' is a whole number", "j = 0", function() p:map("double", list, { j = 0 }) end)
raises("a list is expected", "no list", function() p:map("double", 5) end)
raises("three", "map() raises what a call raised", function() p:map("fail", { 1, 2, 3, 4 }) end)
local seen, order = {}, {}
for i, v in p:each("sleep", { 0.15, 0.02, 0.01, 0.01 }, { j = 1 }) do seen[i] = v order[#order + 1] = i end
is(seen, { 0.15, 0.02, 0.01, 0.01 }, "each(): each element's value")
is(order[4], 1, "in the order in which they end", order)
n = 0
for i in p:each("double", list, { j = 1 }) do
	n = n + 1
	if n == 1 then
		local sent = 0
		for _, x in ipairs(rota.get(p:all "n_of")) do sent = sent + x end
		n = sent
		break
	end
end
ok(n < 260, "each() is no further ahead than its calls", n)
raises("three", "each() raises it in its turn", function() for _ in p:each("fail", { 1, 2, 3 }) do end end)
-- who is slow gets less
local one = rota.actor {
	new = function(self, h) self.n = 0 end,
	set = function(self, s) self.s = s end,
	work = function(self) rota.sleep(self.s or 0) self.n = self.n + 1 return self.n end,
	done = function(self) return self.n end,
}
p = one:pool(2)
rota.get(p:members()[1]:set(0.1))
p:map("work", list)
n = rota.get(p:all "done")
ok(n[2] > 3 * n[1], "the quick member of two does most of the work", n)

-- members that die
p = Worker:pool(2, "again")
pids = rota.get(p:all "pid")
local v
v, e = rota.pget(p:call "die", 20)
has(e, "exit(5)", "the call that killed its member fails")
is(p:map("double", { 1, 2, 3, 4 }), { 2, 4, 6, 8, n = 4 }, "the pool goes on")
is({ #p:members(), p:replaced() }, { 2, 1 }, "with a new member in its place")
is(rota.get(p:all("two", 1), 20), { 1, 1, n = 2 }, "that serves")
is(select(2, rota.get(p:members()[1]:two(1))), "again", "made with the same arguments")
for _, h in ipairs(p:members()) do rota.kill(h) end
is(rota.get(p:call("double", 4), 20), 8, "both are killed: both are made anew")
is(p:replaced(), 3, "which is counted")
for i = 1, 10 do
	local q = Worker:pool(2)
	local refs = {}
	for k = 1, 20 do refs[k] = q:submit("double", k) if k == 10 then os.execute("kill -9 " .. rota.get(q:members()[i % 2 + 1]:pid())) end end
	local good, dead = 0, 0
	for _ = 1, 20 do
		local is_ok, x = pcall(q.next, q, 30)
		if is_ok then good = good + 1 elseif x.code == "actor_died" then dead = dead + 1 end
	end
	if good + dead ~= 20 or good < 9 or q:pending() ~= 0 then ok(false, "kill -9 of a member", good, dead) break end
	if i == 10 then ok(true, "ten pools lose a member to kill -9: each submission gives its value or actor_died") end
end
local bad = rota.actor { new = function() error("no luck", 0) end, f = function() end }:pool(2)
has(select(2, rota.pget(bad:call "f", 20)), "no luck", "a constructor that fails: its error")
has(select(2, rota.pget(bad:call "f", 20)), "no luck", "each time")

-- of actors that exist
local a, b = Worker "a", Worker "b"
p = rota.pool { a, b }
is(#rota.get(p:all("two", 1)), 2, "rota.pool of handles")
rota.kill(a)
local tags = {}
for i = 1, 10 do tags[select(2, rota.get(p:call("two", i), 20))] = true end
is(tags, { b = true }, "a dead one is left out")
is(#p:members(), 1, "for good")
os.execute("kill -9 " .. rota.get(b:pid()))
v, e = rota.pget(b:double(1), 20)
e = raises("all of its members are dead", "none is left", function() p:call("double", 1) end)
has(e, "SIGKILL", "says how the last one died")
raises("takes a list of actors", "no list", function() rota.pool(5) end)
raises("1 is no actor", "no actors", function() rota.pool { 5 } end)
raises("how many members", "no number", function() Worker:pool() end)
raises("cannot share the name 'x'", "a name", function() Worker:with { name = "x" }:pool(2) end)
p = Worker:pool(1)
raises("has no method 'tripel'", "an unknown method", function() p:call "tripel" end)
raises("name of a method", "no name", function() p:submit(5) end)
raises("a pool has no 'cal'; did you mean 'call'?", "a word that is near", function() p:cal("double", 1) end)
raises("called as p:call(\"double\", …)", "a method of its members", function() p:double(1) end)
is(rota.get(rota.task(function(members) local q = rota.pool(members) return q:map("double", { 1, 2, 3 }) end):with { cpus = 0 }(p:members()), 20),
    { 2, 4, 6, n = 3 }, "a pool in a task, of members that travelled")
-- ends
do
	local q <close> = Worker:with { restarts = 3 }:pool(2)
	pids = rota.get(q:all "pid")
end
local function alive()
	local k = 0
	for _, x in ipairs(core.list "actors") do k = k + (x.state ~= "dead" and 1 or 0) end
	return k
end
p:stop()
v, e = rota.pget(p:members()[1]:double(1), 20)
has(e, "stopped", "stop() stops them")
a, b, p, bad, free, second, third, held, slow, first, gate, at = nil
local t0 = rota.now()
repeat T.collect() rota.sleep(0.002) until alive() == 0 or rota.now() - t0 > 20
is(alive(), 0, "none is left once the pools are gone, <close> and collected")
T.done()
