-- func.lua - functions travel with what they close over: modules by name, sharing kept, and a path where something cannot
local codec = require "rota.codec"
local n, bad = 0, 0
local function ok(x, name)
	if TAP_OK then TAP_OK(not not x, name) return end
	n = n + 1
	if not x then bad = bad + 1 end
	print((x and "ok " or "not ok ") .. n .. " - " .. name)
end
local function trip(f) return codec.unfunc(codec.func(f)) end
local function fails(text, f, name)
	local good, err = pcall(codec.func, f, name or "task sq.lua:9")
	ok(not good and err == text, "refused: " .. text)
	if good or err ~= text then print("# said: " .. tostring(err)) end
end

ok(trip(function(x) return x * x end)(7) == 49, "no upvalue")
local k = 10
ok(trip(function(x) return x + k end)(7) == 17, "one")
local fmt, str = string.format, string
local g = trip(function(x) return fmt("%d", x) .. str.rep("y", 2), str, fmt end)
local r, s1, f1 = g(3)
ok(r == "3yy" and s1 == string and f1 == string.format, "modules and their functions are the very ones")
ok(trip(print) == print, "a C function of a module")
local fib
fib = function(x) return x < 2 and x or fib(x - 1) + fib(x - 2) end
local fib2 = trip(fib)
ok(fib2(15) == 610, "recursive")
fib = nil
ok(fib2(10) == 55, "the copy calls the copy")
local even, odd
even = function(x) return x == 0 or odd(x - 1) end
odd = function(x) return x ~= 0 and even(x - 1) end
ok(trip(even)(10) and not trip(even)(7), "two that call each other")
local c = 0
local inc, get = function() c = c + 1 end, function() return c end
local i2, g2 = trip(function() return inc, get end)()
i2() i2()
ok(g2() == 2 and c == 0, "an upvalue that two share is shared afterwards, and is a copy")
local pair = codec.decode(codec.encode({ inc, get }))
pair[1]()
ok(pair[2]() == 1 and c == 0, "also in a table")
local t = { f = nil }
t.f = function() return t end
local tf = trip(t.f)
ok(tf().f == tf, "a table that holds the function that holds it")
ok(trip(function() return _G, _ENV, print end)() == _G, "globals are those of where it runs")
helper_global = 5
ok(trip(function() return helper_global end)() == 5, "a global is looked up, not copied")
helper_global = nil
local env = { x = 3 }
local fenv = load("return x", "=c", "t", env)
ok(trip(fenv)() == 3, "another _ENV is copied")
ok(trip(load("local a = ... return a + 1", "=c"))(1) == 2, "a chunk")
ok(trip(function(...) return select("#", ...), ... end)(1, nil, 3) == 3, "varargs")
local cl = {}
for i = 1, 100 do cl[i] = function() return i end end
local bytes = codec.encode(cl)
local one = codec.encode(cl[1])
ok(#bytes < #one + 100 * 70, "closures of a loop share their code (" .. #bytes .. " bytes for 100, " .. #one .. " for one)")
local cl2, sum = codec.decode(bytes), 0
for i = 1, 100 do sum = sum + cl2[i]() end
ok(sum == 5050, "and keep their own upvalues")
ok(codec.func(fib2) == codec.func(fib2), "the same function gives the same bytes")
local same = cl[1]
a, b = codec.decode(codec.encode({ same, same }))
ok(a[1] == a[2], "one function twice is one")
a, b = nil, nil
local _, err = pcall(trip(function() error "boom" end))
ok(err:match "^[^:]*func.lua:%d+: boom$", "errors keep file and line: " .. err)

-- what cannot travel
local co = coroutine.create(print)
local f = function() return co end
fails("task sq.lua:9: upvalue 'co': a coroutine cannot travel", f)
local h = { x = co }
local f3 = function() return h end
fails("task sq.lua:9: upvalue 'h' -> field 'x': a coroutine cannot travel", f3)
local f4 = function() return f3 end
fails("task sq.lua:9: upvalue 'f3' -> upvalue 'h' -> field 'x': a coroutine cannot travel", f4)
local list = { 1, { co } }
fails("task sq.lua:9: upvalue 'list' -> [2] -> [1]: a coroutine cannot travel", function() return list end)
local gm = string.gmatch("a", "a")
fails("task sq.lua:9: upvalue 'gm': a C function cannot travel (it is in no module of package.loaded)", function() return gm end)
local file = io.tmpfile()
fails("task sq.lua:9: upvalue 'file': userdata (FILE*) cannot travel", function() return file end)
local data = ("x"):rep(3 << 20)
fails("task sq.lua:9: its upvalue 'data' is 3.0M; rota.put it once and pass the ref", function() return data end)
data = {}
for i = 1, 400000 do data[i] = i * 1000 end
local good
good, err = pcall(codec.func, function() return data end, "task sq.lua:9")
ok(not good and err:match "^task sq.lua:9: its upvalue 'data' is 1%.%dM; rota.put it once and pass the ref$", "a big table: " .. tostring(err))
data = nil
good, err = pcall(codec.encode, { cb = f3 })
ok(err == "argument 1.cb: upvalue 'h' -> field 'x': a coroutine cannot travel", "within an argument: " .. tostring(err))
local v, why = codec.decode(codec.encode(fib2), 1, true)
ok(v == nil and why:find "code", "no function where code is not allowed")

-- a module of the script's own
package.loaded.mymod = { twice = function(x) return 2 * x end, name = "mymod" }
local mymod, twice = require "mymod", require "mymod".twice
local m, tw = trip(function() return mymod, twice end)()
ok(m == mymod and tw == twice, "a module loaded later is known, and so are its Lua functions")
local enc = codec.func(function() return mymod, twice end)
package.loaded.mymod = nil
package.preload.mymod = function() return { twice = math.abs } end
m, tw = codec.unfunc(enc)()
ok(m == require "mymod" and tw == math.abs, "it is required where it is not loaded")
package.loaded.mymod, package.preload.mymod = nil, nil
good, err = pcall(codec.unfunc, enc)
ok(not good and err:find "module 'mymod' is not installed", "or missed by name: " .. tostring(err))
package.loaded.gone = { 1 }
local gone = package.loaded.gone
codec.func(function() return gone end)
package.loaded.gone, package.loaded.other = nil, {}
ok(trip(function() return gone end)()[1] == 1, "a module that is none any more goes by value")
if not TAP_OK then
	print("1.." .. n)
	os.exit(bad == 0)
end
