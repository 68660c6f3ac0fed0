-- groups_die.lua - placement groups while the control store, a node's daemon and a whole node are killed; run by t/abroad_group_dies.t on
-- a, beside b and c, all with two CPUs; in the environment the first processes of the store (G), of b and of c, whose child is the daemon
package.path = "t/?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has = T.ok, T.is, T.has
local rounds = tonumber(os.getenv "ROUNDS")

local node = rota.task(function() return rota.context().node end):with { retries = -1 }
local function settles(f, want)			-- waits until f() is want
	local till = rota.now() + 30
	while f() ~= want and rota.now() < till do rota.sleep(0.01) end
	return f()
end
local function show()				-- what there is, when something did not come
	for _, r in ipairs(core.list "groups") do print("#", r.id, r.state, r.nodes, r.why) end
	for _, r in ipairs(core.list "nodes") do print("#", r.node, r.name, r.state, r.cpus_free) end
end
local function whole(n, timeout)		-- can groups have all there is on n nodes?
	local b = {}
	for i = 1, n do b[i] = { cpus = 2 } end
	local g <close> = rota.group(b, "strict_spread")
	local v, err = g:wait(timeout or 30)
	if not v then
		print("#", err)
		show()
	end
	return v
end
local function daemon(pid)
	local f <close> = assert(io.open(("/proc/%d/task/%d/children"):format(pid, pid)))
	return f:read "n"
end
local function kill(...) os.execute("kill -9 " .. table.concat({ ... }, " ")) end
local pids = {}
for _, k in ipairs { "G", "B", "C" } do pids[k] = tonumber(os.getenv(k)) end
math.randomseed(tonumber(os.getenv "SEED"))

-- groups that come and go while what is killed comes back
local function churn(n, f)
	local open, done, bad, at = {}, 0, nil, math.random(n)
	for i = 1, n do
		local g = rota.group({ { cpus = 0.01 }, { cpus = 0.01 }, { cpus = 0.01 } }, i % 3 == 0 and "pack" or "strict_spread")
		open[#open + 1] = g
		if i == at then f() end
		if #open > 8 then
			local h = table.remove(open, math.random(#open))
			if math.random(3) > 1 then
				local v, err = h:wait(10)
				if v then done = done + 1 elseif not bad then bad = err show() end
			end
			h:remove()
		end
	end
	for _, h in ipairs(open) do
		local v, err = h:wait(10)
		if v then done = done + 1 elseif not bad then bad = err show() end
		h:remove()
	end
	return bad, done
end

-- the control store
do
	local g = rota.group({ { cpus = 1 }, { cpus = 1 }, { cpus = 1 } }, "strict_spread", { name = "lasts", detached = true })
	is({ g:wait(30) }, { true }, "a group over three nodes")
	local at = {}
	for i = 1, 3 do at[i] = rota.get(node:with { group = g, bundle = i }(), 30) end
	local slow = rota.task(function() rota.sleep(0.5) return rota.context().node end):with { retries = 0 }
	local running = slow:with { group = g, bundle = 2 }()
	for i = 1, rounds do
		local bad = churn(40, function() kill(daemon(pids.G)) end)
		ok(not bad, "groups come and go while the control store dies", bad)
	end
	is(rota.get(running, 30), at[2], "what ran in a group was not disturbed")
	is(settles(function() return g:state() end, "created"), "created", "which is there")
	local same = true
	for i = 1, 3 do same = same and rota.get(node:with { group = g, bundle = i }(), 30) == at[i] end
	ok(same, "with its bundles where they were")
	local h = rota.group "lasts"
	ok(h == g and #h == 3, "and its name")
	g:remove()
	is(rota.group "lasts", nil, "until it is removed")
end
ok(whole(3), "nothing is left over")

-- a node's daemon: another one takes over, with nothing set aside
do
	local g = rota.group({ { cpus = 1 }, { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	g:wait(30)
	local at = {}
	for i = 1, 3 do at[rota.get(node:with { group = g, bundle = i }(), 30)] = i end
	for i = 1, rounds do
		local bad = churn(40, function() kill(daemon(pids.C)) end)
		ok(not bad, "groups come and go while a node's daemon dies", bad)
	end
	is(settles(function() return g:state() end, "created"), "created", "a group that had a bundle there has it again")
	is(rota.get(node:with { group = g, bundle = at.c }(), 30), "c", "and tasks in it")
	g:remove()
end
ok(whole(3), "nothing is left over")

-- a node: it takes its time to be given up
if os.getenv "ROTA_LONG" then
	local g = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	local p = rota.group({ { cpus = 0.5 }, { cpus = 0.5 }, { cpus = 0.5 } }, "spread")
	g:wait(30) p:wait(30)
	local at = {}
	for i = 1, 2 do at[rota.get(node:with { group = g, bundle = i }(), 30)] = i end
	local gone = at.b and "b" or at.c and "c"
	local stays = gone == "b" and (at.a and "a" or "c") or (at.a and "a" or "b")
	local runs = rota.task(function() rota.sleep(1) return "ran" end):with { retries = 0, group = g, bundle = at[stays] } ()
	local bad = churn(10, function() kill(daemon(pids[gone:upper()]), pids[gone:upper()]) end)
	ok(not bad or bad.code == "infeasible", "groups come and go while a node dies", bad)
	is(settles(function() return g:state() end, "created"), "created", "a group that had a bundle there is placed anew")
	is(rota.get(runs, 30), "ran", "what ran in its other bundle went on")
	local now = rota.get(node:with { group = g, bundle = at[gone] }(), 30)
	ok(now ~= gone and now ~= stays, "the lost bundle is on the third node", now)
	is(rota.get(node:with { group = g, bundle = at[stays] }(), 30), stays, "the other one where it was")
	is(settles(function() return p:state() end, "created"), "created", "so is one that was spread over all")
	g:remove()
	p:remove()
end
if os.getenv "ROTA_LONG" then ok(whole(2), "nothing is left over") end
T.done()
