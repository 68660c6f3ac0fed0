-- spin.lua I N START: driver I of N, empty tasks one by one on its own worker
local rota = require "rota"
local noop, get = rota.task(function() end), rota.get
for _ = 1, 1000 do get(noop()) end

local start = tonumber(arg[3])
rota.sleep(math.max(0, start - rota.now()))
local begun, ops, took = rota.now(), 0, 0
repeat
	for _ = 1, 100 do get(noop()) end
	ops, took = ops + 100, rota.now() - begun
until took > 0.6
print("rate", ops / took)
