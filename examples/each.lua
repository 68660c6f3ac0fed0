#!/usr/bin/env rlua
-- each.lua - results in the order in which they are ready, and how to keep only so many under way
local rota = require "rota"

local nap = rota.task(function(s, name) rota.sleep(s) return name end):with{ cpus = 0 }

for i, name in rota.each { nap(0.3, "slow"), nap(0.15, "middle"), nap(0, "quick") } do print(i, name) end
--> 3	quick
--> 2	middle
--> 1	slow

-- the first of several; rest reads like a list, and can be waited on again
local ready, rest = rota.wait { nap(0, "first"), nap(60, "late"), nap(60, "later") }
print(rota.get(ready[1]), #rest)
--> first	2

-- no more than a time
ready, rest = rota.wait(rest, { n = "all", timeout = 0.05 })
print(#ready, #rest)
--> 0	2

-- a window of 8 over a long list: when one is done, the next one is called
local square = rota.task(function(x) return x * x end)
local todo, window, sum = 1, {}, 0
while todo <= 1000 or #window > 0 do
	while todo <= 1000 and #window < 8 do
		window[#window + 1] = square(todo)
		todo = todo + 1
	end
	ready, rest = rota.wait(window)
	for _, ref in ipairs(ready) do sum = sum + rota.get(ref) end
	window = {}
	for i, ref in ipairs(rest) do window[i] = ref end
end
print(sum)
--> 333833500
