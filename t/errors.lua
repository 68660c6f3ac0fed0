-- errors.lua - errors as objects, retries after os.exit and kill -9, time limits, what cannot travel names its path, modules and globals of the script
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
package.path = dir .. "/?.lua;" .. package.path
rota.init { address = "private", cpus = 2, store = "256M" }

-- an error object
local thrower = rota.task(function(x) error(x) end):with { name = "thrower" }
local v, err = rota.pget(thrower "plain")
ok(type(err) == "table" and err.message:match "errors%.lua:%d+: plain$", "message with its position", err.message)
is(err.code, "error", "code")
is(err.task, "thrower", "task")
is(err.attempt, 1, "attempt")
ok(type(err.node) == "string" and #err.node > 0, "node", err.node)
ok(err.traceback:match "stack traceback" and err.traceback:match "errors%.lua:%d+", "traceback with lines", err.traceback)
is(err.value, nil, "no value when a string was raised")
ok(err:match "plain" == "plain" and err:find("plain", 1, true) and err:upper():find "PLAIN", "string methods work on it")
ok("failed: " .. err == "failed: " .. err.message and err .. "!" == err.message .. "!", "concatenation")
ok(tostring(err) == err.message and #err == #err.message, "tostring and length")
local good, raised = pcall(rota.get, thrower "again")
ok(not good and type(raised) == "table" and raised.task == "thrower", "get raises the object")
good, raised = pcall(function() local x = rota.map({ 1, 2 }, thrower) return x end)
has(raised, "errors.lua:25: rota.map(f, list): a list is expected, got", "map with its arguments the wrong way round")
v, err = rota.pget(thrower { code = 7, list = { 1, 2 } })
ok(err.value and err.value.code == 7 and err.value.list[2] == 2, "a raised table arrives as err.value", err.value)
v, err = rota.pget(thrower { message = "told", code = "mine" })
has(err, "told", "its message is the message")
v, err = rota.pget(thrower(42))
is(err.value, 42, "a raised number")
v, err = rota.pget(thrower(nil))
has(err, "nil", "error(nil)")
v, err = rota.pget(rota.task(function() local t = nil return t.x end)())
has(err, "attempt to index a nil value (local 't')", "names of variables are kept")
v, err = rota.pget(rota.task(function() return nope_nope() end)())
has(err, "global 'nope_nope'", "a global that is nowhere")
v, err = rota.pget(rota.task(function() local x = setmetatable({}, { __tostring = function() return "I am odd" end }) error(x) end)())
has(err, "I am odd", "an object that says what it is")
v, err = rota.pget(rota.task(function() error(setmetatable({}, { __tostring = error })) end)())
ok(err and err.code ~= "crashed", "an error whose __tostring raises is no death of the worker")
v, err = rota.pget(rota.task(function() error(print) end)())
ok(err ~= nil, "a raised function", err)
v, err = rota.pget(rota.task(function() error(coroutine.create(print)) end)())
ok(err ~= nil, "a raised thread", err)
v, err = rota.pget(rota.task(function() error(("x"):rep(100000), 0) end)())
ok(err ~= nil and #tostring(err) > 0, "a message of 100,000 bytes", err and #tostring(err))
v, err = rota.pget(rota.task(function() local function f(n) return 1 + f(n + 1) end return f(1) end)())
has(err, "stack overflow", "a stack overflow")
v, err = rota.pget(rota.task(function() coroutine.yield(1) end)())
has(err, "coroutine.yield in a task that is no stream", "a stray yield")
v, err = rota.pget(rota.task(function() return coroutine.create(print) end)())
has(err, "result 1: a coroutine cannot travel", "a result that cannot travel")
v, err = rota.pget(rota.task(function() return { a = { io.stdout, io.popen "true" } } end)())
has(err, "result 1.a[2]", "its path")
-- through several tasks
local inner = rota.task(function() error { why = "deep" } end):with { name = "inner" }
local outer = rota.task(function() return rota.get(inner()) end):with { name = "outer" }
v, err = rota.pget(outer())
ok(err.task == "inner" and err.value.why == "deep", "an error of a nested task comes through as it is", err.task)
v, err = rota.pget(rota.task(function() local ok, e = pcall(rota.get, inner()) return { ok, e.task, e.value.why, tostring(e.code) } end)())
is(v, { false, "inner", "deep", "error" }, "and can be caught there")
v, err = rota.pget(rota.task(function() local v, e = rota.pget(inner()) error("wrapped: " .. e, 0) end)())
has(err, "wrapped: ", "and wrapped")
is(rota.get(rota.task(function(e) return e.task end)(select(2, rota.pget(inner())))), "inner", "an error object travels as a value")

-- crashes and retries: attempts are counted in files
local function count(name)
	local n = 0
	for _ in io.lines(dir .. "/" .. name) do n = n + 1 end
	return n
end
local function note(name) local f = assert(io.open(dir .. "/" .. name, "a")) f:write "x\n" f:close() end
local exits = rota.task(function(name, upto)
	note(name)
	local n = 0
	for _ in io.lines(dir .. "/" .. name) do n = n + 1 end
	if n <= upto then os.exit(3) end
	return n
end)
is(rota.get(exits("one", 1)), 2, "os.exit counts as a crash and is tried again")
v, err = rota.pget(exits:with { retries = 0 }("zero", 99))
ok(err and err.code == "crashed" and count "zero" == 1, "retries = 0", err)
has(err, "exit(3)", "the error says what it did")
is(err.attempt, 1, "and at which attempt")
local t0 = rota.now()
v, err = rota.pget(exits:with { retries = 2 }("two", 99))
ok(err and err.code == "crashed" and count "two" == 3 and err.attempt == 3, "retries = 2: three attempts", err, count "two")
ok(rota.now() - t0 >= 0.1, "the second retry waits a little", rota.now() - t0)
local kills = rota.task(function(name, upto)
	note(name)
	local n = 0
	for _ in io.lines(dir .. "/" .. name) do n = n + 1 end
	if n <= upto then os.execute("kill -9 $PPID") end
	return n
end)
is(rota.get(kills("k1", 1)), 2, "kill -9 of the worker: tried again")
v, err = rota.pget(kills:with { retries = 0 }("k0", 99))
ok(err and err.code == "crashed" and err:find "SIGKILL", "and told by its signal", err)
v, err = rota.pget(rota.task(function() os.execute "kill -ABRT $PPID" rota.sleep(1) end):with { retries = 0 }())
ok(err and err.code == "crashed" and err:find "SIGABRT", "another signal", err)
v, err = rota.pget(rota.task(function() note "err" error "once" end):with { retries = 5 }())
ok(err and count "err" == 1, "an error that is raised is not tried again")
-- others on the same worker are not harmed
local inc = rota.task(function(x) return x + 1 end)
local refs = {}
for i = 1, 500 do refs[i] = inc(i) if i % 100 == 0 then refs[i] = exits("mix" .. i, 1) end end
local vals, errs = rota.pget(refs)
local wrong = 0
for i = 1, 500 do if vals[i] ~= (i % 100 == 0 and 2 or i + 1) then wrong = wrong + 1 end end
ok(errs == nil and wrong == 0, "500 tasks, five of them crash their worker", wrong, errs)
-- arguments survive a retry: inline, in a block, in the arena, refs
for _, n in ipairs { 5, 1000, 100000 } do
	local s = ("s"):rep(n)
	local f = rota.task(function(name, a, b, t)
		note(name)
		local k = 0
		for _ in io.lines(dir .. "/" .. name) do k = k + 1 end
		if k == 1 then os.execute "kill -9 $PPID" rota.sleep(5) end
		return #a, #b, #rota.get(t[1])
	end)
	is({ rota.get(f("args" .. n, s, rota.put(s), { rota.put(s) })) }, { n, n, n }, "arguments of " .. n .. " bytes are there at the second attempt")
end
-- several returns and retries
local two = rota.task(function(name) note(name) local k = 0 for _ in io.lines(dir .. "/" .. name) do k = k + 1 end
	if k == 1 then os.exit(1) end return k, k + 1 end):with { returns = 2 }
local a, b = two "two-returns"
is({ rota.get(a), rota.get(b) }, { 2, 3 }, "returns = 2 and a retry")
local c1, c2 = two:with { retries = 0 } "two-returns-0"
ok(select(2, rota.pget(c1)).code == "crashed" and select(2, rota.pget(c2)).code == "crashed", "and without")

-- what cannot travel
local co = coroutine.create(print)
raises("argument 1: a coroutine cannot travel", "an argument", inc, co)
raises("argument 2.list[3].x", "its path", inc, 1, { list = { 1, 2, { x = io.popen "true" } } })
raises("has a metatable", "a table with a metatable", inc, setmetatable({}, { __index = {} }))
raises("rota.class", "and the remedy", inc, setmetatable({}, { __index = {} }))
local pipe = io.popen "true"
raises("upvalue 'pipe'", "an upvalue", rota.task(function() return pipe end))
local deep = { a = { b = { pipe } } }
raises("upvalue 'deep' -> field 'a' -> field 'b' -> [1]", "its path", rota.task(function() return deep end))
local huge = ("h"):rep(2 << 20)
raises("rota.put it once and pass the ref", "an upvalue of 2 MiB", rota.task(function() return huge end))
has(select(2, pcall(rota.task(function() return huge end))), "upvalue 'huge'", "its name")
local self_ref = {} self_ref.me = self_ref
ok(rota.get(rota.task(function(t) return t.me == t end)(self_ref)), "cycles travel")

-- upvalues: shared, cyclic, frozen at the first call
local n = 0
local function up() n = n + 1 return n end
local both = rota.task(function() up() n = n + 10 return up() end)
is(rota.get(both()), 12, "an upvalue that two functions share is shared there")
is(n, 0, "and is a copy")
local k = 1
local frozen = rota.task(function() return k end)
k = 2
is(rota.get(frozen()), 2, "upvalues are taken at the first call")
k = 3
is(rota.get(frozen()), 2, "and then stay")
local fact
fact = rota.task(function(x) return x < 2 and 1 or x * rota.get(fact(x - 1)) end)
is(rota.get(fact(5)), 120, "a task may name itself")
local even, odd
even = function(x) return x == 0 or odd(x - 1) end
odd = function(x) return x ~= 0 and even(x - 1) end
ok(rota.get(rota.task(function(x) return even(x) end)(10)), "functions that call each other")
for i = 1, 50 do refs[i] = rota.task(function() return i end)() end
local all = rota.get(refs)
good = true
for i = 1, 50 do good = good and all[i] == i end
ok(good, "closures of a loop")

-- globals and modules
function helper(x) return x + helper_base end
helper_base = 100
is(rota.get(rota.task(function() return helper(1) end)()), 101, "global functions and values of the script")
helper_pipe = pipe
v, err = rota.pget(rota.task(function() return helper_pipe.x end)())
has(err, "global 'helper_pipe'", "a global that cannot travel")
has(err, "it could not travel", "and why it is missing")
local f = assert(io.open(dir .. "/beside.lua", "w"))
f:write [[local M = { loads = 0 } function M.twice(x) return 2 * x end function M.count() M.loads = M.loads + 1 return M.loads end return M]]
f:close()
is(rota.get(rota.task(function() return require "beside".twice(21) end)()), 42, "a module beside the script is found")
local beside = require "beside"
is(rota.get(rota.task(function() return beside.twice(4) end)()), 8, "as an upvalue too")
local twice = beside.twice
is(rota.get(rota.task(function() return twice(5) end)()), 10, "a function of it")
f = assert(io.open(dir .. "/broken.lua", "w"))
f:write "local x =\nreturn x +\n"
f:close()
v, err = rota.pget(rota.task(function() return require "broken" end)())
has(err, "broken.lua:", "a module with a syntax error: file and line")
v, err = rota.pget(rota.task(function() return require "no_such_module_here" end)())
has(err, "module 'no_such_module_here' not found", "a module that is nowhere")
local fmt, str = string.format, string
is(rota.get(rota.task(function() return fmt("%03d", 7) .. str.upper "x" end)()), "007X", "functions and tables of the standard library")
is(tostring(rota.get(rota.task(function()
	local seen
	pcall(function()
		local a <close> = setmetatable({}, { __close = function(_, e) seen = e end })
		error("boom", 0)
	end)
	return seen
end)())), "boom", "a handler of a to-be-closed variable gets the error, in a pcall")
local w, r = rota.channel()
rota.task(function(w)
	local a <close> = setmetatable({}, { __close = function(_, e) w:send(tostring(e)) w:close() end })
	error("boom", 0)
end)(w)
is(r:recv(), "boom", "and where the error ends the task")
T.done()
