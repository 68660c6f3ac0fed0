-- actors.lua - actors through the Lua API: order, callers, restarts, retries, kill and stop, names, constructors, handles, messages, 200 at once
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "256M" }

local Counter = rota.actor {
	new = function(self, n) self.n = n or 0 end,
	add = function(self, k) self.n = self.n + (k or 1) return self.n end,
	get = function(self) return self.n end,
	all = function(self, ...) return ... end,
	fail = function(self, x) error(x) end,
	die = function(self) os.exit(7) end,
	slow = function(self, s) rota.sleep(s) return self.n end,
	pid = function(self) local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	step = 5,
}
-- calls
local c = Counter(10)
is(rota.get(c:add(5)), 15, "a call")
is(rota.get(c:add()), 16, "state is kept")
is({ rota.get(c:all(1, nil, 3)) }, { 1, nil, 3 }, "all values of a call")
is(rota.get(Counter():get()), 0, "without arguments")
is(rota.get(rota.actor { f = function(self) return self.step end, step = 7 }():f()), 7, "other fields are defaults")
is(rota.get(rota.actor { put = function(self, v) self.v = v end, get = function(self) return self.v end }():get()), nil, "no constructor is needed")
local refs, want = {}, { n = 1000 }
local d = Counter()
for i = 1, 1000 do refs[i] = d:add(1) want[i] = i end
is(rota.get(refs), want, "1,000 calls run in order")
-- refs as arguments, and order although an argument is late
local slow = rota.task(function(x, s) rota.sleep(s or 0.02) return x end)
local Log = rota.actor { new = function(self) self.l = {} end, put = function(self, x) self.l[#self.l + 1] = x end, get = function(self) return self.l end }
local log = Log()
for i = 1, 20 do log:put(i % 3 == 0 and slow(i) or i) end
is(rota.get(log:get()), { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 }, "a late argument keeps the order")
local boom = rota.task(function() error("boom", 0) end)
local v, err = rota.pget(log:put(boom()))
has(err, "boom", "an argument that failed fails the call")
is(#rota.get(log:get()), 20, "which does not run; later ones do")
for _, n in ipairs { 10, 1000, 5000, 100000, 2000000 } do
	local s = ("s"):rep(n)
	is(#rota.get(c:all(s)), n, "argument and result of " .. n .. " bytes")
	is(#rota.get(c:all(rota.put(s))), n, "as a ref")
	is(#rota.get(c:all(slow(s))), n, "as a late ref")
end
local r1, r2 = c.all:with { returns = 2 }(4, 5)
ok(rota.get(r1) == 4 and rota.get(r2) == 5, "and both")

-- several callers: each one's calls in order
local many = Log()
local caller = rota.task(function(l, who) for i = 1, 50 do l:put(who * 1000 + i) end return rota.get(l:get()) and who end)
local callers = {}
for w = 1, 6 do callers[w] = caller(many, w) end
rota.get(callers)
local all = rota.get(many:get())
local last, good = {}, #all == 300
for _, x in ipairs(all) do local w, i = x // 1000, x % 1000 good = good and i == (last[w] or 0) + 1 last[w] = i end
ok(good, "six callers of 50 calls: all there, each in order", #all)

-- messages
raises("call it with a colon: c:add(…)", "a dot", function() c.add(5) end)
raises("call it with a colon", "a dot and no argument", function() c.add() end)
local e = raises("has no method 'ad'", "a method that is not there", function() c:ad(5) end)
has(e, "it has", "says what there is")
has(e, "add", "by name")
has(e, "actors.lua", "and which actor")
raises("fields cannot be read from outside", "a field", function() return c.n end)
e = raises("no option", "an unknown option of a call", function() c.add:with { timout = 1 } end)
has(e, "did you mean 'timeout'", "with the nearest name")
e = raises("no option 'restart'", "an unknown option of an actor", function() Counter:with { restart = 1 } end)
has(e, "did you mean 'restarts'", "with the nearest name")
raises("no option 'retry_on'; it is for tasks only", "an option of tasks, of a call", function() c.add:with { retry_on = "error" } end)
raises("no option 'max_calls'; it is for tasks only", "and of an actor", function() Counter:with { max_calls = 1 } end)
raises("no option 'restarts'; it is for actors only", "one of actors, of a task", function() rota.task(print):with { restarts = 1 } end)
raises("no option 'timeout'; it goes with the call of a method", "one of calls, of an actor", function() Counter:with { timeout = 1 } end)
raises("did you mean 'restarts'", "max_restarts", function() Counter:with { max_restarts = 1 } end)
raises("takes a table of functions", "rota.actor wants a table", rota.actor, 5)
raises("has a metatable", "without a metatable", rota.actor, setmetatable({}, {}))
ok(tostring(c):match "^actor %d+ %(.*actors%.lua:%d+%)$", "tostring of a handle", tostring(c))
v, err = rota.pget(c:fail "oops")
ok(err and err:match "oops" and err.code == "error" and err.task == "fail", "an error in a method", err)
is(rota.get(c:get()), 16, "does not end the actor")
v, err = rota.pget(c:fail { code = 3 })
is(err.value, { code = 3 }, "a raised table")
v, err = rota.pget(c.slow:with { timeout = 0.05 }(0.3))
ok(err and err.code == "timeout", "a time limit of one call", err)
is(rota.get(c:get(), 5), 16, "which the actor survives")
local pipe = io.popen "true"
raises("argument 1: ", "what cannot travel", function() c:add(pipe) end)

-- constructors
v, err = rota.pget(rota.actor { new = function() error("no luck", 0) end, f = function() end }():f())
ok(err and err:match "no luck", "a constructor that raises fails the calls with its error", err)
has(err.traceback or "", "traceback", "with a traceback")
v, err = rota.pget(rota.actor { new = function(self) return self end, f = function() end }():f())
has(err, "new fills self and returns nothing", "a constructor that returns something")
v, err = rota.pget(rota.actor { new = function(self) os.exit(3) end, f = function() end }():f())
ok(err and err.code == "actor_died", "a constructor that exits", err)
v, err = rota.pget(rota.actor { new = function(self, x) self.x = x end, f = function(self) return self.x end }(slow(9)):f())
is(v, 9, "a ref as an argument of the constructor is its value")
v, err = rota.pget(rota.actor { new = function(self, t) self.t = t end, f = function(self) return rota.get(self.t[1]) end } { rota.put(("c"):rep(9000)) }:f())
is(v and #v, 9000, "in a table it stays a ref, and lives", err)
v = rota.get(rota.actor { new = function(self, s) self.s = s end, f = function(self) return #self.s end }(("b"):rep(3 << 20)):f())
is(v, 3 << 20, "3 MiB for the constructor")
has(select(2, rota.pget(rota.actor { new = function() end, f = function() return undefined_thing.x end }():f())), "global 'undefined_thing'", "names are told")
raises("upvalue 'pipe'", "a class that cannot travel", rota.actor { f = function() return pipe end })
local r2fail = { rota.actor { new = function() error "two" end, f = function() end }().f:with { returns = 2 }() }
for i = 1, 2 do has(select(2, rota.pget(r2fail[i], 5)), "two", "its error reaches both refs of a call, " .. i) end

-- death
local k = Counter(1)
is(rota.get(k:add(1)), 2, "alive")
local running, queued = k:slow(30), k:add(1)
rota.kill(k)
v, err = rota.pget(running, 10)
ok(err and err.code == "actor_died", "kill: the running call fails", err)
v, err = rota.pget(queued, 10)
ok(err and err.code == "actor_died", "those that wait too", err)
v, err = rota.pget(k:add(1), 10)
ok(err and err.code == "actor_died" and err:find "killed", "and later ones, saying why", err)
k = Counter(1)
v, err = rota.pget(k:die(), 10)
ok(err and err.code == "actor_died", "an actor that exits", err)
has(err, "exit(7)", "says how")
has(err, "may have had its effect", "and that the call may have had its effect")
k = Counter(5)
local pid = rota.get(k:pid())
os.execute("kill -9 " .. pid)
v, err = rota.pget(k:add(1), 10)
ok(err and err.code == "actor_died" and err:find "SIGKILL", "kill -9 from outside", err)
-- stop: what was sent before still runs
k = Counter(0)
refs = {}
for i = 1, 100 do refs[i] = k:add(1) end
rota.stop(k)
is(rota.get(refs, 10)[100], 100, "stop: calls made before are run")
v, err = rota.pget(k:add(1), 10)
ok(err and err.code == "actor_died", "later ones fail", err)
has(err, "stopped", "saying that it was stopped")

-- restarts
local R = rota.actor {
	new = function(self) self.n = 0 local f = io.open(dir .. "/starts", "a") f:write "x" f:close() end,
	add = function(self) self.n = self.n + 1 return self.n end,
	die = function(self) os.exit(1) end,
	once = function(self, name) if not io.open(dir .. "/" .. name) then io.open(dir .. "/" .. name, "w"):close() os.exit(1) end return "second" end,
}
local function starts() return #io.open(dir .. "/starts"):read "a" end
local r = R:with { restarts = 2 }()
is({ rota.get(r:add()), rota.get(r:add()) }, { 1, 2 }, "with restarts: as usual")
v, err = rota.pget(r:die(), 10)
ok(err and err.code == "actor_died", "the call that ran when it died fails", err)
is(rota.get(r:add(), 10), 1, "then it is there again, with a new state")
is(starts(), 2, "its constructor ran again")
refs = { r:add(), r:die(), r:add(), r:add() }
v, err = rota.pget(refs, 10)
ok(v[1] == 2 and err[2].code == "actor_died" and v[3] == 1 and v[4] == 2, "calls that had not started go to the new one, in order", v, err)
v, err = rota.pget(r:die(), 10)
v, err = rota.pget(r:add(), 10)
ok(err and err.code == "actor_died", "two restarts and no more", err)
r = R:with { restarts = -1 }()
for i = 1, 4 do rota.pget(r:die(), 20) end
is(rota.get(r:add(), 20), 1, "restarts without end")
rota.kill(r, { restart = true })
is(rota.get(r:add(), 20), 1, "kill with restart")
r = R:with { restarts = 3, retries = 1 }()
v, err = rota.pget(r:once "o1", 10)
ok(v == "second", "retries of an actor: the call that was running is sent again", err)
r = R:with { restarts = 3 }()
v, err = rota.pget(r.once:with { retries = 1 } "o2", 10)
ok(v == "second", "retries of one call", err)

-- names
local named = Counter:with { name = "hits" }(7)
is(rota.get(named:get()), 7, "an actor with a name")
local found = rota.find "hits"
is(rota.get(found:add(1)), 8, "found by it")
ok(found == named, "the same actor")
is(rota.get(rota.task(function() return rota.get(rota.find "hits":get()) end)()), 8, "found from a task")
local none, why = rota.find "nobody"
ok(none == nil and why:find "no actor 'nobody' in namespace '", "no such name: nil and why", none, why)
e = raises("hits", "a name that is taken", function() return Counter:with { name = "hits" }() end)
found = nil
rota.kill(named)
rota.pget(named:get(), 5)
local t0 = rota.now()
repeat none = rota.find "hits" until not none or rota.now() - t0 > 5
ok(none == nil, "the name of a dead one is free")
named = Counter:with { name = "hits" }(1)
is(rota.get(named:get()), 1, "and can be given again")

-- handles travel
is(rota.get(rota.task(function(h) return rota.get(h:add(10)) end)(c)), 26, "a handle as an argument")
is(rota.get(rota.task(function(t) return rota.get(t.h:add(1)) end) { h = c }), 27, "in a table")
local up = Counter(27)
is(rota.get(rota.task(function() return rota.get(up:add(1)) end)()), 28, "as an upvalue")
rota.kill(up)			-- a worker keeps the functions that it knows, and what they close over
local B = rota.actor { new = function(self, o) self.o = o end, add = function(self, k) return rota.get(self.o:add(k)) end, give = function(self) return self.o end }
local b = B(c)
is(rota.get(b:add(2)), 29, "held by another actor")
ok(rota.get(b:give()) == c, "and given back")
is(rota.get(rota.get(rota.put(c)):add(1)), 30, "in an object")
is(rota.get(rota.get(rota.task(function() return Counter(100) end)()):add(1)), 101, "made in a task and returned: it lives on")
local other = B(Counter(50))
T.collect()
is(rota.get(other:add(1)), 51, "held only by another actor")
ok(rota.get(rota.task(function(x, y) return x == y end)(c, c)), "handles are equal there")

-- it ends with its last handle, after the calls that were made
local f
do
	local temp <close> = Counter(3)
	f = temp:add(4)
end
is(rota.get(f, 10), 7, "closed at once: its call is run")
local temp = Counter(3)
local big, late = temp:all(("r"):rep(200000)), temp:slow(0.2)
temp = nil
T.collect()
is(#rota.get(big, 10), 200000, "a result outlives its actor")
is(rota.get(late, 10), 3, "a slow call is awaited")
t0 = rota.now()
local function alive() local n = 0 for _, a in ipairs(core.list "actors") do if a.state == "alive" then n = n + 1 end end return n end
c, d, log, many, k, r, named, b, other, running, queued, refs, callers = nil
T.collect()
while alive() > 0 and rota.now() - t0 < 10 do rota.sleep(0.01) end
is(alive(), 0, "actors that nobody refers to end")

-- 200 at once
t0 = rota.now()
local crowd, calls = {}, {}
for i = 1, 200 do crowd[i] = Counter(i) end
for i = 1, 200 do calls[i] = crowd[i]:add(i) end
local sum = 0
for _, x in ipairs(rota.get(calls, 60)) do sum = sum + x end
is(sum, 40200, "200 actors, each made and called")
ok(rota.now() - t0 < 20, "in time", rota.now() - t0)
crowd, calls = nil, nil
T.collect()
t0 = rota.now()
while alive() > 0 and rota.now() - t0 < 20 do rota.sleep(0.01) end
is(alive(), 0, "and all of them end")
-- resources
v, err = pcall(function() return rota.get(Counter:with { cpus = 64 }():get(), 5) end)
ok(not v and (err.code == "infeasible" or err:find "64"), "an actor that asks for more than there is", err)
has(err, "cpu", "names the resource")
is(rota.get(Counter:with { cpus = 1 }(4):get(), 5), 4, "one that takes a CPU")
T.done()
