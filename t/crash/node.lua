-- node.lua [SEED] - the node is killed: its programs are told at once, its workers end, the next program has a new one
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota = C.T, C.rota
local here = arg[0]:match "^(.*/)"
for round = 1, C.rounds(5, 100) do
	local progs = {}
	for i = 1, math.random(3) do
		progs[i] = io.popen(("exec rlua %sorphan.lua 2>&1"):format(here), "r")
	end
	local pid
	for i, p in ipairs(progs) do
		local n = p:read "n"
		p:read "l"
		if pid and n ~= pid then T.ok(false, "they share a node", pid, n) end
		pid = n
	end
	if not pid then T.ok(false, "round " .. round .. ": no node") break end
	local t0 = rota.now()
	C.kill(pid)
	local told = 0
	for i, p in ipairs(progs) do
		local text = p:read "a"
		if text:match "told" then told = told + 1 else print("# " .. text:gsub("\n", "\n# ")) end
		p:close()
	end
	T.ok(told == #progs and rota.now() - t0 < 20, ("round %d: %d programs were told"):format(round, #progs), told, rota.now() - t0)
end
rota.init {}				-- the next program's node replaces what the last one left, and takes it away
T.is(rota.get(rota.task(function(x) return x end)(7), 30), 7, "the next program has a node")
T.done()
