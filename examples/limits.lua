#!/usr/bin/env rlua
-- limits.lua - time limits, cancelling, and trying again
local rota = require "rota"

-- a limit on the waiting: the task goes on
local slow = rota.task(function(s) rota.sleep(s) return "slept " .. s end):with{ cpus = 0 }
local ref = slow(0.2)
print(select(2, rota.pget(ref, "10ms")).code, rota.get(ref))
--> timeout	slept 0.2

-- a limit on the task: it ends
local v, err = rota.pget(slow:with{ timeout = "10ms" }(1000))
print(v, err.code)
--> nil	timeout

-- what nobody needs any more is cancelled, and with it what it called and waits for
local outer = rota.task(function() return rota.get(slow(1000)) end)()
rota.cancel(outer)
print(select(2, rota.pget(outer)).code)
--> cancelled

-- a task whose worker dies is tried again by itself; one that raises an error only if it is told to be
local flaky = rota.task(function()
	local attempt = rota.context().attempt
	if attempt < 3 then error "not yet" end
	return "attempt " .. attempt
end)
print(select(2, rota.pget(flaky())).code, rota.get(flaky:with{ retries = 5, retry_on = "error" }()))
--> error	attempt 3
