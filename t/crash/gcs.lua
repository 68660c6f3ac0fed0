-- gcs.lua [SEED] - the control store is killed at any moment under load: work goes on, and what it had acknowledged is there
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota = C.T, C.rota
local M = require "mix"
rota.init {}
local kv = rota.kv

local function store()			-- its pid; waits for it
	for _ = 1, 500 do
		local p = io.popen [[for p in $(pgrep -x rgcs); do grep -qzFx "ROTA_DIR=$ROTA_DIR" /proc/$p/environ && echo $p; done 2>/dev/null]]
		local pid = p:read "n"
		p:close()
		if pid then return pid end
		rota.sleep(0.02)
	end
end

local wrong = 0
local function right(ok, ...) if not ok then wrong = wrong + 1 if wrong < 8 then print("#", ...) end end end

local node = rota.nodes()[1].pid
local pot = M.Pot()
local acked, tried, names, codes, n, unsure, fds = {}, {}, {}, {}, 0, 0, nil
right(store(), "there is none")
for round = 1, C.rounds(8, 100) do
	local pid = store()
	local refs, want = M.load(nil, nil, pot)
	local killer = io.popen(("sleep %.3f; kill -9 %d; echo"):format(math.random() * 0.1, pid), "r")
	for i = 1, math.random(20, 60) do	-- keys: what was answered stands, unless a later one without an answer does
		n = n + 1
		local key = "k/" .. i % 13
		tried[key] = tried[key] or {}
		local good, e
		if i % 5 == 0 then
			good, e = pcall(kv.txn, kv, { put = { [key] = n } })
		else
			good, e = pcall(kv.put, kv, key, n)
		end
		if good then acked[key], tried[key] = n, {} else unsure = unsure + 1 tried[key][n] = true codes[tostring(e.code)] = true end
	end
	local name = "pot" .. round
	local good, a = pcall(M.Pot:with { name = name })
	right(good, "an actor is made, by this control store or the next", a)
	if good then
		names[name] = a
		right(rota.pget(a:add(round, ""), 60) == round, "a new actor answers", round)
	end
	for _ = 1, 20 do
		local b = M.Pot()
		right(rota.pget(b:add(round, ""), 60) == round, "an actor without a name answers", round)
		right(rota.find(name) == a, "a name is found", name)
	end
	local g
	good, g = pcall(rota.group, { { cpus = 0.1 }, { cpus = 0.1 } }, "pack", { name = "group" .. round })
	if good then
		good = pcall(g.wait, g, 60)
		right(good, "a placement group is placed", round)
		g:remove()
	end
	killer:read "a"
	killer:close()
	wrong = wrong + M.check(refs, want, "round " .. round)
	right(store() ~= pid, "another one runs")
	for key, v in pairs(acked) do
		local got = kv:get(key)
		right(got == v or tried[key][got], "a key", key, "is", got, "and was", v)
	end
	for k, a in pairs(names) do
		local there, e = rota.find(k)
		right(there == a, "a named actor is known", k, e)
		right(rota.pget(a:add(0, ""), 60) == tonumber(k:match "%d+"), "and is the same", k)
	end
	if round % 3 == 0 then names = {} T.collect() end
	if round == 3 then fds = C.fds(node) end
	if wrong > 0 then break end
end
T.ok(wrong == 0, ("the control store was killed: %d of %d changes had no answer, and all others stand"):format(unsure, n))
for c in pairs(codes) do print("# no answer: " .. c) end
T.ok(next(acked), "changes were acknowledged")
T.ok(rota.nodes()[1].pid == node, "the node is the same")
pot, names = nil, nil
C.quiet "the control store killed"
local now = C.fds(node)
T.ok(not fds or not now or now <= fds + 12, "descriptors of the node", fds, now)
T.done()
