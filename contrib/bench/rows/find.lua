-- find-warm: microseconds to find one of 10,000 named actors again; find-cold: the first time, from another process
-- The actors wait for CPUs that this node does not have, so that none of them is a process: finding asks for names only.
local rota = require "rota"
local n = tonumber(arg[1]) or 10000
rota.init { namespace = "bench" }
local Actor = rota.actor { f = function() end }:with { cpus = 1000, wait = true }
local actors = {}
for i = 1, n do actors[i] = Actor:with { name = "actor-" .. i }() end

local cold, warm = rota.get(rota.task(function(n)
	local names, find, now = {}, rota.find, rota.now
	for i = 1, n do names[i] = "actor-" .. i end
	local function all()
		local t = now()
		for i = 1, n do assert(find(names[i])) end
		return (now() - t) * 1e6 / n
	end
	local cold, best = all(), math.huge
	for _ = 1, 5 do best = math.min(best, all()) end
	return cold, best
end):with { cpus = 0 }(n))
print(("find-warm %.3f"):format(warm))
print(("find-cold %.3f"):format(cold))
