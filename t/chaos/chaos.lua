-- chaos.lua MINUTES HOSTS [SEED] - a control store and nodes on hosts of t/net.sh, drivers of t/chaos/load.lua on all of them,
-- and meanwhile anything at random is killed, cut off or slowed.  From time to time nothing more is done until all is at rest.
--
-- What is done, where and how long comes from the seed alone, and so does what each driver does; which worker of a host it
-- hits, and what runs at that moment, does not.  Each thing done is printed with its time.
--
-- What must be: each result right and once (load.lua); a driver that was not killed ends well, or with no_cluster if its own
-- node was lost; nobody waits longer than load.lua's limit; a key has its last acknowledged value or one that was tried later; a
-- node is given up only if it was cut off for long or killed; at rest nothing is left of what ended, and the memory and
-- descriptors of daemons are within bounds; in the end nothing is left at all.
package.path = arg[0]:match "^.*/" .. "?.lua;" .. arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local H = require "hosts"
local rota = require "rota"
local now, say = rota.now, H.say
local minutes, nhosts, seed = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]) or os.time()
local TMP = os.getenv "TMP"
local SLOTS = nhosts + 2		-- drivers at one time

-- numbers from a seed, each use has its own: what one draws does not shift what others do
local function chance(salt)
	local x = (seed + 1) * 0x9E3779B97F4A7C15 ~ salt * 0x632BE59BD9B4E019
	return function(n)		-- 1 to n, or 0 to 1
		x = x ~ x << 13
		x = x ~ x >> 7
		x = x ~ x << 17
		local r = (x * 0x2545F4914F6CDD1D >> 11) / 2.0 ^ 53
		return n and 1 + math.floor(r * n) or r
	end
end

-- --- what is to be done at which time ---

local agenda = {}
local function later(t, f)		-- f() at t
	local i = #agenda
	while i > 0 and agenda[i].t > t do i = i - 1 end
	table.insert(agenda, i + 1, { t = t, f = f })
end
local looked = 0
local stuck
local function due()
	if now() - looked > 1 then
		local text = H.slurp(TMP .. "/stuck")
		looked = now()
		if text and os.remove(TMP .. "/stuck") then stuck(text) end
	end
	while agenda[1] and agenda[1].t <= now() do table.remove(agenda, 1).f() end
end

-- --- drivers ---

local kinds = {}
for k in H.output "rlua t/chaos/load.lua":gmatch "%a+" do kinds[#kinds + 1] = k end
table.sort(kinds)
local only = os.getenv "LOAD" ~= "" and os.getenv "LOAD"		-- some of them, to find a fault
if only then kinds = {} for k in only:gmatch "%a+" do kinds[#kinds + 1] = k end end
local slots, runs, faults, figures, ended = {}, 0, 0, {}, { well = 0, killed = 0, lost = 0 }
local pick = chance(1)

local function fault(text, ...)
	faults = faults + 1
	say("FAULT: " .. text, ...)
end
local function start(i)
	local k, kind, s, seconds = pick(nhosts), pick(#kinds), pick(1 << 30), pick() * 6
	if runs < #kinds then kind = runs + 1 end
	if not H.serves(k) then return end
	runs = runs + 1
	local d = { number = runs, k = k, kind = kinds[kind], seconds = seconds, at = now(), log = ("%s/driver-%03d.log"):format(TMP, runs) }
	d.mark = ("load.lua %s %d "):format(d.kind, s)
	d.pid = H.spawn(k, d.log, ("rlua t/chaos/%s%.2f"):format(d.mark, seconds))
	slots[i] = d
end
local function process(d)		-- its program, unless it has ended
	for _, p in ipairs(H.processes(d.k, "driver")) do if p.args:find(d.mark, 1, true) then return p end end
end
function stuck(text)		-- all that may say why somebody waits in vain
	local name = ("%s/stuck-%.0f.log"):format(TMP, now() - H.begun)
	local f <close> = io.open(name, "w")
	f:write(text, "\n")
	for k = 1, nhosts do
		f:write("h", k, "\n", H.output(("timeout 20 t/net.sh exec %d env ROTA_ADDRESS=local sh -c 'rstat nodes; rstat --header workers; rstat --header tasks; rstat --header objects' 2>&1")
		    :format(k)))
		for _, p in ipairs(H.processes(k, "driver")) do
			f:write("driver ", p.pid, " ", p.args, "\n")
			f:write(H.output(("timeout 20 gdb -q -batch -p %d -ex 'thread apply all bt' 2>/dev/null | grep -E '^(#|Thread)'"):format(p.pid)))
		end
	end
	say("what there was is in %s", name:match "[^/]*$")
end
local function reap(i)			-- true: there is none in this place now
	local d = slots[i]
	if not d then return true end
	local text = not H.state(d.pid) and H.slurp(d.log)
	if not text then
		if now() - d.at > d.seconds + 120 then
			fault("driver %d (%s, h%d) does not end", d.number, d.kind, d.k)
			stuck("driver " .. d.number)
			d.killed = true
			local p = process(d)
			if p then H.kill(p) end
			d.at = now()
		end
		return false
	end
	slots[i] = nil
	for name, n in (text:match "figures: ([^\n]*)" or ""):gmatch "(%a+) (%d+)" do figures[name] = (figures[name] or 0) + tonumber(n) end
	local status = tonumber(text:match "exit (%d+)%s*$")
	if d.killed then ended.killed = ended.killed + 1
	elseif status == 0 then ended.well = ended.well + 1
	elseif status == 3 and H.hosts[d.k].lost > d.at - 15 then ended.lost = ended.lost + 1
	elseif status == 137 and H.hosts[d.k].fell > d.at then ended.killed = ended.killed + 1
	else
		fault("driver %d (%s, h%d) that began at %.2f ended with %s", d.number, d.kind, d.k, d.at - H.begun, status)
		print("# " .. text:sub(-1500):gsub("\n", "\n# "))
	end
	return true
end

-- --- strikes: k, r and s are drawn for each, whether it needs them or not ---

local struck, busy = {}, {}		-- how often each; hosts to which something is done, until when
local function some(list, r) return list[1 + math.floor(r * #list)] end
local function back(k, what, seconds, f)	-- undoes it
	local till = now() + seconds
	busy[k] = till
	later(till, function() f() say("h%d: %s", k, what) end)
end
local function free(k) return (busy[k] or 0) < now() and H.serves(k) end
local function signal(what, sig)
	return function(k, r)
		local p = some(H.processes(k, what), r)
		return p and H.kill(p, sig) and ("h%d: %s of %s %d"):format(k, sig == 9 and "end" or sig, what, p.pid)
	end
end
local SHORT, LONG = 1.0, 3.5		-- a cut that is nothing to a node, and one that is its end
local strikes = {
	{ "worker", 30, signal("worker", 9) },
	{ "zygote", 3, signal("zygote", 9) },
	{ "daemon", 4, signal("rlet", 9) },
	{ "driver", 6, function(_, r)
		local d = some(slots, r)
		local p = d and process(d)
		if not p then return end
		d.killed = true
		return H.kill(p) and ("h%d: end of driver %d (%s)"):format(d.k, d.number, d.kind)
	end },
	{ "node", 3, function(k, r, s)	-- keeper and all
		local p = H.processes(k, "keeper")[1]
		if not p or not free(k) then return end
		H.lost(k)
		H.kill(p)
		back(k, "its node is started again", s * 3, function() H.node(k) end)
		return ("h%d: end of its node"):format(k)
	end },
	{ "rgcs", 4, function() return signal("rgcs", 9)(1, 0) end },
	{ "store", 2, function(_, _, s)	-- keeper and all
		local p = H.processes(1, "gcskeeper")[1]
		if not p or not H.storing or not H.hosts[1].up then return end
		H.kill(p)
		H.storing = false
		later(now() + s * 2, function() if H.hosts[1].up then H.store() say "the control store is started again" end end)
		return "end of the control store"
	end },
	{ "cut", 8, function(k, _, s)
		if not free(k) then return end
		local t0 = now()
		H.cut(k)
		back(k, "joined again", s * SHORT, function()
			H.heal(k)
			if now() - t0 > SHORT then H.lost(k) end	-- it took longer than it was to
		end)
		return ("h%d: cut off for %.2f s"):format(k, s * SHORT)
	end },
	{ "long", 3, function(k, _, s)
		if not free(k) or k == 1 and s < 0.7 then return end
		H.lost(k)
		H.cut(k)
		back(k, "joined again", LONG + s * 4, function() H.heal(k) H.lost(k) end)
		return ("h%d: cut off for %.2f s"):format(k, LONG + s * 4)
	end },
	{ "pair", 6, function(k, r, s)
		local j = 1 + math.floor(r * nhosts)
		if k == 1 or j == 1 or j == k or not free(k) or not free(j) then return end	-- not from the control store
		H.cut(k, j)
		busy[j] = now() + s * 6
		back(k, ("and h%d joined again"):format(j), s * 6, function() H.heal(k, j) end)
		return ("h%d and h%d: parted for %.2f s"):format(k, j, s * 6)
	end },
	{ "slow", 5, function(k, r, s)
		if not free(k) then return end
		local rate = 1 + math.floor(r * 20)
		H.slow(k, rate .. "mbit", math.floor(r * 50) .. "ms", "1%")
		back(k, "fast again", s * 5, function() H.slow(k, "-", "-", "-") end)
		return ("h%d: %d Mbit/s for %.2f s"):format(k, rate, s * 5)
	end },
	{ "host", 2, function(k, _, s)
		if not free(k) or k == 1 then return end
		H.fell(k)
		back(k, "booted", 0.5 + s * 4, function() H.boot(k) H.node(k) end)
		return ("h%d: end of the host"):format(k)
	end },
}
local total = 0
for _, s in ipairs(strikes) do total = total + s[2] end
local blow = chance(2)
local function strike()
	local w, k, r, s = blow() * total, blow(nhosts), blow(), blow()
	for _, x in ipairs(strikes) do
		w = w - x[2]
		if w < 0 then
			local text = x[3](k, r, s)
			if text then
				struck[x[1]] = (struck[x[1]] or 0) + 1
				say("%s", text)
			end
			return
		end
	end
end

-- --- at rest ---

local worst = {}
local columns = {			-- at most
	{ "rlet", 24576, "KiB, private memory of a node's daemon" }, { "rlet_fds", 56, "its descriptors, less four for each worker" },
	{ "keeper", 2048, "KiB of what stands before it" }, { "keeper_fds", 24, "its descriptors" },
	{ "zygote", 4096, "KiB, of what forks workers" }, { "rgcs", 24576, "KiB, of the control store" }, { "rgcs_fds", 48, "its descriptors" },
}
local function tidy(text) return (text:gsub("%s+$", ""):gsub("\n", "\n# ")) end
local function on(k, words, limit)	-- true, or what it said
	local text = H.output(("{ timeout %d t/net.sh exec %d env ROTA_ADDRESS=local %s; echo exit $?; } 2>&1 </dev/null"):format(limit or 40, k, words))
	local said, status = text:match "^(.-)exit (%d+)%s*$"
	return status == "0", tidy(said), status
end
local function rest()
	local t0 = now()
	local function all()
		due()
		local n = #agenda
		for i = 1, SLOTS do if not reap(i) then n = n + 1 end end
		for k = 1, nhosts do if not H.serves(k) then n = n + 1 end end
		return n == 0 and H.storing
	end
	while not all() and now() - t0 < 200 do rota.sleep(0.05) end
	T.ok(all(), ("%.0f s: all drivers have ended, all nodes serve"):format(now() - H.begun))
	local row = {}
	for k = 1, nhosts do
		local well, text, status = on(k, "rlua t/chaos/rest.lua " .. nhosts)
		if not well then fault("h%d does not come to rest: %s %s", k, status, text) end
		for _, what in ipairs { "rlet", "keeper", "zygote", "rgcs", "gcskeeper" } do
			local p = H.processes(k, what)
			if #p > 1 then fault("h%d has %d processes of %s", k, #p, what) end
			if p[1] then
				row[what] = math.max(row[what] or 0, H.private(p[1].pid))
				row[what .. "_fds"] = math.max(row[what .. "_fds"] or 0, H.fds(p[1].pid) - (what == "rlet" and 4 * #H.processes(k, "worker") or 0))
			end
		end
	end
	local t = {}
	for _, c in ipairs(columns) do
		worst[c[1]] = math.max(worst[c[1]] or 0, row[c[1]] or 0)
		t[#t + 1] = c[1] .. " " .. (row[c[1]] or "-")
	end
	say("at rest, the most of any host: %s", table.concat(t, ", "))
end

-- --- the run ---

print(("# seed %d, %g minutes, %d hosts"):format(seed, minutes, nhosts))
if not T.ok(H.start(nhosts), "the control store and all nodes serve") then
	for k = 1, nhosts do print("# h" .. k .. ": " .. tidy(H.slurp(("%s/rlet-%d.log"):format(TMP, k)) or "")) end
	T.done()
end
local pause = chance(3)
local rests = math.max(1, math.floor(minutes + 0.5))
for _ = 1, rests do
	local till, next = now() + minutes * 60 / rests, now() + 2
	while now() < till do
		due()
		for i = 1, SLOTS do if reap(i) then start(i) end end
		if now() > next then
			strike()
			next = now() + pause() * 1.5
		end
		rota.sleep(0.02)
	end
	rest()
end
local files = H.output(("ls %s/keys-*.acked 2>/dev/null"):format(TMP)):gsub("\n", " ")
local well, text = on(1, "rlua t/chaos/keys.lua " .. files)
T.ok(well, "no acknowledged key is lost: " .. text:match "[^\n]*$", text)

local function sum(t)
	local s = {}
	for k, n in pairs(t) do s[#s + 1] = n .. " " .. k end
	table.sort(s)
	return table.concat(s, ", ")
end
T.ok(faults == 0, ("%d drivers (%s) had %s; %s"):format(runs, sum(ended), sum(figures), sum(struck)), faults .. " faults")
for _, c in ipairs(columns) do T.ok(worst[c[1]] <= c[2], ("%s: %d, at most %d %s"):format(c[1], worst[c[1]], c[2], c[3])) end

-- --- the end of all ---

for k = 1, nhosts do for _, p in ipairs(H.processes(k, "keeper")) do H.kill(p, "TERM") end end
local function left(k)
	local t = {}
	for _, p in ipairs(H.processes(k)) do if not p.args:find "^sleep 1000000" then t[#t + 1] = p.pid .. " " .. p.args end end
	return t
end
H.wait("the end of all nodes", function()
	local n = 0
	for k = 1, nhosts do n = n + #left(k) end
	return n <= 2
end, 20)
for _, p in ipairs(H.processes(1, "gcskeeper")) do H.kill(p, "TERM") end
for k = 1, nhosts do
	H.wait("processes of h" .. k, function() return #left(k) == 0 end, 10)
	local lost = H.output(("find %s -mindepth 1 ! -name '*.lock' ! '(' -name spill -empty ')' 2>/dev/null"):format(H.hosts[k].dir))
	T.ok(#left(k) == 0 and lost == "", ("h%d: no process and no file is left"):format(k), lost, table.unpack(left(k)))
end
T.done()
