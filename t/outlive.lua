-- outlive.lua - a child that outlives its parent, asleep in the parent's worker, does not keep that worker from others' tasks
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
rota.init { address = "private", cpus = 1 }
local id = rota.task(function(...) return ... end)
local slow = rota.task(function(s) rota.sleep(s) return "done" end):with { cpus = 0 }

local late = rota.get(rota.task(function()
	local _, e = rota.pget(slow(60), 0.05)		-- runs here while its parent waits, and goes on to sleep
	return e.code
end)(), 20)
T.is(late, "timeout", "the parent gave up waiting")
for i = 1, 20 do
	local v, e = rota.pget(id(i), 20)
	if v ~= i then T.ok(false, "a task of others runs in that worker", e) break end
end
T.is(rota.get(id "after", 20), "after", "and goes on to do so")
T.done()
