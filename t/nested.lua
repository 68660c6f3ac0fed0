-- nested.lua - tasks that wait for tasks never deadlock: depth 200, fan-out, get in coroutines, sort, gsub, tostring; a driver that spins in Lua
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "256M" }
local inc = rota.task(function(x) return x + 1 end)
local slow = rota.task(function(x, s) rota.sleep(s or 0.01) return x end)

-- depth
local down
down = rota.task(function(n) return n == 0 and 0 or 1 + rota.get(down(n - 1)) end)
for _, n in ipairs { 1, 10, 50, 200 } do
	local t0 = rota.now()
	is(rota.get(down(n)), n, "depth " .. n)
	ok(rota.now() - t0 < 10, "in time", rota.now() - t0)
end
local many = {}
for i = 1, 8 do many[i] = down(100) end
is(rota.get(many), { 100, 100, 100, 100, 100, 100, 100, 100, n = 8 }, "eight of depth 100 at once")
-- all CPUs of the node at each level
local wide
wide = rota.task(function(n) return n == 0 and 0 or 1 + rota.get(wide(n - 1)) end):with { cpus = 2, name = "wide" }
is(rota.get(wide(20)), 20, "depth 20 where each level wants both CPUs")

-- fan-out
local fib
fib = rota.task(function(n)
	if n < 2 then return n end
	local a, b = fib(n - 1), fib(n - 2)
	return rota.get(a) + rota.get(b)
end)
local t0 = rota.now()
is(rota.get(fib(18)), 2584, "fib(18): 8,361 tasks that wait for each other")
ok(rota.now() - t0 < 20, "in time", rota.now() - t0)
local sum = rota.task(function(n, k) local r = {} for i = 1, n do r[i] = inc(i + k) end local s = 0 for _, v in ipairs(rota.get(r)) do s = s + v end return s end)
local refs, want = {}, 0
for k = 1, 20 do refs[k] = sum(50, k) want = want + 50 * 51 // 2 + 50 * (k + 1) end
local got = 0
for _, v in ipairs(rota.get(refs)) do got = got + v end
is(got, want, "20 tasks of 50 tasks each")
-- order of submission does not matter: a child waits for one that was queued before its parent
local gate = rota.task(function(path) while not io.open(path) do rota.sleep(0.002) end return "open" end)
local opener = rota.task(function(path) io.open(path, "w"):close() return "done" end)
local waits = {}
for i = 1, 8 do waits[i] = gate(dir .. "/gate") end
local o = opener(dir .. "/gate")
is(rota.get(waits[8], 20), "open", "tasks that wait for an effect of a later one, all CPUs taken")
is(rota.get(o), "done", "which ran")
rota.get(waits)

-- refs handed down
local passer
passer = rota.task(function(t, n) if n == 0 then return rota.get(t[1]) end return rota.get(passer(t, n - 1)) end)
is(rota.get(passer({ slow("deep", 0.05) }, 30)), "deep", "a pending ref, passed down 30 levels")
is(#rota.get(passer({ rota.put(("p"):rep(100000)) }, 30)), 100000, "a large one")
-- two parents wait for the same child
local child = slow("c", 0.05)
local both = { rota.task(function(t) return rota.get(t[1]) end) { child }, rota.task(function(t) return rota.get(t[1]) end) { child } }
is(rota.get(both), { "c", "c", n = 2 }, "two tasks wait for one")

-- where Lua can yield, and where it cannot
local places = {
	["a coroutine.wrap generator"] = function()
		local gen = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(rota.get(slow(i))) end end)
		local s = 0
		for v in gen do s = s + v end
		return s
	end,
	["coroutine.resume, three deep"] = function()
		local function deep(n) if n == 0 then return rota.get(slow(15)) end
			local co = coroutine.create(deep)
			local good, v = coroutine.resume(co, n - 1)
			assert(good, v)
			return v
		end
		return deep(3)
	end,
	["a generator that also yields its own values"] = function()
		local out = 0
		local co = coroutine.create(function(a) local b = coroutine.yield(a + rota.get(slow(1))) return rota.get(slow(b)) + 1 end)
		local _, x = coroutine.resume(co, 4)
		local _, y = coroutine.resume(co, 9)
		assert(coroutine.status(co) == "dead")
		return x + y
	end,
	["table.sort's order"] = function()
		local t = { 3, 1, 2, 5, 4 }
		table.sort(t, function(a, b) return rota.get(slow(a, 0.001)) < rota.get(slow(b, 0.001)) end)
		return t[1] + t[2] + t[3] + t[4] + t[5]
	end,
	["gsub's function"] = function()
		local s = ("12345"):gsub("%d", function(d) return rota.get(slow(d + 1, 0.001)) end)
		assert(s == "23456", s)
		return 15
	end,
	["__tostring"] = function()
		local x = setmetatable({}, { __tostring = function() return "v" .. rota.get(slow(15)) end })
		return tonumber(tostring(x):sub(2))
	end,
	["__index"] = function() return setmetatable({}, { __index = function(_, k) return rota.get(slow(k)) end })[15] end,
	["__gc"] = function()
		local v
		setmetatable({}, { __gc = function() v = rota.get(slow(15, 0.001)) end })
		collectgarbage()
		return v
	end,
	["__close"] = function()
		local v
		do local x <close> = setmetatable({}, { __close = function() v = rota.get(slow(15)) end }) end
		return v
	end,
	["pcall"] = function() return select(2, pcall(function() return rota.get(slow(15)) end)) end,
	["xpcall and its handler"] = function()
		local _, v = xpcall(function() error(rota.get(slow(7))) end, function(e) return e + rota.get(slow(8)) end)
		return v
	end,
	["load's reader"] = function()
		local n = 0
		return load(function() n = n + 1 return n == 1 and "return " .. rota.get(slow(15)) or nil end)()
	end,
	["an iterator of for"] = function() local s = 0 for i in function(_, i) i = (i or 0) + 1 return i <= 5 and rota.get(slow(i)) or nil end do s = s + i end return s end,
	["string.format with __tostring"] = function()
		return tonumber((("%s"):format(setmetatable({}, { __tostring = function() return tostring(rota.get(slow(15))) end }))))
	end,
}
local names = {}
for name in pairs(places) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
	local v, err = rota.pget(rota.task(places[name])(), 10)
	ok(v == 15, "get inside " .. name .. ", in a task", v, err)
	local good, w = pcall(places[name])
	ok(good and w == 15, "get inside " .. name .. ", in the driver", w)
end
local A = rota.actor { go = function(self, f) return places[f]() end }
local a = A()
for _, name in ipairs(names) do
	local v, err = rota.pget(a:go(name), 10)
	ok(v == 15, "get inside " .. name .. ", in an actor", v, err)
end
-- all CPUs block in places that cannot yield
local function blocked(i)
	local t = { i, i + 1 }
	table.sort(t, function(x, y) return rota.get(slow(x)) < rota.get(slow(y)) end)
	return t[1]
end
for i = 1, 10 do refs[i] = rota.task(blocked)(i) end
for i = 11, #refs do refs[i] = nil end
is(rota.get(refs, 20), { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n = 10 }, "ten tasks that block where Lua cannot yield")
-- wait, each, sleep, actors inside tasks
is(rota.get(rota.task(function()
	local s = 0
	for i, v in rota.each { slow(1, 0.02), slow(2), slow(3, 0.03) } do s = s * 10 + v end
	return s
end)()), 213, "each inside a task")
is(rota.get(rota.task(function()
	local ready, rest = rota.wait({ slow(1, 0.5), slow(2) }, { n = 1 })
	return #ready + 10 * #rest + 100 * rota.get(ready[1])
end)()), 211, "wait inside a task")
ok(rota.get(rota.task(function() local ready = rota.wait({ slow(1, 5) }, { timeout = 0.05 }) return #ready end)(), 4) == 0, "wait with a timeout inside a task")
local v, err = rota.pget(rota.task(function() return rota.get(slow(1, 5), 0.05) end)(), 4)
ok(err and err.code == "timeout", "get with a timeout inside a task", v, err)
is(rota.get(rota.task(function() return rota.map(function(x) return x * 2 end, { 1, 2, 3 }) end)()), { 2, 4, 6, n = 3 }, "map inside a task")
is(rota.get(rota.task(function()
	local C = rota.actor { new = function(self, n) self.n = n end, add = function(self, k) self.n = self.n + k return self.n end }
	local c = C(5)
	c:add(1)
	return rota.get(c:add(1))
end)()), 7, "an actor inside a task")
-- an actor that waits for a task that calls an actor
local Inner = rota.actor { val = function(self) return 40 end }
local Outer = rota.actor { new = function(self, i) self.i = i end,
	ask = function(self) return rota.get(rota.task(function(i) return rota.get(i:val()) + 1 end)(self.i)) + 1 end }
is(rota.get(Outer(Inner()):ask()), 42, "actor, task, actor")

-- a driver that submits and then computes: all of it completes meanwhile, seen through files
local function touch(name) local f = assert(io.open(dir .. "/" .. name, "w")) f:write "x" f:close() end
local function appears(name, sec)
	local till = os.clock() + sec
	while os.clock() < till do
		local f = io.open(dir .. "/" .. name)
		if f then f:close() return true end
	end
	return false
end
local step = rota.task(function(x) return x + 1 end)
local mark = rota.task(function(x, name) touch(name .. x) return x end)
local link = 0
for i = 1, 100 do link = step(link) end
local m1 = mark(link, "chain")
ok(appears("chain100", 10), "a chain of 100 completes while the driver computes")
local nest
nest = rota.task(function(n) if n == 0 then return 0 end return 1 + rota.get(nest(n - 1)) end)
local m2 = mark(nest(20), "nest")
ok(appears("nest20", 10), "a nested get of depth 20")
local ask = rota.task(function(t) touch("ask" .. rota.get(t[1])) end)
local m3 = ask { rota.put(77) }
ok(appears("ask77", 10), "a question to the driver as an owner")
local m4 = ask { step(step(slow(86))) }
ok(appears("ask88", 10), "about what is still to be computed")
for i = 1, 300 do mark(i, "q") end
local f300 = 0
local till = os.clock() + 10
while f300 < 300 and os.clock() < till do f300 = 0 for i = 1, 300 do local f = io.open(dir .. "/q" .. i) if f then f:close() f300 = f300 + 1 end end end
is(f300, 300, "300 queued tasks")
local K = rota.actor { mark = function(self, name) touch(name) end }
local k = K()
k:mark "actor1"
for i = 1, 100 do k:mark("actor" .. i) end
ok(appears("actor100", 10), "an actor is made and called 100 times")
local kk = rota.task(function(n) note = n if not io.open(dir .. "/once") then touch "once" os.execute "kill -9 $PPID" rota.sleep(9) end touch "retried" end)
local m5 = kk(1)
ok(appears("retried", 10), "a crash is noticed and the task tried again")
local m6 = slow:with { timeout = 0.2, name = "late" }(1, 60)
local m7 = rota.task(function(t) local v, e = rota.pget(t[1]) touch("late-" .. e.code) end) { m6 }
ok(appears("late-timeout", 10), "a time limit is kept")
-- a long task among short ones holds nobody up: its worker's queue goes to another CPU
local noop = rota.task(function(x) return x end)
local r = {}
for i = 1, 20000 do r[i] = noop(i) end
rota.get(r)
local door = dir .. "/door"
local spins = rota.task(function() local till = os.clock() + 5 while os.clock() < till do if io.open(door) then return "opened" end end return "late" end)
local s1, o1 = spins(), rota.task(function() io.open(door, "w"):close() return "done" end)()
is(rota.get(s1), "opened", "a task that computes until a later one has run")
-- a worker that computes serves what it owns
local gives = rota.task(function() return { rota.put "small" } end):with { name = "gives" }
local spin = rota.task(function(s) local till = os.clock() + s while os.clock() < till do end end)
local owned = {}
for i = 1, 8 do owned[i] = gives() end
owned = rota.get(owned)
local busy = { spin(1.5), spin(1.5) }
t0 = rota.now()
for i = 1, 8 do is(rota.get(owned[i][1], 10), "small", "an object of a worker, " .. i) end
ok(rota.now() - t0 < 1, "which computes something else", rota.now() - t0)
T.done()
