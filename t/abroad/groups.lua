-- groups.lua - placement groups over two nodes, a and b, of two CPUs each; run by t/abroad_group.t on a
package.path = "t/?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has = T.ok, T.is, T.has

local node = rota.task(function() return rota.context().node end)
local function settles(f, want)			-- waits until f() is want
	local till = rota.now() + 10
	while f() ~= want and rota.now() < till do rota.sleep(0.01) end
	return f()
end
local function whole(timeout)			-- can groups have all there is?
	local g <close> = rota.group({ { cpus = 2 }, { cpus = 2 } }, "strict_spread")
	return (g:wait(timeout or 20))
end
local function at(g, i, o)			-- where a task runs in bundle i of g
	local opts = { group = g, bundle = i }
	for k, v in pairs(o or {}) do opts[k] = v end
	return rota.get(node:with(opts)(), 20)
end
local function row(g)
	for _, r in ipairs(core.list "groups") do if r.id == core.id_text(g.id) then return r end end
end

-- strategies
do
	local g <close> = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	is({ g:wait(20) }, { true }, "a group over two nodes")
	local a, b = at(g, 1), at(g, 2)
	ok(a ~= b, "a task in each bundle, on different nodes", a, b)
	is({ at(g, 1), at(g, 2) }, { a, b }, "where they stay")
	local r = row(g)
	is({ r.state, r.strategy, r.bundles, r.cpus }, { "created", "strict_spread", 2, 2 }, "as it is listed")
	ok(r.nodes:match "^%d+ %d+$" and r.nodes:match "^(%d+)" ~= r.nodes:match "(%d+)$", "with its nodes", r.nodes)
	is(g:state(), "created", "its state")
end
ok(whole(), "removed, nothing of it is left")
do
	local g <close> = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_pack")
	is(at(g, 1), at(g, 2), "strict_pack: one node")
	local h <close> = rota.group({ { cpus = 1 }, { cpus = 1 } }, "pack")
	is(at(h, 1), at(h, 2), "pack: one, if it has room")
	ok(at(g, 1) ~= at(h, 1), "the other one")
end
do
	local g <close> = rota.group({ { cpus = 1 }, { cpus = 1 }, { cpus = 1 } }, "pack")
	is({ g:wait(20) }, { true }, "pack: two, if one has not")
	local on = {}
	for i = 1, 3 do on[at(g, i)] = true end
	ok(on.a and on.b, "both are used")
	local all = {}
	for i = 1, 60 do all[i] = node:with { group = g }() end
	local seen = {}
	for _, v in ipairs(rota.get(all, 30)) do seen[v] = true end
	ok(seen.a or seen.b, "tasks in any bundle")
end
do
	local g <close> = rota.group({ { cpus = 1 }, { cpus = 1 } }, "spread")
	ok(at(g, 1) ~= at(g, 2), "spread")
end
ok(whole(), "nothing is left")

-- what can never be
for _, c in ipairs {
	{ { { cpus = 1 }, { cpus = 1 }, { cpus = 1 } }, "strict_spread", "needs a node for each of the 3 bundles" },
	{ { { cpus = 2 }, { cpus = 1 } }, "strict_pack", "no node can hold all 2 bundles" },
	{ { { cpus = 3 } }, "pack", "bundle 1 needs 3 cpus, a node has" },
	{ { { cpus = 1, resources = { ssd = 1 } } }, "pack", "needs 1 ssd; no node has any" },
} do
	local g = rota.group(c[1], c[2])
	local _, err = g:wait(20)
	has(err, c[3], c[2] .. ": " .. c[3])
	is(err and err.code, "infeasible", "is infeasible")
	_, err = rota.pget(node:with { group = g }(), 20)
	has(err, c[3], "and so are its tasks")
	g:remove()
end
do
	local g <close> = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	local _, err = rota.pget(node:with { group = g, bundle = 2, cpus = 2 }(), 20)
	has(err, "needs 2 cpus; bundle 2 of its placement group has 1", "more than a bundle has")
	_, err = rota.pget(node:with { group = g, bundle = 3 }(), 20)
	has(err, "no bundle 3", "a bundle that is none")
end

-- waiting
do
	local g = rota.group({ { cpus = 2 }, { cpus = 2 } }, "strict_spread")
	is({ g:wait(20) }, { true }, "all there is")
	local h = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	ok(not h:wait(0.05), "leaves no room for another one")
	is(h:state(), "pending", "which waits")
	local early = node:with { group = h, bundle = 2 }()
	local late = rota.group({ { cpus = 1 } }, "pack", { timeout = 0.05 })
	local _, err = late:wait(20)
	is(err and err.code, "timeout", "timeout=: not placed in its time")
	late:remove()
	g:remove()
	is({ h:wait(20) }, { true }, "until that is removed")
	ok(rota.get(early, 20), "what was to run in it runs")
	h:remove()
end

-- what runs in a group that is removed
do
	local g = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	local runs = os.tmpname()
	os.remove(runs)
	local stays = rota.task(function(i) io.open(runs .. i, "w"):close() rota.sleep(60) end):with { retries = 0 }
	local t1, t2 = stays:with { group = g, bundle = 1 }(1), stays:with { group = g, bundle = 2 }(2)
	for i = 1, 2 do
		is(settles(function() local f = io.open(runs .. i) return f ~= nil and f:close() end, true), true, "a task in bundle " .. i)
		os.remove(runs .. i)
	end
	g:remove()
	for i, t in ipairs { t1, t2 } do
		local _, err = rota.pget(t, 20)
		is({ err.code, err.message }, { "cancelled", "its placement group was removed" }, "is killed with it, in bundle " .. i)
	end
	is(g:state(), "removed", "its state")
	local _, err = rota.pget(node:with { group = g }(), 20)
	has(err, "was removed", "a task in a group that was removed")
end
ok(whole(), "nothing is left")

-- children
do
	local g <close> = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	local function where() local c = rota.context() return { c.group, c.node } end
	local child = rota.task(function() return rota.get(rota.task(where)()) end)
	for i = 1, 2 do
		local v = rota.get(child:with { group = g, bundle = i, capture = true }(), 20)
		ok(v[1] == g and #v[1] == 2, "the child of a task in bundle " .. i .. " is captured")
	end
	local across = rota.task(function(h, i) return rota.get(rota.task(function() return rota.context().node end):with { group = h, bundle = i }()) end)
	is(rota.get(across:with { group = g, bundle = 1 }(g, 2), 20), at(g, 2), "a group travels: a child in another bundle of it")
	is(rota.get(across:with { group = g, bundle = 2 }(g, 1), 20), at(g, 1), "and from the other node back")
	local made = rota.task(function()
		local h <close> = rota.group({ { cpus = 0.5 }, { cpus = 0.5 } }, "strict_spread")
		h:wait(20)
		local f = rota.task(function() return rota.context().node end)
		local a, b = f:with { group = h, bundle = 1, cpus = 0.1 }(), f:with { group = h, bundle = 2, cpus = 0.1 }()
		return rota.get(a), rota.get(b)
	end):with { returns = 2, group = g, cpus = 0.1 }
	for i = 1, 2 do
		local a, b = made:with { bundle = i }()
		a, b = rota.get(a, 20), rota.get(b, 20)
		ok(a ~= b, "a task in bundle " .. i .. " makes a group", a, b)
	end
end
ok(whole(), "nothing is left")

-- actors
do
	local Class = rota.actor { node = function() return rota.context().node end, pid = function() return tonumber(io.open "/proc/self/stat":read "n") end,
		child = function() return rota.get(rota.task(function() local c = rota.context() return { c.group, c.node } end):with { cpus = 0 }()) end }
	local g = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	local one = Class:with { group = g, bundle = 1, cpus = 1, restarts = 1 }()
	local two = Class:with { group = g, bundle = 2, cpus = 1, restarts = 1 }()
	local a, b = rota.get(one:node(), 20), rota.get(two:node(), 20)
	ok(a ~= b, "an actor in each bundle, on different nodes", a, b)
	for i, act in ipairs { one, two } do
		local pid = rota.get(act:pid(), 20)
		os.execute("kill -9 " .. pid)
		is({ rota.get(act.node:with { retries = 5 }(), 20), rota.get(act:pid(), 20) ~= pid }, { i == 1 and a or b, true },
			"killed, it starts again in bundle " .. i)
	end
	local kid = Class:with { group = g, bundle = 2, cpus = 0, capture = true }()
	is(rota.get(kid:child(), 20)[1], g, "what a captured one runs is in the group")
	local _, err = rota.pget(Class:with { group = g, bundle = 2, cpus = 2 }():node(), 20)
	has(err, "needs 2 cpus; bundle 2", "one that does not fit")
	local wait = Class:with { group = g, bundle = 2, cpus = 1 }()
	ok(not rota.wait({ wait:node() }, 0.05)[1], "another one waits for its bundle")
	g:remove()
	for i, act in ipairs { one, two, wait } do
		settles(function()
			_, err = rota.pget(act:node(), 20)
			return err and err.code
		end, "actor_died")
		has(err, "its placement group was removed", "removed: actor " .. i .. " dies")
	end
	local h = rota.group({ { cpus = 2 }, { cpus = 2 } }, "strict_spread")
	h:wait(20)
	local pending = rota.group({ { cpus = 1 }, { cpus = 1 } }, "strict_spread")
	local early = { Class:with { group = pending, bundle = 1 }(), Class:with { group = pending, bundle = 2 }() }
	h:remove()
	ok(rota.get(early[1]:node(), 20) ~= rota.get(early[2]:node(), 20), "actors of a pending group wait for it")
	pending:remove()
end
ok(whole(), "nothing is left")

-- many
for i = 1, 100 do
	local g <close> = rota.group({ { cpus = 0.5 }, { cpus = 0.5 } }, i % 2 == 0 and "strict_spread" or "pack")
	local v = rota.pget(node:with { group = g, bundle = i % 2 + 1, cpus = 0.5 }(), 20)
	if not v then ok(false, "a task in group " .. i, v) end
end
ok(whole(), "100 groups with a task each, nothing is left")
do
	local list = {}
	for i = 1, 500 do list[i] = rota.group({ { cpus = 0.001 }, { cpus = 0.001 } }, "strict_spread") end
	is(#rota.wait(list, { n = "all", timeout = 60 }), 500, "500 groups at once")
	for i = 1, 500 do list[i]:remove() end
end
ok(whole(), "nothing is left")
T.done()
