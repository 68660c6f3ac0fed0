-- misuse.lua - nonsense to every public function and method: an error of one line or a result, never a crash or a hang
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local rota = require "rota"
rota.init { address = "private", cpus = 64 }
local seed = tonumber(arg[1]) or os.getenv "ROTA_LONG" == "1" and os.time() or 1	-- a search of its own only where there is time for it
math.randomseed(seed)
print("# seed " .. seed)

-- what was found so
local echo = rota.task(function(...) return ... end)
local long = ("y"):rep(70000)
local group, why = rota.group(long)
ok(group == nil and why:find "64 KiB", "a name too long for a message is answered", why)
is(select("#", rota.find(long, long)), 2, "of an actor, too")
raises("at most 255 bytes", "of an object", rota.keep, rota.put(long), { name = long })
raises("at most 255 bytes", "of a resource", echo.with, echo, { resources = { [long] = 1 } })
raises("table of names and numbers", "amounts of resources are numbers", echo.with, echo, { resources = { ssd = 0 / 0 } })
raises("a reference, or a table of them", "get takes no task", rota.get, echo)
raises("a reference is expected", "free takes no task", rota.free, echo)
raises("takes a function", "scope takes a function", rota.scope, 1)
raises("a table is expected", "unpack takes a table", rota.unpack, 1)
raises("a key is a string, got nil", "watch takes a string", rota.kv.watch, rota.kv)
raises("words of a command", "cmd takes words", rota.cmd)
raises("metatable of its own", "map marks no object", rota.map, setmetatable({}, {}))
local w, r = rota.channel {}
raises("through itself", "the end of a channel is not sent through itself", w.send, w, { w })
raises("through itself", "nor closed with itself as the error", w.close, w, w)
w:send(3)
is(r:recv(5), 3, "and works on")
is(getmetatable(echo), "rota.task", "functions that trust what they are called with are out of reach")
local ready = rota.group { { cpus = 0.01 } }
ok(ready ~= setmetatable({}, { __index = error }), "a group is compared with anything")
ready:remove()

-- what it is called with
local Counter = rota.actor { new = function(self) self.n = 1 end, f = function(self, ...) return ... end }
local stream = rota.task(function(n) for i = 1, n do coroutine.yield(i) end end):with { stream = true }
local function handles()
	local w, r = rota.channel {}
	local a, dead, freed = Counter(), Counter(), rota.put "x"
	rota.kill(dead)
	rota.free(freed)
	local dag = rota.dag(function(x) return a:f(x) end)
	return { ref = echo(1), w = w, r = r, a = a, dead = dead, freed = freed, s = stream(3), b = rota.buffer(16), kv = rota.kv, echo = echo,
	    Counter = Counter, dag = dag, m = a.f, big = rota.put(long:rep(2)), context = rota.context(), pool = Counter:pool(2),
	    err = select(2, rota.pget(rota.task(function() error "x" end)())), list = rota.array { 1, 2 } }
end
local cycle, deep, strange = {}, {}, setmetatable({}, { __index = function() error "index" end, __len = function() return 1 << 40 end })
cycle[1] = cycle
do local x = deep for _ = 1, 100000 do x[1] = {} x = x[1] end end
local odd = { false, true, 0, 1, -1, 3, 1 << 31, 1 << 32, 1 << 62, math.mininteger, math.maxinteger, 0.5, 1e18, 1e300, -1e300, 0 / 0, 1 / 0, -1 / 0,
    "", "x", "\0", "a\0b", long, "\xff\xfe", "10s", "-1s", "1e999s", "%s%n", "\r\t", "local", "1G", "99999999999999999999G", {}, { 1 },
    { n = -1 }, { n = 1 << 60 }, { n = "all" }, { timeout = 0 }, { timeout = -1 }, { timeout = 0 / 0 }, { cpus = -1 }, { cpus = 1e300 },
    { name = "" }, { name = long }, { name = "a\0b" }, { returns = 1 << 40 }, { returns = 0 }, { retries = 1e9 }, { resources = { 2 } },
    { backlog = 0 }, { bytes = 1 << 50 }, { bytes = -1 }, { items = 1 << 40 }, { nil, 2 }, { cycle }, cycle, deep, strange,
    setmetatable({}, { __tostring = function() return 1 end, __name = 5 }), coroutine.create(print), print, io.stdout, function() end,
    function() error "z" end, string.format, math, _G, rota, rota.null, { [1.5] = 1 }, { [{}] = 1 } }

-- everything that can be called, but what waits for ever when it is called rightly, and init
local waits = { sleep = true, recv = true, read = true, poll = true, next = true, join = true, each = true, watch = true, submit = true, group = true, once = true, shield = true, pool = true, set = true }
local calls, H = {}, handles()
local function add(where, t, self)
	for name, f in pairs(t) do
		if type(name) == "string" and name:sub(1, 2) ~= "__" and not waits[name] and name ~= "init" and
		    (type(f) == "function" or type(f) == "userdata" and f ~= rota.null) then
			calls[#calls + 1] = { name = where .. "." .. name, f = f, self = self }
		end
	end
end
add("rota", rota)
local names = {}
for name, h in pairs(H) do
	local index = (debug.getmetatable(h) or {}).__index
	if type(index) == "table" then add(name, index, name) end
	names[#names + 1] = name
end
add("kv", rota.kv, "kv")
table.sort(names)
table.sort(calls, function(x, y) return x.name < y.name end)

local function text(err)		-- of an error; functions of odd raise theirs
	return type(err) == "string" and err or type(err) == "table" and rawget(err, "message") or tostring(err)
end
local wrong = {}
for i = 1, 600 do
	local call, arg, n = calls[math.random(#calls)], {}, math.random(0, 4)
	if i % 60 == 0 then H = handles() end
	for j = 1, n do
		local kind = math.random(10)
		if kind < 4 then arg[j] = H[names[math.random(#names)]] elseif kind > 4 then arg[j] = odd[math.random(#odd)] end
	end
	if call.self and math.random(10) > 1 then arg[1], n = H[call.self], math.max(n, 1) end
	if os.getenv "ROTA_LONG" == "1" then
		io.write("# ", call.name)
		for j = 1, n do io.write(" ", type(arg[j])) end
		print()
		io.stdout:flush()
	end
	local t0 = rota.now()
	local good, err = pcall(call.f, table.unpack(arg, 1, n))
	if not good and (text(err):find "\n%S" or #text(err) > 2000) then wrong[#wrong + 1] = call.name .. ": " .. text(err):sub(1, 200) end
	if rota.now() - t0 > 10 then wrong[#wrong + 1] = call.name .. ": took long" end
end
is(table.concat(wrong, "; "), "", "errors of one line, in time")
is(rota.get(echo(42), 20), 42, "work goes on")
T.done()
