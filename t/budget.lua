-- budget.lua - how much may be queued, and maps: in chunks, so many at once
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local rota = require "rota"
local T = require "tap"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local core = require "rota.core"
local MOST = 2000
rota.init { address = "private", cpus = 2, queued = MOST }

-- submitting waits
local id = rota.task(function(x) return x end)
local most, refs = 0, {}
for i = 1, 20000 do
	refs[i] = id(i)
	if i % 50 == 0 then most = math.max(most, core.pending()) end
end
ok(most <= MOST and most > MOST / 2, "never more than the budget is under way", most)
local good = true
for i, v in ipairs(rota.get(refs)) do good = good and v == i end
ok(good, "and all of it comes")
refs = nil

-- block=false raises, and nothing has happened
local dir = T.tmp()
local hold = rota.task(function(i, go)
	io.open(go .. i, "w"):close()
	local f
	repeat f = io.open(go) until f
	f:close()
end)
local held = { hold(1, dir .. "/go"), hold(2, dir .. "/go") }
repeat rota.sleep(0.005) until io.open(dir .. "/go1") and io.open(dir .. "/go2")
local never = id:with { block = false }
refs = {}
local err
for i = 1, 3 * MOST do
	local well, r = pcall(never, i)
	if not well then err = r break end
	refs[i] = r
end
ok(err and err.code == "pending" and tostring(err):match "budget", "block=false: too many are pending", err)
is(core.pending(), MOST, "at the budget")
local n = core.pending()
raises("budget", "and again", function() never(2) end)
is(core.pending(), n, "nothing was submitted")
io.open(dir .. "/go", "w"):close()
rota.get(held)
rota.get(refs)
ok(rota.get(never(5)) == 5, "with room it goes on")

-- Ctrl-C and the end of the node do not hang: see rlua.t; in a task submitting suspends
local nested = rota.task(function(k)
	local inner = rota.task(function(x) return x + 1 end)
	local r = {}
	for i = 1, k do r[i] = inner(i) end
	local sum = 0
	for _, v in ipairs(rota.get(r)) do sum = sum + v end
	return sum
end)
is(rota.get(nested(5000)), 5000 * 5001 // 2 + 5000, "tasks submit, too")
local A = rota.actor { add = function(self, x) self.n = (self.n or 0) + x return self.n end }
local a, last = A()
for i = 1, 10000 do last = a:add(1) end
is(rota.get(last), 10000, "and calls of actors wait, all in order")

-- maps
local function list(n)
	local l = {}
	for i = 1, n do l[i] = i end
	return l
end
local function squares(n)
	local l = { n = n }
	for i = 1, n do l[i] = i * i end
	return l
end
local square = function(x) return x * x end
is(rota.map(square, list(10)), squares(10), "rota.map")
for _, chunk in ipairs { 1, 2, 3, 7, 100, 1000 } do
	is(rota.map(square, list(100), { chunk = chunk }), squares(100), "chunk=" .. chunk)
end
is(rota.map(square, list(100), { batch = 7 }), squares(100), "batch, another word for chunk")
raises("are the same", "both", rota.map, square, { 1 }, { batch = 2, chunk = 2 })
local many = list(70001)
many[3], many[70000] = rota.put(3), rota.put(70000)
local all = rota.map(square, many, { batch = 35001 })
ok(all.n == 70001 and all[3] == 9 and all[35001] == 35001 * 35001 and all[70000] == 70000 * 70000 and all[70001] == 70001 * 70001,
    "batches of 35001, refs among them")
raises("more than 65535 at once", "too many arguments", function() id(table.unpack(list(70000))) end)
is(rota.map(square, list(100), { chunk = 7, j = 2 }), squares(100), "chunk and j")
is(rota.map(square, {}, { chunk = 7 }), { n = 0 }, "an empty list")
is(rota.map(function(x) if x % 3 > 0 then return x end end, list(7), { chunk = 2 }), { 1, 2, nil, 4, 5, nil, 7, n = 7 }, "nil among the results")
is(rota.map(function(x) return x, "second" end, { 1, 2 }, { chunk = 2 }), { 1, 2, n = 2 }, "the first value of each")
local r = rota.task(square):map(list(10), { chunk = 4 })
is(#r, 3, "task:map with chunk: a ref for each chunk")
is(rota.get(r), { { 1, 4, 9, 16, n = 4 }, { 25, 36, 49, 64, n = 4 }, { 81, 100, n = 2 }, n = 3 }, "whose values are lists")
is(rota.map(function(x) return x + 1 end, { rota.put(1), 2, rota.put(3) }, { chunk = 2 }), { 2, 3, 4, n = 3 }, "refs become their values in chunks too")
is(rota.map(square, list(20), { chunk = 4, cpus = 2, retries = 0 }), squares(20), "options of the task beside those of the map")
_, err = pcall(rota.map, function(x) if x == 5 then error "five" end return x end, list(9), { chunk = 3 })
has(err, "five", "an error of one")
raises("map: no option 'cpus'", "task:map takes no options of tasks", function() id:map({ 1 }, { cpus = 1 }) end)
raises("'chunk' is a whole number", "a chunk of none", rota.map, square, { 1 }, { chunk = 0 })
raises("no option 'chunks'", "a wrong one", rota.map, square, { 1 }, { chunks = 2 })
raises("do not go together", "chunk with returns", function() id:with { returns = 2 }:map({ 1 }, { chunk = 2 }) end)
-- j: at most so many under way
local gauge = rota.task(function(x)
	local f = io.open(dir .. "/gauge", "a")
	f:write "+"
	f:close()
	rota.sleep(0.002)
	f = io.open(dir .. "/gauge", "a")
	f:write "-"
	f:close()
	return x
end):with { cpus = 0.1 }
rota.get(gauge:map(list(40), { j = 3 }))
local now, peak = 0, 0
for c in io.open(dir .. "/gauge"):read "a":gmatch "." do
	now = now + (c == "+" and 1 or -1)
	peak = math.max(peak, now)
end
ok(peak <= 3 and peak >= 2, "j=3: never more than three at once", peak)
T.done()
