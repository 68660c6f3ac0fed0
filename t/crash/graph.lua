-- graph.lua [SEED] - actors in compiled graphs, and drivers that compiled one, are killed at any moment
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init { store = "256M", cpus = 4, namespace = "graphs" }
local here = arg[0]:match "^(.*/)"

local Act = rota.actor {
	add = function(self, x, y) return x + (y or 1) end,
	long = function(self, x, n) return x, ("s"):rep(n) end,
	text = function(self, x, n) return (tostring(x):rep(n)) end,
	size = function(self, s, x) return #s // #tostring(x) + x end,
	pid = function(self) local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
}
local killer = rota.task(function(pid, n) for i = 1, n do n = n + i % 2 end os.execute("kill -9 " .. pid .. " 2>/dev/null") end)

-- shapes over actors a, b, c: the function to be traced, and what it gives for x
local shapes = {
	{ function(a) return function(x) return a:add(x) end end, function(x) return x + 1 end, 1 },
	{ function(a, b) return function(x) return b:add(a:add(x)) end end, function(x) return x + 2 end, 2 },
	{ function(a, b, c) return function(x) return c:add(b:add(a:add(x))) end end, function(x) return x + 3 end, 3 },
	{ function(a, b, c) return function(x) local p = a:add(x) return c:add(b:add(p), a:add(p)) end end, function(x) return 2 * x + 4 end, 3 },
	{ function(a, b, c) return function(x) return c:size(b:text(a:add(x), 3000), a:add(x)) end end, function(x) return 3000 + x + 1 end, 3 },
	{ function(a, b) return function(x) return b:add(a:add(b:add(x))) end end, function(x) return x + 3 end, 2 },
}
local bad, good, died, fds, slowest = 0, 0, 0, nil, 0
local function fail(...) bad = bad + 1 print("# ", ...) end

local function death(round, e)		-- what a broken graph says: who, and how
	died = died + 1
	if type(e) ~= "table" or e.code ~= "actor_died" then return fail("round", round, "not told as a death", tostring(e)) end
	if not e.message:find "killed by SIGKILL" then return fail("round", round, "how it died is not said", e.message) end
	if not e.message:find "^actor %d+ %(graph.lua:" then fail("round", round, "who died is not said", e.message) end
end

for round = 1, C.rounds(40, 1000) do
	local shape = shapes[math.random(#shapes)]
	local lives = math.random(2) == 1 and -1 or 0
	local acts = {}
	for i = 1, 3 do acts[i] = Act:with { restarts = lives }() end
	local pids = rota.get({ acts[1]:pid(), acts[2]:pid(), acts[3]:pid() }, 30)
	local graph = rota.dag(shape[1](table.unpack(acts))):compile { inflight = math.random(20), bytes = 4096 << math.random(0, 4) }
	local victim, how, at, N = pids[math.random(shape[3])], math.random(3), math.random(60), 60
	local futures, told, later = {}, nil, {}
	if how == 1 then killer(victim, math.random(200000)) end
	for i = 1, N do
		if i == at and how == 2 then C.kill(victim) end
		local fine, f = pcall(graph, i)
		if not fine then told = f break end
		futures[i] = f
		if math.random(4) == 1 then later[#later + 1] = acts[math.random(3)]:add(i) end
	end
	if how == 3 then C.kill(victim) end
	local t0, broke = rota.now(), false
	for i = 1, #futures do
		local fine, v = pcall(futures[i].get, futures[i], 20)
		if fine then
			good = good + 1
			if v ~= shape[2](i) then fail("round", round, "execution", i, v, shape[2](i)) end
			if broke then fail("round", round, "execution", i, "ended after the graph was broken") end
		else
			broke = true
			death(round, v)
			if select(2, pcall(futures[i].get, futures[i])) ~= v then fail("round", round, "another error when asked again") end
		end
	end
	if told then death(round, told) end
	while not told do					-- the next calls say so too, if none did yet
		local fine, e = pcall(function() return graph(1):get(20) end)
		if not fine then told = e death(round, e) end
	end
	slowest = math.max(slowest, rota.now() - t0)
	graph:close()
	local _, errs = rota.pget(later, 30)			-- ordinary calls of the others were not disturbed
	for i, e in pairs(errs or {}) do if e.code ~= "actor_died" then fail("round", round, "call", i, tostring(e)) end end
	if lives == -1 then					-- who was made again can be compiled again
		local again = rota.dag(shape[1](table.unpack(acts))):compile()
		local v = again(7):get(30)
		if v ~= shape[2](7) then fail("round", round, "compiled again", v) end
	end
	if bad > 0 then break end
	if round == 5 then graph, acts, futures, later = nil, nil, nil, nil T.collect() fds = C.fds(rota.nodes()[1].pid) end
end
T.ok(bad == 0, ("%d executions ended, %d failed with their actor"):format(good, died))
T.ok(slowest < 15, "no death was found out by waiting", slowest)

-- drivers with graphs over our actor
local mine = Act:with { name = "mine" }()
for round = 1, C.rounds(6, 200) do
	local p = io.popen(("exec 2>/dev/null; echo $$; exec rlua %sgraphvictim.lua"):format(here), "r")
	local pid = p:read "n"
	p:read "l"
	if p:read "l" ~= "compiled" then T.ok(false, "the victim did not come so far") break end
	if math.random(2) == 1 then p:read "l" end
	C.kill(pid)
	if rota.get(mine:add(round), 30) ~= round + 1 then T.ok(false, "an actor outlives a driver with a graph") end
	local g <close> = rota.dag(function(x) return mine:add(x) end):compile()
	if g(round):get(30) ~= round + 1 then T.ok(false, "and is compiled into a graph of ours") end
	p:close()
end
mine = nil
local node = C.quiet "actors and drivers killed"
local now = C.fds(node.pid)
T.ok(not fds or now <= fds + 12, "descriptors of the node", fds, now)
T.done()
