-- retry.lua - what is tried again, when, and what it is charged: each row of the table in rota-faults(7)
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local rota = require "rota"
local T = require "tap"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 2 }
local dir = T.tmp()

local function lines(name)			-- what the attempts wrote, one line each
	local out, f = {}, io.open(dir .. "/" .. name)
	for l in (f and f:lines() or function() end) do out[#out + 1] = l end
	if f then f:close() end
	return out
end
-- notes an attempt: its number
local function try(name)
	local f = assert(io.open(dir .. "/" .. name, "a"))
	f:write(("%d %.6f\n"):format(rota.context().attempt, rota.now()))
	f:close()
	f = io.open(dir .. "/" .. name)
	local n = select(2, f:read "a":gsub("\n", ""))
	f:close()
	return n
end
local function times(name)
	local t = {}
	for i, l in ipairs(lines(name)) do t[i] = tonumber(l:match " (.*)") end
	return t
end

-- row: the worker died while the task ran: charged; at once, after 0.1 s, after 1 s
local v, err = rota.pget(rota.task(function() try "die"; os.exit(3) end)())
is(err.code, "crashed", "a task that always kills its worker fails")
is(err.attempt, 4, "after 3 further attempts")
has(err, "exit(3)", "and says how")
local t = times "die"
is(#t, 4, "it ran four times")
local soonest = t[2] - t[1]				-- of several: a new process takes its time where others want the processor
for i = 1, 9 do
	if soonest < 0.09 then break end
	rota.get(rota.task(function(name) if try(name) == 1 then os.exit(3) end end)("soon" .. i))
	local s = times("soon" .. i)
	soonest = math.min(soonest, s[2] - s[1])
end
ok(soonest < 0.09, "the second attempt at once", soonest)
ok(t[3] - t[2] >= 0.1 and t[3] - t[2] < 0.9, "the third after 0.1 s", t[3] - t[2])
ok(t[4] - t[3] >= 1 and t[4] - t[3] < 3, "the fourth after 1 s", t[4] - t[3])
v, err = rota.pget(rota.task(function() try "die0"; os.exit(3) end):with { retries = 0 }())
ok(err.code == "crashed" and err.attempt == 1 and #lines "die0" == 1, "retries=0: once", err)
is(rota.get(rota.task(function() if try "die1" == 1 then os.exit(1) end return "well" end)()), "well", "one death is survived")
is(lines "die1"[2]:match "^%d+", "2", "the second attempt knows that it is the second")

-- row: an error is a result
v, err = rota.pget(rota.task(function() try "raise"; error "no" end)())
ok(err.code == "error" and #lines "raise" == 1, "an error that is raised is not tried again", #lines "raise")

-- row: retry_on="error": it is, from the same budget
local flaky = rota.task(function(name, n) if try(name) < n then error("not yet") end return rota.context().attempt end)
is(rota.get(flaky:with { retry_on = "error" }("flaky", 3)), 3, "retry_on='error': the third attempt is well")
v, err = rota.pget(flaky:with { retry_on = "error", retries = 1 }("flaky1", 5))
ok(err.attempt == 2 and #lines "flaky1" == 2, "retries=1: two attempts, and the error of the last", err.attempt)
local mixed = rota.task(function()
	local n = try "mixed"
	if n == 1 then os.exit(1) elseif n == 2 then error "no" end
	return n
end)
v, err = rota.pget(mixed:with { retry_on = "error", retries = 1 }())
ok(err.code == "error" and err.attempt == 2, "deaths and errors share the budget", err)

-- row: retry_on={codes}
local coded = rota.task(function(name, code, n) if try(name) < n then error { code = code, message = "it is " .. code } end return "well" end)
is(rota.get(coded:with { retry_on = { "busy", "later" } }("busy", "busy", 2)), "well", "a code that is listed")
v, err = rota.pget(coded:with { retry_on = { "later" } }("busy2", "busy", 2))
ok(err.value.code == "busy" and #lines "busy2" == 1, "a code that is not listed", err)
is(rota.get(rota.task(function() if try "timeout" == 1 then rota.get(rota.task(rota.sleep)(9), 0.01) end return "well" end)
	:with { retry_on = { "timeout" } }()), "well", "a code of rota: a get that timed out")
v, err = rota.pget(rota.task(function() try "nocrash"; os.exit(1) end):with { retry_on = { "busy" } }())
ok(err.code == "crashed" and #lines "nocrash" == 1, "codes without 'crashed': a death is not tried again", #lines "nocrash")
is(rota.get(rota.task(function() if try "crash" == 1 then os.exit(1) end return "well" end)
	:with { retry_on = { "crashed" } }()), "well", "codes with it: it is")

-- row: retry_on=function
local seen = rota.task(function(name)
	local n = try(name)
	if n < 3 then error("temporary " .. n) end
	if n == 3 then error "for good" end
end):with { retries = 9, retry_on = function(e) return e:match "temporary" and e.attempt < 9 end }
v, err = rota.pget(seen "judge")
ok(tostring(err):match "for good" and err.attempt == 3 and #lines "judge" == 3, "a function decides, attempt for attempt", err)
v, err = rota.pget(rota.task(function() try "bad"; error "x" end):with { retry_on = function(e) return e.no.such end }())
ok(#lines "bad" == 1 and tostring(err):match "x", "one that fails itself decides nothing", err)
is(rota.get(rota.task(function() if try "fn" == 1 then os.exit(1) end return "well" end)
	:with { retry_on = function() return false end }()), "well", "deaths are not asked about")
local outer = rota.task(function(f, name) return rota.get(f(name, 3)) end)
is(rota.get(outer(flaky:with { retry_on = "error" }, "nested")), 3, "a task of a task, with its options on the journey")
is(rota.get(outer(flaky:with { retry_on = function() return true end }, "nested2")), 3, "and with a function")

-- what retries does with arguments and several returns
local big = ("x"):rep(100000)
local args = rota.task(function(name, ref, s, t) if try(name) < 3 then error "again" end return ref, #s, t.ref:get() end)
	:with { retry_on = "error" }
local r = args("args", rota.put(7), big, { ref = rota.put "in a table" })
T.collect()
is({ rota.get(r) }, { 7, 100000, "in a table" }, "arguments, references among them, are there at each attempt")
local a, b = rota.task(function() if try "two" < 2 then error "again" end return 1, 2 end):with { returns = 2, retry_on = "error" }()
is({ rota.get { a, b } }, { { 1, 2, n = 2 } }, "returns=2")

-- row: a poison function: after 3 deaths within 10 s its attempts run alone, and nothing beside them is lost
local poison = rota.task(function() os.exit(9) end):with { retries = 2 }
local well = rota.task(function(i) return i end):with { retries = 0 }
local bad, good = {}, {}
for i = 1, 6 do
	bad[i] = poison()
	for k = 1, 50 do good[#good + 1] = well(i * 100 + k) end
end
local vals, errs = rota.pget(good)
is(errs, nil, "tasks beside a poison function lose nothing")
vals, errs = rota.pget(bad)
for i = 1, #bad do ok(errs[i] and errs[i].code == "crashed" and errs[i].attempt == 3, "each poison task fails with its attempts", errs[i]) end
-- a parent that dies with its child: once it is known, the child gets a worker of its own and the parent survives
local child = rota.task(function() os.exit(9) end):with { retries = 0 }
local parent = rota.task(function() local _, e = rota.pget(child()) return e.code end):with { retries = 9 }
is(rota.get(parent()), "crashed", "a child that kills the worker it shares with its parent: in the end only the child fails")

-- row: its time was up, or it was cancelled: never again, also while it waits for its turn
local t0 = rota.now()
v, err = rota.pget(rota.task(function() try "late"; error "no" end):with { timeout = 0.5, retry_on = "error", retries = -1 }())
ok(err.code == "timeout" and rota.now() - t0 < 0.95 and #lines "late" == 3, "a time-out ends a task that waits to be tried again", err, #lines "late")
t0 = rota.now()
v, err = rota.pget(rota.task(function() if try "late2" < 3 then error "no" end rota.sleep(9) end):with { timeout = 0.5, retry_on = "error" }())
ok(err.code == "timeout" and rota.now() - t0 < 3 and #lines "late2" == 3, "and one that was tried again", err, #lines "late2")
r = rota.task(function() try "cancelled"; rota.sleep(9) end):with { retry_on = "error", retries = -1 }()
repeat rota.sleep(0.005) until #lines "cancelled" == 1
rota.cancel(r)
v, err = rota.pget(r)
ok(err.code == "cancelled" and #lines "cancelled" == 1, "what was cancelled is not tried again", err)
r = rota.task(function() try "cancelled2"; error "no" end):with { retry_on = "error", retries = -1 }()
repeat rota.sleep(0.005) until #lines "cancelled2" == 3
rota.cancel(r)
v, err = rota.pget(r)
ok(err.code == "cancelled" and #lines "cancelled2" == 3, "nor what waits for its next attempt", err, #lines "cancelled2")

raises("'retry_on' is", "a rule that is none", function() rota.task(print):with { retry_on = "sometimes" } end)
raises("'retry_on' is", "an empty list", function() rota.task(print):with { retry_on = {} } end)
T.done()
