-- stop.lua [SEED] - a process of each kind is stopped (SIGSTOP) at any moment under load: it is waited for, the others go on
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
local M = require "mix"
local lasting = os.getenv "LASTING" == "1"
rota.init(lasting and {} or { store = "256M" })
local here, dir = arg[0]:match "^(.*/)", T.tmp()

local function state(pid)
	local f = io.open("/proc/" .. pid .. "/stat")
	local s = f and f:read "a":match "%) (%a)"
	if f then f:close() end
	return s
end
local function stop(pid)			-- true once it is stopped; false: it is gone
	os.execute("kill -STOP " .. pid .. " 2>/dev/null")
	for _ = 1, 5000 do
		local s = state(pid)
		if not s or s == "Z" then return false end
		if s == "T" then return true end
		rota.sleep(0.002)
	end
	os.execute("kill -CONT " .. pid .. " 2>/dev/null")
	return false
end
local function go(pid) os.execute("kill -CONT " .. pid .. " 2>/dev/null") end
local function child(pid)
	local p = io.popen("cat /proc/" .. pid .. "/task/" .. pid .. "/children")
	local c = p:read "n"
	p:close()
	return c
end
local function moment() rota.sleep(math.random() * 0.03) end
local wrong = 0
local function check(what, refs, want) wrong = wrong + M.check(refs, want, what) return wrong == 0 end

check("first", M.load())
local node = rota.nodes()[1].pid
local fds

local double = rota.task(function(x) return 2 * x end)
-- a worker that was lent another one, its share of two CPUs, goes on with nothing: ours is not all there is
do
	local name = dir .. "/begun"
	local outer = rota.task(function(f)
		rota.get(rota.task(function() end)())
		local p = io.open("/proc/self/stat"):read "n"
		io.open(f, "w"):write(p):close()
		while io.open(f) do end
	end)
	local r, pid = outer(name), nil
	for _ = 1, 2000 do
		local f = io.open(name)
		pid = f and f:read "n"
		if f then f:close() end
		if pid then break end
		rota.sleep(0.002)
	end
	stop(pid)
	local refs, want = {}, {}
	for i = 1, 40 do refs[i], want[i] = double(i), 2 * i end
	T.ok(check("beside a stopped worker that has another one", refs, want), "its CPUs are for others")
	T.ok(#C.workers "stopped" == 1, "the list of workers says that it is stopped")
	go(pid)
	os.remove(name)
	rota.get(r)
end

-- a worker: what it runs waits, nothing else does
for round = 1, C.rounds(6, 100) do
	local refs, want = M.load()
	rota.wait(refs, { n = math.random(#refs), timeout = 30 })
	local ws = C.workers()
	local w = ws[math.random(#ws)]
	if w and stop(w.pid) then
		if w.actor == 0 then
			local more, mwant = {}, {}
			for i = 1, 8 do more[i], mwant[i] = double(i), 2 * i end
			if not check("round " .. round .. ", beside a stopped worker", more, mwant) then go(w.pid) break end
		end
		if round % 3 == 0 then C.kill(w.pid) else moment() go(w.pid) end
	end
	if round % 3 ~= 0 and not check("worker, round " .. round, refs, want) then break end
	if round % 3 == 0 then rota.pget(refs, 60) end		-- killed: of an actor's calls and objects some are lost
	if round == 3 then refs, want = nil T.collect() fds = C.fds(node) end
end
T.ok(wrong == 0, "a stopped worker is waited for, others are not in its way")

-- with a time limit nobody waits
local spin = rota.task(function(f) io.open(f, "w"):close() while true do end end):with { timeout = 0.3, retries = 0 }
for round = 1, C.rounds(2, 20) do
	local name = dir .. "/" .. round
	local r = spin(name)
	local pid
	for _ = 1, 2000 do
		local f = io.open(name)
		if f then f:close() break end
		rota.sleep(0.002)
	end
	for _, w in ipairs(C.workers "running") do if w.actor == 0 then pid = w.pid stop(pid) end end
	local v, e = rota.pget(r, 20)
	T.ok(v == nil and e.code == "timeout", "a time limit ends a task on a stopped worker", v, e, e and e.code, pid)
	if pid then go(pid) end
end

-- an actor: its calls wait, and run in order
for round = 1, C.rounds(4, 60) do
	local a = M.Pot()
	local pid = rota.get(a:pid())
	local refs, want = M.load(4, nil, a)
	if math.random(2) == 1 then rota.wait(refs, { n = math.random(#refs), timeout = 30 }) end
	stop(pid)
	local r = a:add(0, "")
	T.ok(#rota.wait({ r }, { timeout = 0.05 }) == 0, "an actor that is stopped answers nothing")
	moment()
	go(pid)
	if not check("actor, round " .. round, refs, want) or not rota.pget(r, 30) then break end
end
T.ok(wrong == 0, "a stopped actor is waited for, its calls run in order")

-- another driver: this one goes on; it goes on itself, or is killed as it is
for round = 1, C.rounds(4, 60) do
	local fifo = dir .. "/in" .. round
	os.execute("mkfifo " .. fifo)
	local p = io.popen(("exec 2>&1 <>%s; echo $$; exec rlua %sbusy.lua %d"):format(fifo, here, math.random(1 << 30)), "r")
	local pid = p:read "n"
	p:read "l"
	local ok1 = p:read "l"
	local f = io.open(fifo, "w")
	f:write "\n" f:flush()
	moment()
	stop(pid)
	local refs, want = M.load()
	check("beside a stopped driver, round " .. round, refs, want)
	if round % 2 == 0 then
		C.kill(pid)
		f:close()
	else
		go(pid)
		local ok2 = p:read "l"
		T.ok(ok1 == "right" and ok2 == "right", "a driver that was stopped is right", ok1, ok2)
		f:write "\n" f:close()
		C.kill(pid)
	end
	p:close()
end
T.ok(wrong == 0, "a stopped driver is in nobody's way")

-- the process that forks workers: who has a worker goes on
for round = 1, C.rounds(4, 60) do
	local z = child(node)
	local refs, want = M.load()
	moment()
	stop(z)
	local a = M.Pot()				-- it wants a process of its own
	local r = a:add(1, "")
	moment()
	T.ok(#rota.wait({ r }, { timeout = 0.05 }) == 0, "no new worker while the zygote is stopped")
	go(z)
	if not check("zygote, round " .. round, refs, want) or rota.pget(r, 30) ~= 1 then break end
end
T.ok(wrong == 0, "a stopped zygote is waited for")

-- the node: work goes on over the rings that are there
local step = rota.task(function(x) return x + 1 end)
for round = 1, C.rounds(5, 60) do
	local refs, want = M.load()
	rota.get(step(1))
	if math.random(2) == 1 then rota.wait(refs, { n = math.random(#refs), timeout = 30 }) end
	stop(node)
	local t0, v = rota.now(), nil
	local a, b = rota.wait({ step(1), step(2) }, { n = 2, timeout = 0.1 })	-- done, or its time is up: never stuck
	T.ok(rota.now() - t0 < 5, "a wait with a time limit ends while the node is stopped", rota.now() - t0)
	moment()
	go(node)
	if not check("node, round " .. round, refs, want) then break end
end
T.ok(wrong == 0, "a stopped node is waited for")
local x = rota.task(function(n) local s = 0 for i = 1, n do s = s + i end return s end)
local done
for _ = 1, 5 do			-- a lease that is on its way back when the node stops is of no use: then once more
	rota.get(x(1))
	stop(node)
	done = 0
	while done < 200 and #rota.wait({ x(done) }, { timeout = 2 }) == 1 do done = done + 1 end
	go(node)
	if done == 200 then break end
end
T.ok(done == 200, "tasks run while the node is stopped", done)

if lasting then				-- the control store: keys and new actors wait for it, work does not
	local gcs
	local p = io.popen [[for p in /proc/[0-9]*; do read -r c 2>/dev/null <$p/comm && [ "$c" = rgcs ] && grep -qzFx "ROTA_DIR=$ROTA_DIR" $p/environ && echo ${p#/proc/}; done 2>/dev/null]]
	gcs = p:read "n"
	p:close()
	T.ok(gcs, "the control store is there")
	local pot = M.Pot()
	rota.get(pot:add(0, ""))
	local set = rota.task(function(k, v) rota.kv:put(k, v) return rota.kv:get(k) end)
	local make = rota.task(function(n) local a = M.Pot() return rota.get(a:add(n, "")) end)
	rota.get(make(1))
	for round = 1, C.rounds(4, 60) do
		local refs, want = M.load(nil, nil, pot)
		moment()
		stop(gcs)
		local r, n = set("k" .. round, round), make(round)
		check("beside a stopped control store, round " .. round, refs, want)
		check("and new work, round " .. round, M.load(nil, nil, pot))
		T.ok(#rota.wait({ r, n }, { timeout = 0.05 }) == 0, "keys and new actors wait for the control store")
		go(gcs)
		local v, e = rota.pget(r, 30)
		local k, e2 = rota.pget(n, 30)
		T.ok(v == round and k == round, "and are there afterwards", v, e, k, e2)
	end
	pot = nil
	T.ok(wrong == 0, "work goes on beside a stopped control store")
end
C.quiet "stopped and gone on"
local now = C.fds(node)
T.ok(not fds or not now or now <= fds + 12, "descriptors of the node", fds, now)
T.done()
