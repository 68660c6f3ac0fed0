-- queued-time, queued-memory: a million tasks queued by one driver, then all results
-- The memory is the peak of the driver's resident set (VmHWM): its heap and what it touched of shared memory, the
-- slab with the tasks included.
local rota = require "rota"
local inc = rota.task(function(x) return x + 1 end)
rota.get(inc(1))

local start, refs = rota.now(), {}
for i = 1, 1000000 do refs[i] = inc(i) end
local values = rota.get(refs)
print(("queued-time %.3f"):format(rota.now() - start))
assert(values[1] == 2 and values[1000000] == 1000001)
for line in io.lines "/proc/self/status" do
	local kb = line:match "^VmHWM:%s*(%d+)"
	if kb then print(("queued-memory %.1f"):format(kb * 1024 / 1e6)) end
end
