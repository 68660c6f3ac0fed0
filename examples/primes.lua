#!/usr/bin/env rlua
-- primes.lua - a parallel map: how many primes are there below a million?
-- A task should take longer than the microsecond that calling it costs, so each one gets a whole range.
local rota = require "rota"

local function primes(from)			-- in from .. from + 49999
	local n = 0
	for k = math.max(from, 2), from + 49999 do
		local prime = true
		for d = 2, math.floor(k ^ 0.5) do
			if k % d == 0 then prime = false break end
		end
		if prime then n = n + 1 end
	end
	return n
end

local starts = {}
for from = 0, 999999, 50000 do starts[#starts + 1] = from end
local total = 0
for _, n in ipairs(rota.map(primes, starts)) do total = total + n end
print(("%d primes below a million, in %d tasks"):format(total, #starts))
--> 78498 primes below a million, in 20 tasks
