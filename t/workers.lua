-- workers.lua - how long a worker lives, and what it keeps: max_calls, its size, rota.once
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
if not os.getenv "ROTA_MAX_WORKER_MEMORY" then	-- workers have the environment that their driver was started with
	os.exit(os.execute(("ROTA_MAX_WORKER_MEMORY=64M exec rlua '%s'"):format(arg[0])) and 0 or 1)
end
local rota = require "rota"
local T = require "tap"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 2 }
local dir = T.tmp()

-- max_calls
local me = rota.task(function() return rota.context().process end)
local function numbers(n)
	local list = { n = n }
	for i = 1, n do list[i] = i end
	return list
end
local function runs(task, n)			-- worker -> how many of n calls it ran; most of them; how many workers
	local of, most, workers = {}, 0, 0
	for _, p in ipairs(rota.get(task:map(numbers(n)))) do
		of[p] = (of[p] or 0) + 1
		if of[p] == 1 then workers = workers + 1 end
		most = math.max(most, of[p])
	end
	return most, workers
end
local most, workers = runs(me:with { max_calls = 3 }, 30)
ok(most <= 3 and workers >= 10, "max_calls=3: no worker runs more than three of 30", most, workers)
most, workers = runs(me:with { max_calls = 1 }, 8)
ok(most == 1 and workers == 8, "max_calls=1: each call has a fresh one", most, workers)
most, workers = runs(me, 100)
ok(workers <= 4, "without it workers stay", workers)
local one, other = me:with { max_calls = 2 }, me
local a = rota.get(one())
rota.get { other(), other(), other(), other() }
local b = rota.get(one())
ok(a and b, "calls of other functions do not count", a, b)
local slow = rota.task(function(i) rota.sleep(0.005) return i end):with { max_calls = 2 }
is(rota.get(slow:map(numbers(40))), numbers(40), "none of the results is lost while workers come and go")
local nested = rota.task(function() return rota.get(me:with { max_calls = 1 }()) end)
ok(rota.get(nested()), "a child with max_calls may run in its parent's worker")
local errs = rota.task(function() error "x" end):with { max_calls = 1 }
for _ = 1, 3 do ok(select(2, rota.pget(errs())), "a call that fails counts as well") end
raises("'max_calls' is", "a number of calls", function() me:with { max_calls = 0 } end)

-- a worker that has become too large
local grow = rota.task(function(mb) kept = kept or {} kept[#kept + 1] = ("x"):rep(mb << 20) return rota.context().process end)
a = rota.get(grow(8))
b = rota.get(me())
local of, changed = {}, 0
for _ = 1, 12 do
	local p = rota.get(grow(40))
	if not of[p] then of[p], changed = true, changed + 1 end
	if changed == 3 then break end
	rota.sleep(0.55)			-- it looks at itself twice a second at most
end
ok(changed >= 3, "a worker over ROTA_MAX_WORKER_MEMORY is replaced", changed)

-- rota.once
local once = rota.task(function(key)
	return rota.context().process, rota.once(key, function()
		local f = io.open(dir .. "/made", "a")
		f:write(key, "\n")
		f:close()
		return rota.now()
	end)
end)
local at = {}
for _ = 1, 50 do
	local p, t = rota.get(once "k")
	ok(at[p] == nil or at[p] == t, "rota.once: made once in each worker")
	at[p] = t
end
local n = 0
for _ in pairs(at) do n = n + 1 end
local f, made = io.open(dir .. "/made"), 0
for _ in f:lines() do made = made + 1 end
f:close()
is(made, n, "and no more often")
is({ rota.once("many", function() return 1, nil, 3 end) }, { 1, nil, 3 }, "all values, in a driver too")
is({ rota.once("many", error) }, { 1, nil, 3 }, "again")
raises("not made", "an error of the maker", rota.once, "bad", function() error("not made", 0) end)
is(rota.once("bad", function() return "now" end), "now", "is not kept")
raises("the key is nil", "no key", rota.once, nil, function() end)
local slowly = rota.task(function()
	return rota.once("slow", function() rota.sleep(0.02) return rota.now() end) == rota.once("slow", error)
end)
ok(rota.get(slowly()), "a maker that waits")
-- a worker that is too large gives up what once keeps, before it gives up itself
local drop = rota.task(function()
	local v = rota.once("big", function()
		return setmetatable({ ("x"):rep(80 << 20) }, { __close = function()
			local f = io.open(dir .. "/closed", "a")
			f:write(rota.context().process, "\n")
			f:close()
		end })
	end)
	return rota.context().process
end)
at = {}
for _ = 1, 4 do
	local p = rota.get(drop())
	at[p] = (at[p] or 0) + 1
	rota.sleep(0.55)
end
n = 0
for p, k in pairs(at) do n = n + k - 1 end
f, made = io.open(dir .. "/closed"), 0
for _ in f and f:lines() or function() end do made = made + 1 end
if f then f:close() end
ok(n >= 2 and made >= n, "it closed it, dropped it, and made it again", n, made)
T.done()
