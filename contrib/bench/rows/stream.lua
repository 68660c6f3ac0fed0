-- stream: items of one number from a task to the driver, taken as values; stream-refs: the same, as references
-- stream-next: one at a time: backlog=1
local rota = require "rota"
rota.init { cpus = 2 }

local count = rota.task(function(n) for i = 1, n do coroutine.yield(i) end end):with { stream = true }

local function values(task, n)
	local start, sum = rota.now(), 0
	for _, v in task(n):each() do sum = sum + v end
	assert(sum == n * (n + 1) // 2)
	return n / (rota.now() - start)
end

local function refs(n)
	local start, sum = rota.now(), 0
	for ref in count(n) do sum = sum + rota.get(ref) end
	assert(sum == n * (n + 1) // 2)
	return n / (rota.now() - start)
end

values(count, 1000)
print(("stream %.0f"):format(values(count, 1000000)))
print(("stream-refs %.0f"):format(refs(1000000)))
print(("stream-next %.0f"):format(values(count:with { backlog = 1 }, 50000)))
