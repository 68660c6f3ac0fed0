-- manual.lua - what rota-lua(7) promises beside tasks.lua and refs.lua: limits inside tasks, where Lua cannot yield, ends of actors, what travels
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has = T.ok, T.is, T.has
rota.init { address = "private", cpus = 2 }
local id = rota.task(function(...) return ... end)
local slow = rota.task(function(s) rota.sleep(s) return "done" end):with { cpus = 0 }

-- pget never raises
local v, err = rota.pget(slow(60), 0.02)
ok(v == nil and err.code == "timeout", "pget of a late ref: nil and an error", err)
local two = id(2)
rota.wait({ two }, { timeout = 60 })
local vals, errs = rota.pget({ a = slow(60), b = two, c = 3 }, "50ms")
ok(vals.a == nil and vals.b == 2 and vals.c == 3 and errs.a.code == "timeout" and errs.b == nil, "pget of a table: what is late is among the errors")

-- limits inside a task
is({ rota.get(rota.task(function()
	local x, e = rota.pget(slow(60), 0.02)
	local list, es = rota.pget({ slow(60), id(2) }, 0.05)
	local good, raised = pcall(rota.get, slow(60), 0.02)
	return x, e.code, list[1], list[2], es[1].code, good, raised.code, rota.get(id(5))
end)(), 20) }, { nil, "timeout", nil, 2, "timeout", false, "timeout", 5 }, "a get inside a task ends with its time")

-- where Lua cannot yield the worker blocks
is({ rota.get(rota.task(function()
	local t = { 3, 1, 2 }
	table.sort(t, function(a, b) return rota.get(id(a)) < rota.get(id(b)) end)
	local up = ("abc"):gsub(".", function(c) return rota.get(id(c:upper())) end)
	local text = tostring(setmetatable({}, { __tostring = function() return rota.get(id "text") end }))
	local joined = table.concat(setmetatable({}, { __len = function() return 2 end, __index = function(_, i) return rota.get(id(i)) end }), ",")
	local _, handled = xpcall(error, function() return rota.get(id "handled") end, "x")
	local sum = setmetatable({}, { __add = function() return rota.get(id(7)) end }) + 1
	local gen = coroutine.wrap(function() for i = 1, 2 do coroutine.yield(rota.get(id(i))) end end)
	return table.concat(t), up, text, joined, handled, sum, gen(), gen()
end)(), 20) }, { "123", "ABC", "text", "1,2", "handled", 7, 1, 2 }, "sort, gsub, __tostring, concat, xpcall, metamethods, coroutines")

-- actors: ends and retries
local Class = rota.actor {
	add = function(self, k) self.n = (self.n or 0) + k return self.n end,
	nap = function(self, s) rota.sleep(s) return "slept" end,
	once = function(self, path)
		if os.rename(path, path .. ".seen") then os.exit(1) end
		return "second try"
	end,
}
local a = Class()
rota.get(a:add(1))
local before = a:nap(0.05)
rota.stop(a)
v, err = rota.pget(a:add(1), 5)
ok(v == nil and err.code == "actor_died", "a call after stop fails", err)
is(rota.get(before, 5), "slept", "a call before stop ends")
a = Class()
rota.get(a:add(1))
rota.kill(a)
v, err = rota.pget(a:add(1), 5)
ok(v == nil and err.code == "actor_died", "a call after kill fails", err)
a = Class:with { restarts = 1 }()
is(rota.get(a:add(5)), 5, "an actor with one restart")
rota.kill(a, { restart = true })
a.add:with { retries = 1 }(0)
ok(rota.wait({ a:add(1) }, 5)[1], "it is there again")
for text, call in pairs {
	["retries of the class"] = function(path) return Class:with { restarts = 1, retries = 1 }():once(path) end,
	["retries of the call"] = function(path) return Class:with { restarts = 1 }().once:with { retries = 1 }(path) end,
} do
	local path = os.tmpname()
	v, err = rota.pget(call(path), 10)
	is(v, "second try", text .. ": a call that had started is sent again")
	os.remove(path .. ".seen")
end
local path = os.tmpname()
v, err = rota.pget(Class:with { restarts = 1 }():once(path), 10)
ok(v == nil and err.code == "actor_died", "without it fails", err)
has(err, "may have had its effect", "and says so")
os.remove(path .. ".seen")

-- classes of actors travel, as handles and tasks do
is(rota.get(rota.task(function() local b = Class() return rota.get(b:add(4)) end)(), 10), 4, "a class as an upvalue")
is(rota.get(rota.get(rota.task(function() return Class() end)(), 10):add(2), 10), 2, "a handle as a result")
is(rota.get(rota.get(rota.task(function() return rota.task(function(x) return 2 * x end) end)(), 10)(4), 10), 8, "a task as a result")
T.done()
