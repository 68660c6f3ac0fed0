-- tasks.lua - tasks through the Lua API: calls, options and their errors, get and pget, wait, each, map, time-outs, what cannot be met
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
ok(rota.init { address = "private", cpus = 2 } == true, "a node of our own")
ok(rota.init() == false, "init again says that it had joined")

-- calls and results
local id = rota.task(function(...) return ... end)
is(rota.get(id(7)), 7, "a number")
is(table.pack(rota.get(id(1, nil, 3, nil))), table.pack(1, nil, 3, nil), "all values of a call, nils too")
is(table.pack(rota.get(id())), table.pack(), "no value at all")
is(table.pack(rota.get(id(nil))), table.pack(nil), "nil alone")
local many = {}
for i = 1, 200 do many[i] = i end
is({ rota.get(id(table.unpack(many))) }, many, "200 arguments and results")
is({ rota.get(rota.task(function() return nil, "why" end)()) }, { nil, "why" }, "the idiom nil, why")
ok(select("#", rota.get(id(false, nil))) == 2, "false and nil are two")

-- 1,000 calls, in order of their list
local square = rota.task(function(x) return x * x end)
local refs, want = {}, { n = 1000 }
for i = 1, 1000 do refs[i] = square(i) want[i] = i * i end
is(rota.get(refs), want, "a list keeps its order and has n")
is(rota.get { a = square(2), b = square(3), [5] = square(4), c = "x", d = { 1 } },
	{ a = 4, b = 9, [5] = 16, c = "x", d = { 1 } }, "a table keeps its keys, what is no ref passes through")
is(rota.get {}, {}, "an empty list")
is(rota.get { id(nil), id(2), id(nil) }, { nil, 2, nil, n = 3 }, "nil results: n tells the length")
is(rota.get { id(1, 2), id(3, 4) }, { 1, 3, n = 2 }, "of a list the first value of each")
is({ rota.unpack(rota.get { id(nil), id(2), id(nil) }) }, { nil, 2, nil }, "rota.unpack")
ok(select("#", rota.unpack(rota.get { id(nil), id(2), id(nil) })) == 3, "rota.unpack knows n")
local r = square(9)
is(rota.get(r), 81, "get once")
is(rota.get(r), 81, "get twice")
is(r:get(), 81, "ref:get()")
ok(r:ready() and r:wait() and r:wait(0), "ref:ready(), ref:wait()")

-- pget
local bad = rota.task(function(x) if x % 2 == 1 then error("odd " .. x, 0) end return x end)
local v, err = rota.pget(bad(2))
ok(v == 2 and err == nil, "pget of one that is well")
v, err = rota.pget(bad(1))
ok(v == nil and err.message == "odd 1", "pget of one that failed", err)
local vals, errs = rota.pget { bad(1), bad(2), bad(3), x = bad(4) }
ok(vals[1] == nil and vals[2] == 2 and vals[3] == nil and vals.x == 4, "pget of a table: what came")
ok(errs[1].message == "odd 1" and errs[3].message == "odd 3" and errs[2] == nil and errs.x == nil, "and what failed")
vals, errs = rota.pget { bad(2), bad(4) }
ok(errs == nil and vals[1] == 2 and vals[2] == 4 and vals.n == 2, "pget: no second table when nothing failed")
raises("odd 5", "get of a list raises the first failure", rota.get, { bad(2), bad(5), bad(7) })

-- returns = n
local three = rota.task(function(x) return x, x + 1 end):with { returns = 3 }
local a, b, c = three(5)
is({ rota.get { a, b, c } }, { { 5, 6, nil, n = 3 } }, "returns=3: three refs, the missing value is nil")
local fails3 = rota.task(function() error "all three" end):with { returns = 3 }
a, b, c = fails3()
for i, x in ipairs { a, b, c } do has(select(2, rota.pget(x)), "all three", "returns=3: failure of ref " .. i) end
a, b, c = rota.task(function(x) return x, x .. x, #x end):with { returns = 3 }(("z"):rep(3000))
ok(#rota.get(a) == 3000 and #rota.get(b) == 6000 and rota.get(c) == 3000, "returns: longer ones")
local lots = { rota.task(function() local t = {} for i = 1, 255 do t[i] = i end return table.unpack(t) end):with { returns = 255 }() }
ok(#lots == 255 and rota.get(lots)[255] == 255, "returns=255")
a, b, c = three(1)
a, c = nil, nil
collectgarbage()
is(rota.get(b), 2, "one of three kept, the others dropped")

-- options
for _, o in ipairs {
	{ { cpu = 2 }, "with: no option 'cpu'; did you mean 'cpus'?" },
	{ { num_cpus = 2 }, "with: no option 'num_cpus'; did you mean 'cpus'?" },
	{ { num_returns = 2 }, "did you mean 'returns'?" },
	{ { max_retries = 2 }, "did you mean 'retries'?" },
	{ { retrys = 2 }, "with: no option 'retrys'; did you mean 'retries'?" },
	{ { timout = 2 }, "did you mean 'timeout'?" },
	{ { memroy = 2 }, "did you mean 'memory'?" },
	{ { zzzzzzzz = 2 }, "with: no option 'zzzzzzzz'" },
	{ { 5 }, "with: options have names, 1 is none" },
	{ { cpus = "many" }, "'cpus' is a number" },
	{ { cpus = -1 }, "'cpus' is a number" },
	{ { cpus = 0 / 0 }, "'cpus' is a number" },
	{ { memory = "lots" }, "'memory' is a size" },
	{ { timeout = "soon" }, "'timeout' is a time" },
	{ { timeout = -1 }, "'timeout' is a time" },
	{ { returns = 0 }, "'returns' is a number from 1 to 255" },
	{ { returns = 1.5 }, "'returns' is a whole number" },
	{ { returns = 256 }, "'returns' is a number from 1 to 255" },
	{ { retries = "x" }, "'retries' is a number" },
	{ { name = "" }, "'name' is a name" },
	{ { name = 5 }, "'name' is a name" },
	{ { resources = { "ssd" } }, "'resources' is a table of names and numbers" },
	{ { resources = "ssd" }, "'resources' is a table" },
	{ { wait = 1 }, "'wait' is true or false" },
} do
	local e = raises(o[2], "option: " .. o[2], function() return (square:with(o[1])) end)
	if e then has(e, "tasks.lua:", "and says where") end
end
raises("a table of options is expected", "with needs a table", square.with, square, 5)
is(rota.get(square:with { cpus = 0.5, retries = 0, timeout = "10s", name = "sq", memory = "1M", priority = 1 }(3)), 9, "many options at once")
is(rota.get(square:with { cpus = 0.5 }:with { name = "half" }(3)), 9, "with of with")
has(tostring(square:with { name = "sq" }), "task sq", "tostring of a task shows its name")
ok(tostring(square):match "^task .*tasks%.lua:%d+$", "or file:line", tostring(square))
has(tostring(square:with { name = "sq" }(1)), "(task sq)", "tostring of a ref names its task")
raises("a function is expected, got number", "rota.task takes a function", rota.task, 5)

-- what cannot be met
local t0 = rota.now()
v, err = rota.pget(square:with { cpus = 64 }(2))
local took = rota.now() - t0
ok(v == nil and err.code == "infeasible", "64 CPUs of 2: infeasible", err)
has(err, "64 cpu", "it names the resource")
has(err, "2", "and what there is")
ok(took < 1, "within a second", took)
v, err = rota.pget(square:with { resources = { ssd = 1 } }(2))
ok(err and err.code == "infeasible", "a resource that nobody has", err)
has(err, "ssd", "it is named")
v, err = rota.pget(square:with { memory = "1000T" }(2))
ok(err and err.code == "infeasible", "memory that nobody has", err)
has(err, "mem", "it is named")
v, err = rota.pget(square:with { gpus = 1 }(2))
ok(err and err.code == "infeasible", "a GPU that is not there", err)
has(err, "gpu", "it is named")
is(rota.get(square(2)), 4, "others go on")
local later = square:with { cpus = 64, wait = true }(2)
ok(rota.wait({ later }, { timeout = 0.05 })[1] == nil, "told to wait, it waits")
later = nil
collectgarbage()

-- refs as plain values
for text, f in pairs {
	["arithmetic on a ref"] = function(x) return x + 1 end,
	["concatenation with a ref"] = function(x) return "a" .. x end,
	["length of a ref"] = function(x) return #x end,
	["comparison with a ref"] = function(x) return x < 1 end,
	["call of a ref"] = function(x) return x() end,
	["indexing a ref"] = function(x) return x.field end,
} do
	local e = raises(text, text, f, square(1))
	has(e, "take its value with rota.get(ref)", "and the remedy")
end
raises("a reference, or a table of them expected", "get of no ref", rota.get, 5)

-- timeouts
t0 = rota.now()
local slow = rota.task(function(s) rota.sleep(s) return s end)
local e = raises("timed out", "get with a timeout", rota.get, slow(30), { timeout = 0.05 })
ok(e.code == "timeout", "its code is timeout", e.code)
e = raises("timed out", "get with a plain number of seconds", rota.get, slow(30), 0.05)
e = raises("timed out", "get of a list with a timeout", rota.get, { slow(30), square(1) }, "50ms")
v, err = rota.pget(slow(0.01), { timeout = 5 })
ok(v == 0.01, "in time", err)
local spin = rota.task(function() local till = os.clock() + 30 while os.clock() < till do end end)
v, err = rota.pget(spin:with { timeout = 0.1 }())
ok(err and err.code == "timeout", "a running task is stopped when its time is up", err)
has(err, "longer than its timeout", "and it says so")
local hogs = { slow:with { cpus = 2 }(0.5) }
v, err = rota.pget(square:with { timeout = 0.1, cpus = 2 }(3))
ok(v == 9 or err.code == "timeout", "queued beside one that sleeps", err)
ok(rota.now() - t0 < 10, "none of it took long", rota.now() - t0)
hogs = nil
local spinning = { spin:with { timeout = 0.6 }(), spin:with { timeout = 0.6 }() }
v, err = rota.pget(square:with { timeout = 0.1, name = "never" }(3))
ok(err and err.code == "timeout", "a queued task fails when its time is up", err)
has(err, "did not start within its timeout", "and it says so")
ok(err.task == "never", "and names the task", err.task)
vals, errs = rota.pget(spinning)
ok(errs and errs[1].code == "timeout" and errs[2].code == "timeout", "both that spun are stopped")
is(rota.get(square(4)), 16, "and the workers are replaced")
collectgarbage()

-- wait
refs = {}
for i = 1, 100 do refs[i] = square(i) end
local ready, rest = rota.wait(refs)
ok(#ready == 1 and #rest == 99 and #refs == 100, "wait: one is ready, the list is untouched")
local sum, seen = 0, 0
while #ready > 0 do
	for _, x in ipairs(ready) do sum = sum + rota.get(x) seen = seen + 1 end
	ready, rest = rota.wait(rest, { n = 7 })
end
ok(sum == 338350 and seen == 100 and #rest == 0, "wait over what is left, until nothing is", sum, seen)
ready, rest = rota.wait(refs, { n = "all" })
ok(#ready == 100 and #rest == 0, "n = all")
ready, rest = rota.wait({ slow(30), slow(30) }, { timeout = 0.02 })
ok(#ready == 0 and #rest == 2, "wait with a timeout")
ok(tostring(rest[1]):match "^ref", "the rest can be indexed")
local n = 0
for i, x in ipairs(rest) do n = n + 1 ok(tostring(x):match "^ref", "and walked " .. i) end
is(n, 2, "all of it")
for i, x in pairs(rest) do n = n + i ok(tostring(x):match "^ref", "also with pairs") end
is(n, 5, "all of it")
ready, rest = rota.wait({ slow(30), square(3) }, 5)
ok(#ready == 1 and rota.get(ready[1]) == 9, "the one that is ready comes first")
ready, rest = rota.wait(square(3))
ok(#ready == 1 and #rest == 0, "wait of one ref")
local got = rota.get((select(2, rota.wait { square(2), square(3) })))
ok(type(got) == "table" and #got == 1, "get takes the rest as well", got)

-- each, ready, map
local first, order = nil, {}
for i, x in rota.each { slow(0.3), square(5), slow(0.1) } do order[#order + 1] = i first = first or x end
is(order, { 2, 3, 1 }, "each: in the order in which they end")
is(first, 25, "with their values")
n = 0
for x in rota.ready { square(1), square(2) } do n = n + rota.get(x) end
is(n, 5, "ready: the refs themselves")
is(rota.map(function(x) return x + 1 end, { 1, 2, 3 }), { 2, 3, 4, n = 3 }, "map of a function")
is(rota.map(square, { 1, 2, 3 }), { 1, 4, 9, n = 3 }, "map of a task")
is(rota.get(square:map { 1, 2, 3 }), { 1, 4, 9, n = 3 }, "task:map")
is(rota.map(square, {}), {}, "map of nothing")
raises("x is 2", "each raises what a task raised", function()
	for _ in rota.each(rota.task(function(x) if x == 2 then error "x is 2" end end):map { 1, 2 }) do end
end)

-- free, close
do
	local x <close> = square(2)
	is(rota.get(x), 4, "a ref can be closed")
	r = x
end
raises("was freed", "a closed ref is of no use", rota.get, r)
r = square(3)
rota.free(r)
raises("was freed", "a freed one neither", rota.get, r)
refs = { square(1), square(2) }
rota.free(refs)
raises("was freed", "a list is freed as a whole", rota.get, refs[1])
raises("freed", "and cannot be an argument", square, refs[1])

-- what a worker is
is(rota.get(rota.task(function() return arg == nil and io.read(1) == nil end)()), true, "a worker has no arg and nothing on its stdin")
local env = rota.get(rota.task(function() return { os.getenv "ROTA_JOB", os.getenv "ROTA_NODE", os.getenv "HOME" } end)())
ok(env[1] and env[2] and env[3] == os.getenv "HOME", "a task has ROTA_JOB, ROTA_NODE and our environment", env)
local nodes = rota.nodes()
ok(#nodes == 1 and nodes[1].cpus == 2, "rota.nodes()", nodes[1])
is(rota.resources().cpus, 2, "rota.resources()")
-- several workers at once: each draws its own random numbers
local draw = rota.task(function()
	rota.sleep(0.05)
	return { rota.context().process, math.random(1 << 40) }
end):with { cpus = 0 }
local procs, draws, np, nd = {}, {}, 0, 0
for _, x in ipairs(rota.get(draw:map { 1, 2, 3, 4, 5, 6 })) do
	np, nd = np + (procs[x[1]] and 0 or 1), nd + (draws[x[2]] and 0 or 1)
	procs[x[1]], draws[x[2]] = true, true
end
ok(np > 1 and nd == 6, "random numbers differ between workers", np, nd)
T.done()
