-- driver.lua [SEED] - drivers with 10,000 tasks queued are killed: all of it is gone, for the others nothing changes
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init { store = "256M" }
local here = arg[0]:match "^(.*/)"
local double = rota.task(function(x) return 2 * x end)
rota.get(double(1))

local function start()			-- a victim: the pipe to read from, its pid
	local p = io.popen(("exec 2>/dev/null; echo $$; exec rlua %svictim.lua"):format(here), "r")
	return p, p:read "n"
end
local node = rota.nodes()[1]
local base, fds, worst = nil, nil, 0
for round = 1, C.rounds(6, 200) do
	local p, pid = start()
	local steps = math.random(3)
	p:read "l"
	if steps > 1 then
		if p:read "l" ~= "queued" then T.ok(false, "the victim did not come so far") break end
		if steps == 3 then rota.get(double:map { 1, 2, 3, 4, 5, 6, 7, 8 }, 30) end
	end
	C.kill(pid)
	local _, took = C.quiet("round " .. round .. ", killed at step " .. steps, 5)
	worst = math.max(worst, took)
	p:close()
	if rota.get(double(round), 30) ~= 2 * round then T.ok(false, "another driver's task") end
	node = rota.nodes()[1]
	if round == 2 then base, fds = node.arena_used, C.fds(node.pid) end
end
print(("# slowest %.2f s"):format(worst))
T.ok(node.arena_used <= base, "memory of the store is back", base, node.arena_used)
local now = C.fds(node.pid)
T.ok(not fds or now <= fds + 4, "descriptors of the node", fds, now)
T.done()
