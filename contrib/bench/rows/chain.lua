-- chain: 2,000 tasks, each with the reference of the one before as its argument; the median of 5
local rota = require "rota"
local inc = rota.task(function(x) return x + 1 end)

local times = {}
for i = 1, 6 do
	local start, ref = rota.now(), 0
	for _ = 1, 2000 do ref = inc(ref) end
	assert(rota.get(ref) == 2000)
	times[i] = rota.now() - start
end
table.remove(times, 1)
table.sort(times)
print(("chain %.3f"):format(times[3] * 1e3))
