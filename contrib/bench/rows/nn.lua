-- nn.lua I N START: driver I of N; N actors in all; every driver calls each in turn with a stored buffer of 100 KiB
local rota = require "rota"
local me, n, start = math.tointeger(arg[1]), math.tointeger(arg[2]), tonumber(arg[3])
rota.init{ namespace = "bench" }

local mine = rota.actor{ take = function(_, b) return #b end }:with{ name = "taker" .. me }()
rota.get(mine:take(rota.buffer(1)))
local takers = {}
for i = 1, n do
	repeat takers[i] = rota.find("taker" .. i) until takers[i]
end
local data = rota.put(rota.buffer(100 * 1024, "u8"))

local function calls(k)
	local refs = {}
	for i = 1, k do refs[i] = takers[i % n + 1]:take(data) end
	local got = rota.get(refs)
	assert(got[k] == 100 * 1024)
end
calls(1000)
rota.sleep(math.max(0, start - rota.now()))
local begun, ops, took = rota.now(), 0, 0
repeat
	calls(1000)
	ops, took = ops + 1000, rota.now() - begun
until took > 0.6
print("rate", ops / took)
rota.sleep(0.3)				-- the others may still be calling our actor
