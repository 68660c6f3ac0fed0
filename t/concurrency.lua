-- concurrency.lua - actors that run several calls at once: interleaving at get, wait, sleep; order of starts; groups; limits; stop and kill
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "128M" }

-- calls that wait for one another: they end only if they run at once
local Gate = rota.actor {
	new = function(self) self.n, self.most, self.log, self.open = 0, 0, {}, false end,
	enter = function(self, i)
		self.n = self.n + 1
		if self.n > self.most then self.most = self.n end
		self.log[#self.log + 1] = i
	end,
	meet = function(self, i, want)		-- until `want` calls have started
		self:enter(i)
		while #self.log < want do rota.sleep(0.001) end
		self.n = self.n - 1
		return i
	end,
	hold = function(self, i)		-- until somebody opens the gate
		self:enter(i)
		while not self.open do rota.sleep(0.001) end
		self.n = self.n - 1
		return i
	end,
	release = function(self) self.open = true return self.n end,
	get = function(self, i, t) self:enter(i) local v = rota.get(t[1]) self.n = self.n - 1 return v end,
	first = function(self, i, list) self:enter(i) local r = rota.wait(list) self.n = self.n - 1 return rota.get(r[1]) end,
	all = function(self, i, list) self:enter(i) local s = 0 for _, v in rota.each(list) do s = s + v end self.n = self.n - 1 return s end,
	seen = function(self) return self.most, self.log end,
	count = function(self) return self.n end,
	inside = function(self, list)		-- a sort's callback cannot yield
		self:enter "inside"
		table.sort(list, function(a, b) rota.sleep(0.001) return a < b end)
		self.n = self.n - 1
		return list
	end,
	wrapped = function(self, want)		-- from a coroutine of the method's own
		local co = coroutine.wrap(function() self:enter "w" while #self.log < want do rota.sleep(0.001) end coroutine.yield "mine" end)
		local v = co()
		self.n = self.n - 1
		return v
	end,
	boom = function(self) rota.sleep(0.005) error "boom" end,
	die = function(self) os.exit(3) end,
}

local g = Gate:with { concurrency = 8 }()
local refs, want = {}, { n = 8 }
for i = 1, 8 do refs[i], want[i] = g:meet(i, 8), i end
is(rota.get(refs, 20), want, "eight calls that wait for one another end")
local most, log = rota.get(g:seen())
is(most, 8, "so many ran at once")
is(log, { 1, 2, 3, 4, 5, 6, 7, 8 }, "they started in the order in which they were made")

g = Gate:with { concurrency = 3 }()
refs = {}
for i = 1, 30 do refs[i] = g:hold(i) end
local late = g:release()
local ready = rota.wait(refs, { timeout = 0.1 })
is(#ready, 0, "three fill it: the call that would let them go waits behind them")
rota.kill(g)
rota.pget(refs, 20)
rota.pget(late, 20)
g = Gate:with { concurrency = 4 }()
refs = {}
for i = 1, 3 do refs[i] = g:hold(i) end
is(rota.get(g:release(), 20), 3, "with room for four it comes to its turn")
is(rota.get(refs, 20), { 1, 2, 3, n = 3 }, "and they end")
refs = {}
for i = 1, 200 do refs[i] = g:meet(i, 4) end
rota.get(refs, 20)
most, log = rota.get(g:seen())
ok(most <= 4, "never more than four", most)
local sorted = true
for i = 4, #log do sorted = sorted and log[i] == i - 3 end
ok(sorted, "200 calls start in order", log)

-- get, wait and each of what is not there yet
local slow = rota.task(function(v, s) rota.sleep(s) return v end):with { cpus = 0 }
g = Gate:with { concurrency = 16 }()
refs = {}
for i = 1, 10 do refs[i] = g:get(i, { slow(i, 0.05) }) end
is(rota.get(refs, 20), { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n = 10 }, "calls in rota.get")
ok(rota.get(g:seen()) > 5, "wait together", (rota.get(g:seen())))
g = Gate:with { concurrency = 16 }()
refs = {}
for i = 1, 10 do refs[i] = g:first(i, { slow(i, 0.05), slow(100 + i, 9) }) end
is(rota.get(refs, 8), { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n = 10 }, "calls in rota.wait")
ok(rota.get(g:seen()) > 5, "wait together", (rota.get(g:seen())))
g = Gate:with { concurrency = 16 }()
refs = {}
for i = 1, 10 do refs[i] = g:all(i, { slow(i, 0.03), slow(1, 0.05), slow(2, 0.01) }) end
is(rota.get(refs, 20), { 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, n = 10 }, "calls in rota.each")
ok(rota.get(g:seen()) > 5, "wait together", (rota.get(g:seen())))
g = Gate:with { concurrency = 4 }()
refs = { g:wrapped(3), g:wrapped(3), g:meet(3, 3) }
is(rota.get(refs, 20), { "mine", "mine", 3, n = 3 }, "from the method's own coroutines too, whose yields stay theirs")

-- an error, a time limit, several callers
local v, e = rota.pget(g:boom(), 10)
ok(e and e:match "boom" and e.code == "error", "an error after a wait", e)
refs = { g.hold:with { timeout = 0.05 } "x", g:count() }
v, e = rota.pget(refs, 10)
ok(e[1].code == "timeout" and v[2] == 1, "a time limit: others go on", v, e)
g = Gate:with { concurrency = 64 }()
local caller = rota.task(function(h, who)
	local r = {}
	for i = 1, 10 do r[i] = h:meet(who * 100 + i, 60) end
	return #rota.get(r, 20)
end):with { cpus = 0 }
refs = {}
for who = 1, 6 do refs[who] = caller(g, who) end
is(rota.get(refs, 30), { 10, 10, 10, 10, 10, 10, n = 6 }, "sixty calls of six callers meet")
most, log = rota.get(g:seen())
local last, good = {}, true
for _, x in ipairs(log) do local who, i = x // 100, x % 100 good = good and i == (last[who] or 0) + 1 last[who] = i end
ok(good, "each caller's started in order", log)

-- 2,000 at once
local Crowd = rota.actor {
	new = function(self) self.n = 0 end,
	join = function(self, want) self.n = self.n + 1 while self.n < want do rota.sleep(0.02) end return self.n end,
}
local crowd = Crowd:with { concurrency = 2000 }()
refs = {}
for i = 1, 2000 do refs[i] = crowd:join(2000) end
ok(#rota.get(refs, 60) == 2000, "2,000 calls wait in one actor")

-- groups: each has its own room, none holds up another
local Files = rota.actor {
	new = function(self) self.n, self.open = { io = 0, cpu = 0 }, false end,
	read = rota.method(function(self) self.n.io = self.n.io + 1 while not self.open do rota.sleep(0.001) end return "read" end, { group = "io" }),
	sum = rota.method(function(self, ...) return select("#", ...), "two" end, { group = "cpu", returns = 2 }),
	busy = function(self) return self.n.io end,
	release = function(self) self.open = true end,
}
local f = Files:with { groups = { io = 2, cpu = 1 } }()
refs = {}
for i = 1, 300 do refs[i] = f:read() end		-- more than a ring takes
local t0 = rota.now()
while rota.get(f:busy(), 20) < 2 and rota.now() - t0 < 20 do rota.sleep(0.001) end
is(rota.get(f:busy(), 20), 2, "two of a group run; 300 of it hold up nobody else")
local a, b = f:sum(1, 2, 3)
is({ rota.get(a, 20), (rota.get(b, 20)) }, { 3, "two" }, "another group; options declared with the method")
a, b = f.sum:with { timeout = 5 }(1)
is(rota.get(b, 20), "two", "which :with{} adds to")
is(rota.get(f.busy:with { group = "cpu" }(), 20), 2, "a group named for one call")
rota.get(f:release(), 20)
is(#rota.get(refs, 20), 300, "all 300 end")
e = raises("has no concurrency group 'net'", "a group that is not there", function() f.busy:with { group = "net" } end)
has(e, "cpu, io", "says which are")
raises("which the actor does not have", "a declared group without room", function() Files() end)
raises("'groups' is a table", "groups wants numbers", function() Files:with { groups = { io = 0 } } end)
raises("did you mean 'concurrency'", "max_concurrency", function() Gate:with { max_concurrency = 2 } end)
raises("did you mean 'groups'", "concurrency_groups", function() Gate:with { concurrency_groups = {} } end)
raises("'concurrency' is a", "concurrency wants a number", function() Gate:with { concurrency = 0 } end)
is(rota.get(rota.task(function(h) return rota.get((h:sum(1, 2))) end):with { cpus = 0 }(f), 20), 2, "a handle that travelled knows the groups")

-- how many calls may be pending
g = Gate:with { concurrency = 2, max_pending = 5 }()
refs = {}
for i = 1, 5 do refs[i] = g:hold(i) end
e = raises("max_pending", "a sixth call", function() g:count() end)
is(e.code, "pending", "its code")
rota.kill(g)
rota.pget(refs, 10)
g = Gate:with { max_pending = 3 }()
for i = 1, 100 do rota.get(g:count()) end
ok(true, "calls that have ended do not count")

-- where Lua cannot yield the actor waits, and says so once
local err = io.open(dir .. "/err", "w+")
local child = io.popen(("rlua -e %q 2>%s/err"):format([[
local rota = require "rota"
rota.init { address = "private", cpus = 1 }
local A = rota.actor { sorted = function(self, l) table.sort(l, function(a, b) rota.sleep(0.001) return a < b end) return l end }
local a = A:with { concurrency = 4 }()
print(table.concat(rota.get(a:sorted { 3, 1, 2 }), " "), table.concat(rota.get(a:sorted { 2, 1 }), " "))]], dir))
is(child:read "l", "1 2 3\t1 2", "a sort whose callback sleeps")
child:close()
local text = err:read "a"
local _, times = text:gsub("cannot yield", "")
is(times, 1, "told once")
has(text, "method 'sorted'", "by name")
has(text, "sleep'", "with the traceback")

-- stop: what runs and what was sent ends first; kill: nothing does
g = Gate:with { concurrency = 4 }()
refs = {}
for i = 1, 3 do refs[i] = g:hold(i) end
refs[4] = g:release()
rota.stop(g)
v, e = rota.pget(refs, 20)
ok(v[1] == 1 and v[2] == 2 and v[3] == 3, "stop: the calls that wait in it end", v, e)
g = Gate:with { concurrency = 4 }()
refs = {}
for i = 1, 4 do refs[i] = g:hold(i) end
refs[5] = g:count()
rota.get(slow(1, 0.05))
rota.kill(g)
v, e = rota.pget(refs, 20)
local died = 0
for i = 1, 5 do died = died + (e[i] and e[i].code == "actor_died" and 1 or 0) end
is(died, 5, "kill: all of them fail")
g = Gate:with { concurrency = 4 }()
refs = { g:hold(1), g:hold(2), g:die() }
v, e = rota.pget(refs, 20)
ok(e[1] and e[1]:find "may have had its effect" and e[2], "calls that waited when it died may have had their effect", e)
T.done()
