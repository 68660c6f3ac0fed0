-- rmap-true: 2,000 times true by rmap and by xargs -P2 -n1 (2: the CPUs), in turn; rmap starts its node
local now = require "rota".now

local function time(command)
	local start = now()
	assert(os.execute(command), command)
	return now() - start
end
local rmap = time "seq 2000 | rmap true >/dev/null"
local xargs = time "seq 2000 | xargs -P $(nproc) -n1 true"
print(("rmap-true %.3f\nrmap-true-time %.3f\nxargs-true-time %.3f"):format(rmap / xargs, rmap, xargs))
