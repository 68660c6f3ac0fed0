-- surprises.lua - what surprises a newcomer from Lua or from Ray, and what rota does about it: a section a surprise, each with the message that the user reads
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
local function write(name, text)
	local f <close> = assert(io.open(dir .. "/" .. name, "w"))
	f:write(text)
end
write("helper_beside.lua", "local M = {} function M.twice(x) return 2 * x end return M")
package.path = dir .. "/?.lua;" .. package.path
local rota = require "rota"				-- no init: the first call joins

-- 1 a function of the script that is a global
function helper_global(x) return x + 1 end
is(rota.get(rota.task(function(x) return helper_global(x) end)(4), 20), 5, "a global function of the script is asked of the driver")

-- 2 C functions and modules as upvalues
local fmt, str = string.format, string
is(rota.get(rota.task(function(x) return fmt("%03d", x), str.rep("a", x) end)(3), 20), "003", "a C function of a loaded module travels by name")

-- 3 a module beside the script; a C module that is not installed
local beside = require "helper_beside"
is(rota.get(rota.task(function(x) return beside.twice(x) end)(4), 20), 8, "a module beside the script, as an upvalue")
is(rota.get(rota.task(function(x) return require "helper_beside".twice(x) end)(5), 20), 10, "a module beside the script, by require in the task")
local _, err = rota.pget(rota.task(function() return require "no_such_module_at_all" end)(), 20)
has(err, "no_such_module_at_all", "a module that nobody has is named")

-- 4, 5 the collector and the arena
do
	local r <close> = rota.put(("x"):rep(100))
	is(#rota.get(r), 100, "a ref can be closed")
	local free = rota.put "gone"
	rota.free(free)
	raises("freed", "a freed ref is refused", rota.get, free)
end
local kept = rota.get(rota.task(function(n)
	for _ = 1, n do rota.put(("x"):rep(1 << 20)) end	-- garbage in the arena: a thousand times what the loop names
	return "alive"
end)(400), 60)
is(kept, "alive", "garbage in the arena is collected while a loop makes it")
local Counter = rota.actor { new = function(self, n) self.n = n end, add = function(self, k) self.n = self.n + k return self.n end }
local closed
do
	local c <close> = Counter(1)
	is(rota.get(c:add(1), 20), 2, "an actor that can be closed")
	closed = c
end
raises("this handle was closed", "is gone after its scope", function() return closed:add(1) end)

-- 6, 7 nil, "why"; lists with holes
local v, why = rota.get(rota.task(function() return nil, "why" end)(), 20)
ok(v == nil and why == "why", "a ref holds all values that the function returned", v, why)
local id = rota.task(function(...) return ... end)
local vals = rota.get({ id(1), id(nil), id(3) }, 20)
ok(vals[1] == 1 and vals[2] == nil and vals[3] == 3 and vals.n == 3, "a list with nil: its n counts", vals, vals.n)
is({ rota.unpack(vals) }, { 1, nil, 3 }, "rota.unpack gives it back whole")
local named = rota.get({ train = id "t", test = id "e", plain = 5 }, 20)
ok(named.train == "t" and named.test == "e" and named.plain == 5, "get keeps the keys of any table and passes values through", named)
is({ rota.get(rota.task(function() return 1, 2 end):with { returns = 2 }(), 20) }, { 1 }, "returns=2 gives two refs; each holds its own")

-- 8, 9 time-outs and pget
local slow = rota.task(function(s) rota.sleep(s) return "late" end):with { cpus = 0 }
raises("", "a number is seconds", rota.get, slow(60), 0.01)
_, err = pcall(rota.get, slow(60), { timeout = 0.01 })
is(err.code, "timeout", "as is { timeout = }")
local vs, es = rota.pget({ good = id(1), bad = rota.task(function() error { code = 7 } end)() }, 20)
ok(vs.good == 1 and vs.bad == nil and es.good == nil and es.bad.value.code == 7, "pget of a table gives two tables with the same keys", es.bad)

-- 10, 11 errors read like strings and carry fields
local function boom() error "boom" end
_, err = rota.pget(rota.task(boom):with { name = "bomb" }(), 20)
ok(err:match "boom" and ("failed: " .. err):find("failed:", 1, true) == 1 and tostring(err):find "boom", "an error has the methods of a string, and joins", err)
for _, field in ipairs { "message", "code", "traceback", "task", "node", "attempt" } do ok(err[field] ~= nil, "it has a " .. field, err) end
is(err.code, "error", "code of a raised error")

-- 12 a ref is not its value
local ref = id(3)
for name, f in pairs { arithmetic = function() return ref + 1 end, length = function() return #ref end, joining = function() return ref .. "x" end,
	indexing = function() return ref.field end, comparison = function() return ref < 4 end } do
	local e = raises("a ref", name .. " of a ref is explained", f)
	has(e, "rota.get", "and what to do is said")
end
is(ref:get(), 3, "ref:get()")
ok(ref:wait(5), "ref:wait(t)")

local long = rota.task(function() rota.sleep(60) end):with { cpus = 0 }()
long:cancel()
_, err = rota.pget(long, 20)
is(err.code, "cancelled", "ref:cancel()")

-- 13, 14, 15 misspellings are told at the call
local c = Counter(0)
raises("call it with a colon", "a dot in place of a colon", function() return c.add(5) end)
is(rota.get(c.add:with { timeout = "10s" }(5), 20), 5, "options for one call of an actor")
raises("has no method 'ad' (it has", "a method that does not exist", function() return c:ad(5) end)
raises("cannot be read from outside", "a field of an actor", function() return c.n + 1 end)
raises("no option 'cpu'; did you mean 'cpus'?", "a misspelt option", function() return id:with { cpu = 2 } end)
raises("cpus", "an option of Ray's", function() return id:with { num_cpus = 2 } end)

-- 16, 17 recursion through a local; upvalues belong to the worker
local fib
fib = rota.task(function(n) if n < 2 then return n end return rota.get(fib(n - 1)) + rota.get(fib(n - 2)) end)
is(rota.get(fib(6), 20), 8, "a task that names itself by a local")

local count = 0
local counts = rota.task(function() count = count + 1 return count end)
rota.get(counts(), 20)
is(count, 0, "a task that assigns to an upvalue changes its worker's copy, not the script's")

-- 18 closures in a loop; big upvalues
local sums = {}
for i = 1, 50 do sums[i] = rota.task(function(x) return x + i end)(1) end
vals = rota.get(sums, 20)
ok(vals[1] == 2 and vals[50] == 51, "closures that differ by an upvalue", vals)
local data = ("d"):rep(2 << 20)
raises("upvalue 'data'", "an upvalue of 2 MiB is refused", function() return rota.task(function() return #data end)() end)

-- 19 the user's own coroutines
local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(rota.get(id(i))) end end)
is({ gen(), gen(), gen() }, { 1, 2, 3 }, "get in the driver's own coroutine gives values to its resumer")

-- 20 random numbers
local draw = rota.task(function() return math.random(1 << 60) end):with { max_calls = 1 }
vals = rota.get({ draw(), draw(), draw() }, 30)
ok(vals[1] ~= vals[2] and vals[2] ~= vals[3], "workers do not share a sequence of random numbers", vals)

-- 21 tables with metatables
local Point = { __index = { norm = function(p) return p.x + p.y end } }
raises("argument 1.items[3]", "a table with a metatable: where it is", function() return id { items = { 1, 2, setmetatable({ x = 1 }, Point) } } end)
_, err = pcall(id, setmetatable({}, Point))
has(err, "rota.class", "and what to do")
rota.class("surprise.point", Point)
is(rota.get(rota.task(function(p) return p:norm() end)(setmetatable({ x = 1, y = 2 }, Point)), 20), 3, "a named class travels")

-- 22 tables are what they were
local t = { 1, 2, x = "y", [2.5] = 3.0, [7] = 7, s = "\0\xff" }
is(rota.get(id(t), 20), t, "Lua to Lua is identity: keys, floats, bytes")
ok(rota.null ~= nil and rota.get(id(rota.null), 20) == rota.null, "rota.null is itself")

-- 23 what indexes a list of Lua counts from 1
local r1, r2 = rota.task(function() return "first", "second" end):with { returns = 2 }()
is(rota.get { r1, r2 }, { "first", "second", n = 2 }, "returns count from 1")
_, err = rota.pget(rota.task(boom)(), 20)
is(err.attempt, 1, "and so do attempts")

-- 24 buffers
local b = rota.buffer(4, "f64")
for i = 1, 4 do b[i] = i end
is(b:sub(2, 3)[1], 2.0, "a buffer counts from 1 and sub is inclusive")
local got = rota.get(rota.put(b))
local e = raises("read-only", "what came from get cannot be written", function() got[1] = 5 end)
has(e, "copy", "and says what can be done")

-- 25 actors from plain tables
local Plain = { count = 10 }
function Plain:more(k) self.count = self.count + k return self.count end
is(rota.get(rota.actor(Plain)():more(5), 20), 15, "a table of functions and defaults is an actor")
raises("metatable", "with a metatable it is refused", rota.actor, setmetatable({}, Point))
_, err = rota.pget(rota.actor { new = function() return 1 end, f = function() return 1 end }():f(), 20)
has(err, "new fills self and returns nothing", "new that returns something")

-- 27 waiting and iterating
local ready = rota.wait({ id(1), id(2) }, { n = "all", timeout = 20 })
is(#ready, 2, "wait takes refs and handles")
local seen = 0
for i, x in rota.each { id(1), id(2), id(3) } do seen = seen + i * x end
is(seen, 14, "each gives index and value as they finish")
is(rota.map(function(x) return x * x end, { 1, 2, 3 }), { 1, 4, 9, n = 3 }, "map")

-- 28 the worker's standard descriptors and exit
_, err = rota.pget(rota.task(function() os.exit(1) end):with { retries = 0 }(), 20)
has(err, "called exit(1)", "os.exit in a task is named")
is(err.code, "crashed", "and is a crash")
is({ rota.get(rota.task(function() return io.read "a", arg == nil end)(), 20) }, { "", true }, "a task's stdin is empty, and it has no arg")

-- 30 a ref as an argument
local r = rota.put(5)
is(rota.get(rota.task(function(x, list) return x + 0, rota.get(list[1]) end)(r, { r }), 20), 5, "a ref as an argument becomes its value; inside a table it stays a ref")

-- 31 absence
v, why = rota.find "nobody-has-this-name"
ok(v == nil and tostring(why):find("no actor 'nobody-has-this-name' in namespace", 1, true), "find of an absent actor: nil and why", v, why)

-- 32 names
_, err = rota.pget(rota.task(function() error "where" end)(), 20)
has(err.task, "surprises.lua:", "a task without a name is named by its line")
has(err.traceback, "surprises.lua:", "and its traceback has lines")

-- the hint of a global that could not travel
an_open_file = io.tmpfile()
_, err = rota.pget(rota.task(function() return an_open_file.x end)(), 20)
has(err, "a global of the script; it could not travel", "a global that cannot travel is explained")
T.done()
