-- get-refs: one get of 10,000 references; the median of 5
local rota = require "rota"

local times = {}
for i = 1, 6 do
	local refs = {}
	for k = 1, 10000 do refs[k] = rota.put(k) end
	local start = rota.now()
	local values = rota.get(refs)
	times[i] = rota.now() - start
	assert(values.n == 10000 and values[10000] == 10000)
end
table.remove(times, 1)
table.sort(times)
print(("get-refs %.3f"):format(times[3] * 1e3))
