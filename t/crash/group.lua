-- group.lua [SEED] - workers and drivers with placement groups are killed: what was set aside comes back, all of it
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init { store = "256M", cpus = 4 }
local here = arg[0]:match "^(.*/)"
local double = rota.task(function(x) return 2 * x end)

local function settled(name)			-- no group is left, and a new one gets the whole node
	local t0, n = rota.now(), nil
	repeat
		n = #core.list "groups"
	until n == 0 or rota.now() - t0 > 10 or rota.sleep(0.01)
	T.ok(n == 0, name .. ": no group is left", n)
	local g <close> = rota.group { { cpus = 4 } }
	T.ok(g:wait(20), name .. ": the whole node is free", core.list "groups"[1], rota.nodes()[1].cpus_free)
end

-- workers in bundles are killed: tasks are tried again in their bundle, actors made again in theirs
local Act = rota.actor { pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	add = function(self, x) return x + 1 end }
local slow = rota.task(function(x) rota.sleep(0.002) return rota.context().group and x end)
local bad, kills = 0, 0
for round = 1, C.rounds(15, 400) do
	local g <close> = rota.group({ { cpus = 1 }, { cpus = 1 }, { cpus = 1 } }, "pack")
	local t = slow:with { group = g, retries = -1, bundle = round % 2 == 0 and 2 or nil }
	local a = Act:with { group = g, bundle = 1, cpus = 0.5, restarts = -1, retries = -1 }()
	local refs, N = {}, 40
	for i = 1, N do refs[i] = i % 4 == 0 and a:add(i - 1) or t(i) end
	local at = math.random(N)
	rota.wait(refs, { n = at, timeout = 30 })
	local ws = C.workers(math.random(2) == 1 and "running" or nil)
	if #ws > 0 then C.kill(ws[math.random(#ws)].pid) kills = kills + 1 end
	local vals, errs = rota.pget(refs, 30)
	for i = 1, N do
		if vals[i] ~= i then bad = bad + 1 print("# round", round, "task", i, vals[i], errs and tostring(errs[i])) end
	end
	if bad > 0 then break end
end
T.ok(bad == 0, kills .. " workers in groups killed: every result is right")
settled "workers killed"

-- drivers
local fds
for round = 1, C.rounds(6, 200) do
	local p = io.popen(("exec 2>/dev/null; echo $$; exec rlua %sgroupvictim.lua"):format(here), "r")
	local pid = p:read "n"
	p:read "l"
	local steps = math.random(3)
	if steps > 1 and p:read "l" ~= "made" then T.ok(false, "the victim did not come so far") break end
	if steps == 3 then rota.get(double:map { 1, 2, 3, 4, 5, 6, 7, 8 }, 30) end
	C.kill(pid)
	settled("round " .. round .. ", killed at step " .. steps)
	p:close()
	if rota.get(double(round), 30) ~= 2 * round then T.ok(false, "another driver's task") end
	if round == 2 then fds = C.fds(rota.nodes()[1].pid) end
end
C.quiet "drivers killed"
local now = C.fds(rota.nodes()[1].pid)
T.ok(not fds or now <= fds + 4, "descriptors of the node", fds, now)
T.done()
