-- groups.lua - placement groups through the Lua API: strategies, bundles, waiting, actors, capture, removal, deaths, names, GPUs, all or nothing
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 4, store = "64M" }

local function free() return rota.resources().cpus_free end
local function settles(f, want)			-- waits until f() is want: deaths take a moment
	local till = rota.now() + 10
	while f() ~= want and rota.now() < till do rota.sleep(0.005) end
	return f()
end
local nap = rota.task(function(s, v) rota.sleep(s) return v end)
local hold = rota.task(function(s, v) os.execute("sleep " .. s) return v end)		-- keeps its CPU, as one that sleeps does not
local other = nap:with { cpus = 0 }(60)			-- never ready

local function whole(timeout)			-- can a group have all of the node?  Idle leases are called back for it
	local g <close> = rota.group { { cpus = 4 } }
	return g:wait(timeout or 10)
end

-- made, used, removed
local pg = rota.group({ { cpus = 1 }, { cpus = 2 } }, "pack")
is(rota.get(pg:ready()), true, "a group is placed")
is(pg:state(), "created", "its state")
is(#pg, 2, "its bundles")
is(free(), 1, "its resources are set aside")
is(rota.get(nap:with { group = pg, bundle = 2, cpus = 2 }(0, "x")), "x", "a task in a bundle")
is(free(), 1, "which takes nothing from the node")
local at = {}
for i = 1, 20 do at[i] = nap:with { group = pg }(0, i) end
is(rota.get(at)[20], 20, "tasks in any bundle")
local _, err = rota.pget(nap:with { group = pg, bundle = 1, cpus = 2 }(0))
has(err, "needs 2 cpus; bundle 1 of its placement group has 1", "more than the bundle has")
is(err.code, "infeasible", "is infeasible")
_, err = rota.pget(nap:with { group = pg, bundle = 3 }(0))
has(err, "no bundle 3", "a bundle that is none")
_, err = rota.pget(nap:with { group = pg, cpus = 3 }(0))
has(err, "more than any of the 2 bundles", "more than any bundle has")
local a, b = hold:with { group = pg, bundle = 1 }(0.05, "a"), nap:with { group = pg, bundle = 1 }(0, "b")
is(rota.get { a, b }, { "a", "b", n = 2 }, "two in a bundle of one CPU: one after the other")
pg:remove()
is(settles(free, 4), 4, "removed: all is back")
is(pg:state(), "removed", "its state")
_, err = rota.pget(nap:with { group = pg }(0))
has(err, "was removed", "a task in a group that was removed")

-- what runs in it is killed
local runs = dir .. "/runs"
local function begun()			-- waits for it
	settles(function() local f = io.open(runs) return f ~= nil and f:close() end, true)
	return os.remove(runs)
end
local stays = rota.task(function(s, v) io.open(runs, "w"):close() rota.sleep(s) return v end)
do
	local g <close> = rota.group { { cpus = 1 } }
	local long = stays:with { group = g, retries = 0 }(60)
	ok(begun(), "a long task in a group")
	g:remove()
	_, err = rota.pget(long, 10)
	is({ err.code, err.message }, { "cancelled", "its placement group was removed" }, "is killed with it")
end
do
	local again = stays:with { retries = -1 }		-- one function in many groups that are removed is not poison
	for i = 1, 5 do
		local g <close> = rota.group { { cpus = 1 } }
		local long = again:with { group = g }(60)
		begun()
		g:remove()
		_, err = rota.pget(long, 20)
		is(err and err.code, "cancelled", "retries have nowhere to go")
	end
	local free = again:with { cpus = 0 }		-- the same code; it holds no CPU afterwards
	local both = { free(0.1, 1), free(0.1, 2) }
	is(rota.get(both)[2], 2, "the function is as before")
end
is(settles(free, 4), 4, "nothing is left")
do
	local g <close> = rota.group { { cpus = 3 } }
	is(g:wait(5), true, "pg:wait")
	is(free(), 1, "in a scope")
end
is(settles(free, 4), 4, "<close> removes it")

-- all or nothing; waiting
local busy = {}
for i = 1, 4 do busy[i] = hold(0.3) end
settles(free, 0)
local waits = rota.group({ { cpus = 2 }, { cpus = 1 } }, "strict_pack")
is({ waits:wait(0.01) }, { nil, select(2, waits:wait(0)) }, "not while the CPUs are in use")
is(waits:state(), "pending", "pending")
local early = nap:with { group = waits, bundle = 1 }(0, "early")
is(rota.get(early, 10), "early", "a task of a pending group waits with it")
local ready, rest = rota.wait({ waits, other }, { n = 1, timeout = 10 })
ok(ready[1] == waits and #rest == 1, "rota.wait takes groups")
local second = rota.group { { cpus = 2 } }
ok(not second:wait(0.02), "a second one has no room beside the first")
waits:remove()
ok(second:wait(10), "until that is removed")
second:remove()
local late = rota.group({ { cpus = 4 } }, "pack", { timeout = 0.05 })
local hog = rota.group { { cpus = 1 } }
late:remove()
hog:wait(5)
late = rota.group({ { cpus = 4 } }, "pack", { timeout = 0.05 })
_, err = late:wait(10)
is(err and err.code, "timeout", "timeout=: not placed in its time")
hog:remove()

-- what can never be
for _, c in ipairs {
	{ { { cpus = 1 }, { cpus = 1 } }, "strict_spread", "strict_spread needs a node for each of the 2 bundles, and there is 1" },
	{ { { cpus = 3 }, { cpus = 3 } }, "strict_pack", "no node can hold all 2 bundles" },
	{ { { cpus = 3 }, { cpus = 3 } }, "pack", "cannot hold the 2 bundles: they need 6 cpus, there are 4" },
	{ { { cpus = 64 } }, "spread", "cannot hold the 1 bundle: bundle 1 needs 64 cpus, a node has 4" },
	{ { { cpus = 1, resources = { ssd = 1 } } }, "pack", "needs 1 ssd; this node has 0" },
} do
	local g = rota.group(c[1], c[2])
	_, err = g:wait(10)
	has(err, c[3], c[2] .. ": " .. c[3])
	is(err.code, "infeasible", "infeasible")
	_, err = rota.pget(nap:with { group = g }(0), 10)
	has(err, c[3], "and so are its tasks")
	g:remove()
end
do
	local g <close> = rota.group({ { cpus = 1 } }, "strict_spread")
	local h <close> = rota.group({ { cpus = 1 }, { cpus = 1 } }, "spread")
	ok(g:wait(5), "strict_spread of one bundle")
	ok(h:wait(5), "spread is as far as may be")
end
raises("no strategy 'random'", "an unknown strategy", rota.group, { { cpus = 1 } }, "random")
raises("bundle 2 asks for nothing", "an empty bundle", rota.group, { { cpus = 1 }, {} })
raises("no option 'cpu'; did you mean 'cpus'", "an unknown resource", rota.group, { { cpu = 1 } })
raises("a list of bundles", "no bundles", rota.group, {})
raises("what rota.group() returned", "no group", nap.with, nap, { group = "x" })
is(settles(free, 4), 4, "nothing is left")

-- actors
local Class = rota.actor { pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	child = function(self, g) return rota.get(rota.task(function() return rota.resources().cpus_free end):with { group = g }()) end }
do
	local g <close> = rota.group { { cpus = 1 }, { cpus = 1 } }
	local act = Class:with { group = g, bundle = 1, cpus = 1, restarts = 1 }()
	local pid = rota.get(act:pid())
	is(free(), 2, "an actor in a bundle")
	is(rota.get(act:child(g), 10), 2, "a group travels; a task of the actor in it")
	os.execute("kill -9 " .. pid)
	ok(rota.get(act.pid:with { retries = 3 }(), 10) ~= pid, "killed, it starts again in its bundle")
	is(free(), 2, "and has the same resources")
	_, err = rota.pget(Class:with { group = g, bundle = 1, cpus = 2 }():pid(), 10)
	has(err, "needs 2 cpus; bundle 1", "an actor that does not fit")
	local wait = Class:with { group = g, bundle = 1, cpus = 1 }()
	ok(not rota.wait({ wait:pid() }, 0.05)[1], "a second one waits for the bundle")
	local again = Class:with { group = g, restarts = 5 }()
	pid = rota.get(again:pid())
	g:remove()
	ok(settles(function()				-- calls that were on their way may still have run
		_, err = rota.pget(again:pid(), 10)
		return err and err.code
	end, "actor_died") == "actor_died", "removed: its actors die, whatever restarts are left", err)
	has(err, "its placement group was removed", "and say why")
	_, err = rota.pget(wait:pid(), 10)
	has(err, "was removed", "also those that wait")
	is(settles(free, 4), 4, "and give all back")
end

-- capture: children of a task come from the group too
do
	local g <close> = rota.group { { cpus = 1 }, { cpus = 1 } }
	local function where() return rota.context().group end
	is(where(), nil, "a driver is in no group")
	is(rota.get(rota.task(where)()), nil, "nor is a task without one")
	local mine = rota.get(rota.task(where):with { group = g }(), 10)
	ok(mine == g and #mine == 2, "a task knows the group that it is in")
	local parent = rota.task(function() return rota.get(rota.task(where)()) end)
	is(rota.get(parent:with { group = g }(), 10), nil, "without capture a child is in no group")
	ok(rota.get(parent:with { group = g, capture = true }(), 10) == g, "with it in the parent's")
	local grand = rota.task(function() return rota.get(parent()) end)
	ok(rota.get(grand:with { group = g, capture = true }(), 10) == g, "and so are its children's children")
	local Act = rota.actor { plain = function() return rota.get(rota.task(where)()) end }
	ok(rota.get(Act:with { group = g, capture = true, cpus = 0 }():plain(), 10) == g, "tasks of an actor likewise")
	is(rota.get(Act:with { group = g, cpus = 0 }():plain(), 10), nil, "not without capture")
	local child = rota.task(function() return rota.get(rota.actor { where = where }:with { cpus = 1 }():where()) end)
	ok(rota.get(child:with { group = g, capture = true }(), 10) == g, "actors too")
	local h <close> = rota.group { { cpus = 1 } }
	local named = rota.task(function(h) return rota.get(rota.task(where):with { group = h }()) end)
	ok(rota.get(named:with { group = g, capture = true }(h), 10) == h, "a child may name another one")
	local asks = rota.task(function(k) return k:wait(10) end):with { cpus = 0.1 }
	local small = rota.task(function(k) return rota.get(rota.task(where):with { group = k, cpus = 0.1 }()) end):with { cpus = 0.1 }
	local bad
	rota.get(asks(h))
	for i = 1, 200 do			-- made a moment ago: its child asks by another way than we told of it
		local k <close> = rota.group { { cpus = 0.1 } }
		local v, e = rota.pget(small(k), 10)
		local w, e2 = rota.pget(asks(k), 10)
		if v ~= k or not w then bad = e or e2 or i break end
	end
	ok(not bad, "also one that was made just before", bad)
end
ok(whole(), "nothing is left")

-- many at once, by several processes
local make = rota.task(function(n)
	local done = 0
	for i = 1, n do
		local g <close> = rota.group({ { cpus = 0.5 }, { cpus = 0.25 } }, "pack")
		if g:wait(30) then done = done + 1 end
	end
	return done
end):with { cpus = 0 }
local all = {}
for i = 1, 4 do all[i] = make(50) end
is(rota.get(all, 60), { 50, 50, 50, 50, n = 4 }, "four tasks make and remove 50 groups each")
ok(whole(), "nothing is left")
for i = 1, 300 do			-- shapes of groups that are gone are used again
	local g <close> = rota.group { { cpus = i % 4 == 0 and 3 or 1 }, { cpus = 1 } }
	local bundle = i % 3 == 0 and 2 or nil
	local v = rota.get(nap:with { group = g, bundle = bundle, resources = i % 5 == 0 and {} or nil }(0, i), 30)
	if v ~= i then ok(false, "a task in group " .. i, v) end
end
ok(whole(), "300 groups with a task each, nothing is left")
local list = {}
for i = 1, 1000 do list[i] = rota.group { { cpus = 0.001 } } end
is(#rota.wait(list, { n = "all", timeout = 30 }), 1000, "1,000 groups at once")
ok(not whole(0.05), "hold what they say")
for i = 1, 1000 do list[i]:remove() end
ok(whole(), "and give it back")

-- names, jobs, detached ones, GPUs: a node that outlives its drivers
local env = ("ROTA_DIR='%s/d' XDG_STATE_HOME='%s/state' "):format(dir, dir)
local function sh(cmd)
	local p = io.popen("exec 2>&1; export " .. env .. "; " .. cmd)
	local out = p:read "a"
	p:close()
	return (out:gsub("\n$", ""))
end
local function lua(text) return sh(("rlua -e 'local rota = require \"rota\" rota.init{namespace=\"g\"} %s' 2>&1"):format(text:gsub("\n%s*", " "))) end
os.execute(("mkdir -p -m 700 '%s/d' '%s/state'"):format(dir, dir))
has(sh "rota up -c 4 -g 2 >/dev/null && echo up", "up", "a lasting node")
is(lua [[local a = rota.group({{cpus=1}}, "pack", {name="a"}) local b = rota.group({{cpus=2}}, "pack", {name="b", detached=true})
	print(a:wait(5), b:wait(5)) local c = rota.group({{cpus=1}}, "pack", {name="b"}) print(select(2, c:wait(5)))]],
	"true\ttrue\na group 'b' exists in namespace 'g'", "names are taken once")
is(lua [[local b = rota.group "b" print(rota.group "a") print(#b, b:wait(5), rota.resources().cpus_free)]], "nil\tno group 'a' in namespace 'g'\n1\ttrue\t2",
	"gone with its driver, but for the detached one")
has(sh "rstat groups -o name,state,strategy,bundles,cpus,cpus_free,job", "b\tcreated\tpack\t1\t2.0\t2.0\t-", "rstat groups")
is(lua [[local b = rota.group "b" b:remove() print(rota.group "b")]], "nil\tno group 'b' in namespace 'g'", "removed by somebody else")
is(lua [[local g = rota.group({{gpus=0.5}, {gpus=0.5}, {gpus=1}})
	local dev = rota.task(function() return os.getenv "CUDA_VISIBLE_DEVICES" end)
	local function at(i, n) return rota.get(dev:with{group=g, bundle=i, gpus=n, cpus=0}(), 10) end
	print(at(1, 0.5), at(2, 0.5), at(3, 1)) print(select(2, rota.pget(dev:with{gpus=1, cpus=0, timeout=0.1}(), 5)).code)
	g:remove() print(rota.get(dev:with{gpus=2, cpus=0}(), 10))
	print(select(2, rota.group{{gpus=1.5}}:wait(5)))]], "0\t0\t1\ntimeout\n0,1\nneeds 1.5 gpus: a part of one, or whole ones", "GPUs of bundles")
local out = lua [[local g = rota.group{{cpus=3}} g:wait(5) local t = rota.task(function() os.execute "sleep 100" end) for i = 1, 3 do t:with{group=g}() end
	rota.sleep(0.1) os.execute("kill -9 $PPID")]]
is(lua [[local till = rota.now() + 10 while rota.resources().cpus_free < 4 and rota.now() < till do rota.sleep(0.01) end print(rota.resources().cpus_free)]], "4",
	"the driver is killed: its groups go")
is(sh "rstat groups", "", "none is left")
sh "rota down --force; rota down"
T.done()
