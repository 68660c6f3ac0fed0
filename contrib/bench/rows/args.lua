-- args: one task with 10,000 references as arguments, from call to result; the median of 5
local rota = require "rota"
local count = rota.task(function(...) return select("#", ...), (select(10000, ...)) end)

local refs, times = {}, {}
for i = 1, 10000 do refs[i] = rota.put(i) end
for i = 1, 6 do
	local start = rota.now()
	local n, last = rota.get(count(table.unpack(refs)))
	times[i] = rota.now() - start
	assert(n == 10000 and last == 10000)
end
table.remove(times, 1)
table.sort(times)
print(("args %.3f"):format(times[3] * 1e3))
