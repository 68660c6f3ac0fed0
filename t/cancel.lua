-- cancel.lua - tasks and calls end before their time: queued, running in any coroutine, waiting, by scope, by force, by time-out; nothing is left behind
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "64M" }

local function exists(path) local f = io.open(path) return f and (f:close() or true) end
local function appears(name, s)			-- a file that a task makes
	local till = rota.now() + (s or 10)
	while not exists(dir .. "/" .. name) and rota.now() < till do rota.sleep(0.002) end
	return exists(dir .. "/" .. name)
end
local function mark(path) io.open(path, "w"):close() end
local serial = 0
local function begun(t, ...)			-- a call of t that has begun: t gets a path to make first
	serial = serial + 1
	local r = t(dir .. "/" .. serial, ...)
	assert(appears(tostring(serial)), "it does not begin")
	return r
end
local function ends(r, code, name, s)		-- within s seconds, 3 where nothing is said
	local t0 = rota.now()
	local v, e = rota.pget(r, 20)
	ok(e and e.code == code, name, v, e)
	ok(rota.now() - t0 < (s or 3), name .. ": in time", rota.now() - t0)
	return e
end

-- running, in all the ways in which a task can run
local forms = {
	{ "a tight loop", function() while true do end end },
	{ "a loop of pcalls", function() while true do pcall(function() while true do end end) end end },
	{ "a loop of xpcalls with a handler", function() while true do xpcall(function() while true do end end, function(e) return e end) end end },
	{ "pcall in pcall in pcall", function()
		local function spin() while true do end end
		while true do pcall(pcall, function() while true do pcall(spin) end end) end
	end },
	{ "a pcall that raises something else", function() pcall(function() while true do end end) error "mine" end },
	{ "coroutine.wrap", function() coroutine.wrap(function() while true do end end)() end },
	{ "three coroutines deep", function()
		local function deep(n) if n == 0 then while true do end end coroutine.wrap(deep)(n - 1) end
		deep(3)
	end },
	{ "resume that hides the error", function()
		while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end
	end },
	{ "a generator that was made before", function()
		local gen = coroutine.wrap(function() for i = 1, math.huge do coroutine.yield(i) end end)
		while true do gen() end
	end },
	{ "a callback of table.sort", function() while true do table.sort({ 3, 1, 2, 5, 4 }, function(a, b) return a < b end) end end },
	{ "a long callback of table.sort", function() table.sort({ 3, 1, 2 }, function() while true do end end) end },
	{ "a callback of gsub in a coroutine", function()
		coroutine.wrap(function() (("x"):rep(10)):gsub(".", function() while true do end end) end)()
	end },
	{ "__index", function() local t = setmetatable({}, { __index = function() while true do end end }) return t.x end },
	{ "sleep", function() rota.sleep(1000) end },
	{ "sleep in a pcall loop", function() while true do pcall(rota.sleep, 1000) end end },
	{ "sleep in a coroutine", function() coroutine.wrap(function() coroutine.wrap(rota.sleep)(1000) end)() end },
	{ "sleep where Lua cannot yield", function() table.sort({ 2, 1, 3 }, function(a, b) rota.sleep(1000) return a < b end) end },
	{ "get of a child", function() return rota.get(rota.task(function() rota.sleep(1000) end)()) end },
	{ "get of a list", function()
		local s, l = rota.task(function() rota.sleep(1000) end), {}
		for i = 1, 20 do l[i] = s() end
		return rota.get(l)
	end },
	{ "get in gsub", function() return (("a"):gsub(".", function() return rota.get(rota.task(function() rota.sleep(1000) end)()) end)) end },
	{ "wait", function() while true do rota.wait({ rota.task(function() rota.sleep(1000) end)() }) end end },
	{ "each", function() for _ in rota.each { rota.task(function() rota.sleep(1000) end)() } do end end },
	{ "ref:wait", function() while true do rota.task(function() rota.sleep(1000) end)():wait() end end },
}
for _, f in ipairs(forms) do
	local name, body = f[1], f[2]
	local t = rota.task(function(path) mark(path) return body() end)
	local r = begun(t)
	is(rota.cancel(r), true, name .. ": cancel says that it had an effect")
	local e = ends(r, "cancelled", name)
	has(e, "the task was cancelled", name .. ": and says so")
	r = begun(t:with { timeout = 0.2 })
	e = ends(r, "timeout", name .. ", out of time")
	has(e, "longer than its timeout", name .. ": says what it was")
end
local e = ends((function()
	local r = begun(rota.task(function(path) local function inner() mark(path) while true do end end inner() end))
	r:cancel()
	return r
end)(), "cancelled", "ref:cancel()")
has(e.traceback, "inner", "the traceback tells where it was")
local v
v, e = rota.pget((function() local r = begun(rota.task(function(path) mark(path) pcall(function() while true do end end) error "mine" end)) r:cancel() return r end)())
ok(e.code == "cancelled", "an error that hides it is none")

-- what is queued never runs
local nap = rota.task(function(path) mark(path) rota.sleep(1000) end)
local touch = rota.task(function(path) mark(path) end)
local spin = rota.task(function(path) mark(path) while true do end end)
local busy = { begun(spin), begun(spin) }
local queued = {}
for i = 1, 1000 do queued[i] = touch(dir .. "/never") end
local t0 = rota.now()
is(rota.cancel(queued), 1000, "1,000 queued tasks cancelled at once")
ok(rota.now() - t0 < 1, "in time", rota.now() - t0)
local vals, errs = rota.pget(queued)
local n = 0
for i = 1, 1000 do if errs[i] and errs[i].code == "cancelled" then n = n + 1 end end
is(n, 1000, "each says so")
is(rota.cancel(queued), 0, "a second time has no effect")
is(rota.cancel(busy), 2, "and those that ran before them")
ends(busy[1], "cancelled", "the first")
ends(busy[2], "cancelled", "the second")
is(rota.get(rota.task(function() return 7 end)()), 7, "the workers go on")
ok(not exists(dir .. "/never"), "none of the queued ones ran")
local sleeper = begun(nap)
local waiting = touch:with { name = "waits" }(sleeper)
is(rota.cancel(waiting), true, "a task that waits for an argument")
ends(waiting, "cancelled", "is taken back")
is(sleeper:ready(), false, "what it waits for goes on")
sleeper:cancel()
local a, b = rota.task(function(path) mark(path) rota.sleep(1000) return 1, 2 end):with { returns = 2 }(dir .. "/two")
appears "two"
is(b:cancel(), true, "one of several returns")
ends(a, "cancelled", "cancels the call: the first")
ends(b, "cancelled", "the second")

-- no-ops and mistakes
local done = touch(dir .. "/done")
rota.get(done)
is(rota.cancel(done), false, "after the end: false")
is(done:cancel { force = true }, false, "by force too")
is(rota.get(done), nil, "its value stays")
raises("no task makes this ref", "what was put", rota.cancel, rota.put(1))
raises("did you mean 'force'?", "unknown options", rota.cancel, done, { forced = true })
raises("did you mean 'timeout'?", "of wait", rota.wait, { done }, { timout = 1 })
raises("did you mean 'timeout'?", "of get", rota.get, done, { timout = 1 })
raises("a list is expected", "no list", rota.cancel, 5)
vals, errs = rota.get({ done, nap:with { timeout = 0.05 }(dir .. "/x") }, { errors = "return", timeout = 5 })
ok(errs[2].code == "timeout" and errs[1] == nil, "get with errors = 'return' is pget", errs)
raises("invalid option", "errors = 'other'", rota.get, { done }, { errors = "other" })
ok(not rota.cancelled(), "a driver is never cancelled")
is({ rota.shield(function(...) return ... end, 1, 2) }, { 1, 2 }, "shield in a driver calls")

-- shield, cancelled, to-be-closed variables
local r = begun(rota.task(function(path, out)
	local n = rota.shield(function()
		mark(path)
		while not rota.cancelled() do end
		rota.sleep(0.01)				-- waits in it are not ended either
		mark(out)
		return 1
	end)
	mark(out .. "-not")
	return n
end), dir .. "/shielded")
rota.cancel(r)
ends(r, "cancelled", "raised after shield")
ok(exists(dir .. "/shielded"), "what was shielded ran to its end")
ok(not exists(dir .. "/shielded-not"), "nothing after it")
r = begun(rota.task(function(path) rota.shield(function() mark(path) rota.sleep(0.05) error("of the shield", 0) end) end))
rota.cancel(r)
v, e = rota.pget(r)
ok(e.code == "cancelled", "an error out of a shield", e)
r = begun(rota.task(function(path, out)
	pcall(function()
		local a <close> = setmetatable({}, { __close = function() local n = 0 for i = 1, 1000 do n = n + i end mark(out) end })
		local b <close> = setmetatable({}, { __close = function() rota.shield(rota.sleep, 0.01) mark(out .. "2") end })
		mark(path)
		while true do end
	end)
	mark(out .. "-not")
end), dir .. "/closed")
rota.cancel(r)
ends(r, "cancelled", "with to-be-closed variables")
ok(exists(dir .. "/closed") and exists(dir .. "/closed2"), "their handlers ran to the end")
ok(not exists(dir .. "/closed-not"), "what follows the pcall did not")
r = begun(rota.task(function(path) return rota.shield(function() mark(path) while not rota.cancelled() do end return "part" end) end))
rota.cancel(r)
ends(r, "cancelled", "one that polls and returns a value all the same")
r = begun(rota.task(function(path)
	pcall(function()
		local a <close> = setmetatable({}, { __close = function() error "in a handler" end })
		local b <close> = setmetatable({}, { __close = function() tostring() end })
		mark(path)
		while true do end
	end)
	mark(path .. "-not")
end))
rota.cancel(r)
ends(r, "cancelled", "handlers that fail")
ok(not exists(dir .. "/" .. serial .. "-not"), "what follows the pcall does not run then either")
r = begun(rota.task(function(path)
	local a <close> = setmetatable({}, { __close = function() while true do end end })
	pcall(function()
		local b <close> = setmetatable({}, { __close = function() while true do end end })
		mark(path)
		while true do end
	end)
end):with { timeout = 2, name = "handler without end" })
rota.cancel(r)
v, e = rota.pget(r, 10)
ok(e.code == "cancelled" or e.code == "timeout", "a handler without end is ended too", e)

-- force, and what cannot be asked: the worker is killed, the task not tried again
local deaf = rota.task(function(path) mark(path) rota.shield(function() while true do end end) end)
r = begun(deaf)
rota.cancel(r)
v, e = rota.pget(r, 0.3)
ok(e and e.code == "timeout", "a shield withstands", e)
is(rota.cancel(r, { force = true }), true, "but not force")
ends(r, "cancelled", "by force")
r = begun(rota.task(function(path) mark(path) os.execute "sleep 1000" end))
rota.cancel(r, { force = true })
ends(r, "cancelled", "by force in a C call")
ends(deaf:with { timeout = 0.2 }(dir .. "/deaf"), "timeout", "out of time in a shield")
r = begun(rota.task(function(path) mark(path) rota.shield(rota.sleep, 1000) end))
rota.cancel(r, { force = true })
ends(r, "cancelled", "by force while it waits in a shield")

-- children
local parent = rota.task(function(path, how)
	local child = rota.task(function(p) mark(p .. "c") rota.task(function(q) mark(q .. "g") if how == "spin" then while true do end end rota.sleep(1000) end)(p) rota.sleep(1000) end)
	local other = rota.task(function(p) mark(p .. "d") while not io.open(p .. "go") do rota.sleep(0.002) end mark(p .. "alive") end)
	if how ~= "spare" then child(path) end
	if how == "spare" then other(path) end
	while not io.open(path .. (how == "spare" and "d" or "g")) do end	-- they run in another worker
	mark(path)
	if how == "spin" then while true do end end
	rota.sleep(1000)
end)
for _, how in ipairs { "sleep", "spin" } do
	r = begun(parent, how)
	is(rota.cancel(r), true, "a parent with a child and a grandchild: " .. how)
	ends(r, "cancelled", "ends: " .. how)
	local t = rota.task(function() return 1 end):with { cpus = 2 }
	is(rota.get(t(), 10), 1, "all CPUs are free again: the children ended too: " .. how)
end
r = begun(parent, "spare")
local path = dir .. "/" .. serial
is(rota.cancel(r, { recursive = false }), true, "recursive = false")
ends(r, "cancelled", "the parent ends")
mark(path .. "go")
ok(appears(serial .. "alive"), "its child goes on")

-- a ref that came from elsewhere: its owner is asked
local r2 = rota.get(rota.task(function(path) return { rota.task(function(p) mark(p) while true do end end)(path) } end)(dir .. "/far"))[1]
appears "far"
is(rota.cancel(r2), true, "a task of another process")
ends(r2, "cancelled", "is cancelled by its owner")

-- scopes
local keep
raises("out of it", "a scope that raises", rota.scope, function()
	keep = { begun(spin), touch(dir .. "/n1"), nap(dir .. "/n2") }
	for i = 1, 50 do keep[#keep + 1] = spin(dir .. "/n3") end
	error "out of it"
end)
vals, errs = rota.pget(keep, 10)
n = 0
for i = 1, #keep do if errs[i] and errs[i].code == "cancelled" then n = n + 1 end end
ok(n >= #keep - 1, "its unfinished members are cancelled", n)
is({ rota.scope(function() keep = rota.task(function() return 5 end)() return 1, 2 end) }, { 1, 2 }, "one that does not raise returns what its function does")
is(rota.get(keep), 5, "and its members go on")
local outside = begun(nap)
is(rota.scope(function(s)
	local r = begun(spin)
	local inner = rota.scope(function() return begun(nap) end)
	s:cancel()
	ends(r, "cancelled", "s:cancel(): a member")
	ends(inner, "cancelled", "a member of a scope in it")
	local late = spin(dir .. "/late")
	return late
end) and outside:ready(), false, "what was submitted before it goes on")
rota.cancel(outside)
-- members submitted by members, wherever they are
local chain = rota.scope(function(s)
	local r = rota.get(rota.task(function(path) return { rota.task(function(p) mark(p) while true do end end)(path) } end)(dir .. "/chain"))[1]
	appears "chain"
	s:cancel()
	return r
end)
ends(chain, "cancelled", "a member's member, whose parent has ended")
r = begun(rota.task(function(path)
	local child
	local good, err = pcall(rota.scope, function()
		child = rota.task(function() rota.sleep(1000) end)()
		rota.sleep(0.001)
		mark(path)
		error "leave"
	end)
	local _, e = rota.pget(child)
	return e.code
end))
is(rota.get(r, 10), "cancelled", "a scope inside a task, which waits in it")

-- actors
local Counter = rota.actor { new = function(self) self.n = 0 end,
	spin = function(self, path) self.n = self.n + 1 mark(path) while true do end end,
	nap = function(self, path) self.n = self.n + 1 mark(path) rota.sleep(1000) end,
	add = function(self, k) self.n = self.n + k return self.n end }
local c = Counter()
for i, m in ipairs { "spin", "nap" } do
	r = c[m](c, dir .. "/actor" .. i)
	appears("actor" .. i)
	local q = { c:add(100), c:add(100), c:add(100) }
	is(rota.cancel(q[2]), true, "a call that has not started: " .. m)
	ends(q[2], "cancelled", "is removed")
	is(rota.cancel(r), true, "a running call: " .. m)
	e = ends(r, "cancelled", "raises in the method")
	has(e, "the call was cancelled", "and says so")
	rota.get { q[1], q[3] }
end
is(rota.get(c:add(0)), 402, "the actor lives and has its state; what was removed did not run")
r = c:nap(dir .. "/actor3")
raises("cannot be forced", "force", rota.cancel, r, { force = true })
rota.kill(c)
ends(r, "actor_died", "the way is rota.kill")
c = Counter()
v, e = rota.pget(c.spin:with { timeout = 0.1 }(dir .. "/actor4"))
ok(e.code == "timeout", "a call out of time", e)
local n = rota.get(c:add(5))
is(n, exists(dir .. "/actor4") and 6 or 5, "the actor lives")	-- out of time before it began, if the machine is busy
rota.stop(c)

-- cancelled right after the call, at any moment: exactly one outcome each
local quick = rota.task(function(i) return i end)
local bad, gone = 0, 0
for round = 1, 300 do
	local rs = {}
	for i = 1, 20 do rs[i] = quick(i) end
	for i = 20, 1, -1 do rs[i]:cancel() end
	local vs, es = rota.pget(rs)
	for i = 1, 20 do
		local failed = es and es[i]
		if failed and es[i].code == "cancelled" then gone = gone + 1 elseif failed or vs[i] ~= i then bad = bad + 1 end
	end
end
is(bad, 0, "6,000 tasks cancelled as soon as called: each has its value or is cancelled")
ok(true, gone .. " were cancelled")
local naps = rota.task(function(i) rota.sleep(0.001) return i end)
bad = 0
for round = 1, 30 do
	local rs = {}
	for i = 1, 20 do rs[i] = naps(i) end
	rota.sleep(0.001 * (round % 8))
	rota.cancel(rs)
	local vs, es = rota.pget(rs, 10)
	for i = 1, 20 do if es and es[i] and es[i].code ~= "cancelled" or not (es and es[i]) and vs[i] ~= i then bad = bad + 1 end end
end
is(bad, 0, "and ones that sleep, at different moments")

-- nothing is left: no task under way, no object, all CPUs free
is(rota.get(rota.task(function() return 1 end):with { cpus = 2 }(), 10), 1, "all CPUs can be had")
busy, queued, errs, vals, a, b, waiting, done, r, r2, keep, chain, outside, c = nil
T.collect()
local till = rota.now() + 10
repeat
	rota.sleep(0.02)
	T.collect()
	n = core.pending()
until n == 0 or rota.now() > till
is(n, 0, "no task is under way")
is(#core.list "objects", 0, "no object lies in the store")
local alive = {}
for _, w in ipairs(core.list "workers") do alive[#alive + 1] = w.state .. " " .. tostring(w.task) end
ok(#alive <= 40, "workers", table.concat(alive, ", "))

-- what a task submits has its deadline, also with a later one of its own, and through an actor
do
	local sleeper = rota.task(function(t) rota.sleep(t) end)
	local Caller = rota.actor { nap = function(self, t) rota.sleep(t) end, sub = function(self, t) return { sleeper(t) } end }
	local c = Caller()
	local function code(t) return (select(2, rota.pget(rota.get(t, 60)[1], 60)) or {}).code end
	T.is(code(rota.task(function() return { sleeper(1000) } end):with { timeout = 0.5 }()), "timeout", "a child ends at its parent's deadline")
	T.is(code(rota.task(function() return { sleeper:with { timeout = 900 }(1000) } end):with { timeout = 0.5 }()), "timeout", "though its own is later")
	T.is(code(c.sub:with { timeout = 0.5 }(1000)), "timeout", "a task that a call submitted, at that of the call")
	T.is(code(rota.task(function(a) return { a:nap(1000) } end):with { timeout = 0.5 }(c)), "timeout", "a call that a task made, at that of the task")
end
T.done()
