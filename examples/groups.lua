#!/usr/bin/env rlua
-- groups.lua - CPUs set aside for a stage of a pipeline: its two halves run side by side, whatever else is queued
local rota = require "rota"
rota.init{ address = "private", cpus = 2 }

-- a loader and a trainer that must both run for either to get on: one without the other would wait for ever
local Loader = rota.actor{
	new = function(self) self.n = 0 end,
	batch = function(self) self.n = self.n + 1 return { self.n, self.n * self.n } end,
}
local train = rota.task(function(loader, rounds)
	local sum = 0
	for _ = 1, rounds do sum = sum + rota.get(loader:batch())[2] end
	return sum
end)

local pg <close> = rota.group({{ cpus = 1 }, { cpus = 1 }}, "strict_pack")	-- both, on one node, or none
print(pg:wait(10), pg:state(), #pg)
--> true	created	2

local loader = Loader:with{ group = pg, bundle = 1, cpus = 1 }()
print(rota.get(train:with{ group = pg, bundle = 2 }(loader, 10)))
--> 385

-- all CPUs are set aside: a second group of that kind waits
local later = rota.group{{ cpus = 1 }}
print(later:wait(0.05), later:state())
--> nil	pending
pg:remove()			-- ends the loader too
print(later:wait(10))
--> true

-- what no node can hold is said at once
local _, why = rota.group({{ cpus = 1 }, { cpus = 1 }}, "strict_spread"):wait(10)
print(why.code .. ": " .. why)
--> infeasible: strict_spread needs a node for each of the 2 bundles, and there is 1
