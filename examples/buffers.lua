#!/usr/bin/env rlua
-- buffers.lua - large arrays in shared memory: put once, read in place by every task
local rota = require "rota"

local n = 1000000
local b = rota.buffer(n, "f32")			-- typed elements in one piece of memory, from 1
for i = 1, n do b[i] = i % 10 end
local ref = rota.put(b)				-- the one copy that is made

local sum = rota.task(function(x, from, to)	-- x is the buffer in the store, not a copy of it
	local s = 0.0
	for i = from, to do s = s + x[i] end
	return s
end)

local parts, total = {}, 0
for from = 1, n, n // 4 do parts[#parts + 1] = sum(ref, from, from + n // 4 - 1) end
for _, s in rota.each(parts) do total = total + s end
print(total)
--> 4500000.0

local view = rota.get(ref):sub(1, 10)		-- a slice is no copy either
print(view)
--> buffer f32 [10] read-only: 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 ...
local own = view:copy()				-- what came from the store is read-only
own[1] = 100
print(own[1], view[1])
--> 100.0	1.0
