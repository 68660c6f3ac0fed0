-- stream.lua [SEED] - producers are killed at any moment: each item comes once and in order, and nothing stays behind
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init { store = "256M" }

local function item(i)			-- of every kind by turns: inline, in a block, in the store
	if i % 7 == 0 then return ("b"):rep(3000 + i) end
	if i % 11 == 0 then return ("s"):rep(30000 + i) end
	return i
end
local count = rota.task(function(n, item)
	for i = 1, n do
		if i % 13 == 0 then coroutine.yield(i, { rota.put(item(i)) }) else coroutine.yield(i, item(i)) end
	end
	return n
end):with { retries = -1 }
local relay = rota.task(function(count, n, item)		-- a producer that is a consumer
	for i, k, v in count(n, item):each() do coroutine.yield(k, v) end
	return n
end):with { retries = -1 }
local Act = rota.actor { count = function(self, n, item)
	for i = 1, n do coroutine.yield(i, item(i)) end
	return n
end }

local bad, items, kills, left = 0, 0, 0, 0
local function fail(...) bad = bad + 1 print("# ", ...) end
local function check(name, i, k, v)
	items = items + 1
	if k ~= i then fail(name, "item", i, "is number", k) end
	if type(v) == "table" then
		local got, e = rota.pget(v[1], 30)	-- its owner, the worker, may be dead
		if not got and e.code == "lost" then return end
		v = got
	end
	if v ~= item(i) then fail(name, "item", i, "is", tostring(v):sub(1, 40)) end
end

local function get(ref, name)
	local v = table.pack(pcall(rota.get, ref, 30))
	if v[1] then return table.unpack(v, 2, v.n) end
	fail(name, v[2], v[2].code, v[2].task, v[2].attempt, v[2].traceback)
end

local function drain(name, s, n, stop)		-- takes all of it, in this or that way
	local i = 0
	while true do
		if math.random(2) == 1 then
			local ref = s:next(30)
			if not ref then break end
			i = i + 1
			check(name, i, get(ref, name))
		else
			local ready = rota.wait({ s }, { timeout = 30 })
			if #ready == 0 then fail(name, "hangs after", i) return end
			local ref = s:next()
			if not ref then break end
			i = i + 1
			check(name, i, get(ref, name))
		end
		coroutine.yield()
		if i == stop then left = left + 1 s:close() return end
	end
	if i ~= n then fail(name, "ended after", i, "of", n) end
	if rota.get(s:result(), 30) ~= n then fail(name, "its result is", rota.get(s:result())) end
end

local pid, fds = rota.nodes()[1].pid, nil
for round = 1, C.rounds(12, 400) do
	local cos = {}
	for k = 1, 4 do
		local n, backlog = math.random(400), math.random(3) == 1 and math.random(8) or 1024
		local o = { stream = true, backlog = backlog }
		local kind = math.random(3)
		local s = kind == 1 and count:with(o)(n, item) or kind == 2 and relay:with(o)(count:with(o), n, item)
		if not s then
			local a = Act:with { restarts = -1, retries = -1 }()
			s = a.count:with(o)(n, item)
		end
		local name = ("round %d, stream %d of kind %d, backlog %d"):format(round, k, kind, backlog)
		cos[k] = coroutine.wrap(function() drain(name, s, n, math.random(5) == 1 and math.random(n) or 0) return true end)
	end
	local over, dead, steps = 0, {}, 0
	local at = math.random(200)
	while over < 4 do
		for k = 1, 4 do if not dead[k] and cos[k]() then dead[k], over = true, over + 1 end end
		steps = steps + 1
		if steps == at and kills < 1000 then
			local ws = C.workers(math.random(2) == 1 and "running" or nil)
			if #ws > 0 then C.kill(ws[math.random(#ws)].pid) kills = kills + 1 end
			at = math.random(3) == 1 and steps + math.random(100) or at
		end
	end
	if bad > 0 then break end
	if round == 5 then cos = nil T.collect() fds = C.fds(pid) end
end
T.ok(bad == 0, ("%d items, %d workers killed, %d streams left early: each item once and in order"):format(items, kills, left))
C.quiet "producers killed"
local now = C.fds(pid)
T.ok(not fds or now <= fds + 12, "descriptors of the node", fds, now)
T.done()
