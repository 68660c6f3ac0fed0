#!/usr/bin/env rlua
-- fib.lua - tasks that call tasks and wait for them, to any depth: a task that waits gives up its CPU
local rota = require "rota"

local fib
fib = rota.task(function(n)			-- what it closes over is taken at the first call, so it may name itself
	if n < 2 then return n end
	local a, b = fib(n - 1), fib(n - 2)	-- both run while we wait
	return rota.get(a) + rota.get(b)
end)

for n = 0, 12 do io.write(rota.get(fib(n)), n < 12 and " " or "\n") end
--> 0 1 1 2 3 5 8 13 21 34 55 89 144
