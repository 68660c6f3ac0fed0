-- soak.lua MINUTES DIR [SEED] - keeps four drivers of t/soak/load.lua running, kills what it likes, and looks again and again
-- when nothing runs whether the node has come back to what it was: memory, descriptors, arena, disk, processes.
-- Prints its figures; fails if one of them grows beyond its bound, or if a driver found something wrong.
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local minutes, dir = tonumber(arg[1]), arg[2]
local seed = tonumber(arg[3]) or os.time()
math.randomseed(seed)
print("# seed " .. seed)
rota.init()

local kinds = {}
for k in io.popen "rlua t/soak/load.lua list":lines() do kinds[#kinds + 1] = k end
table.sort(kinds)
local rests = math.max(6, math.min(20, minutes))
local span = minutes * 60 / rests		-- seconds from one rest to the next

-- --- processes ---

local function slurp(path)
	local f = io.open(path)
	if not f then return nil end
	local s = f:read "a"
	f:close()
	return s
end
local function output(command)
	local p = io.popen(command)
	local s = p:read "a"
	p:close()
	return s
end
local function stat(pid)			-- state and parent; nil: it is not there
	local s = slurp("/proc/" .. pid .. "/stat")
	if not s then return nil end
	local state, parent = s:match "%) (%a) (%d+)"
	return state, tonumber(parent)
end
local node = rota.nodes()[1].pid
local _, me = nil, io.open "/proc/self/stat":read "n"
local function daemons()			-- rlet's children: rgcs is one, and the zygote
	local t = { rlet = node }
	for pid in output("ps -o pid= --ppid " .. node):gmatch "%d+" do
		local cmd = slurp("/proc/" .. pid .. "/cmdline") or ""
		if cmd:find("--zygote", 1, true) then t.zygote = tonumber(pid) end
	end
	for pid in output("ps -eo pid=,args= | grep '[r]gcs' | awk '{ print $1 }'"):gmatch "%d+" do
		local env = slurp("/proc/" .. pid .. "/environ") or ""
		if env:find("ROTA_DIR=" .. os.getenv "ROTA_DIR" .. "\0", 1, true) then t.rgcs = tonumber(pid) end
	end
	return t
end
local function private(pid)			-- KiB that are no file's and no segment's
	return tonumber((slurp("/proc/" .. pid .. "/smaps_rollup") or ""):match "Anonymous:%s+(%d+) kB" or 0)
end
local function fds(pid) return tonumber(output("ls /proc/" .. pid .. "/fd 2>/dev/null | wc -l")) end
local function shared(pid)			-- KiB in the segments that it has open
	local n, seen = 0, {}
	for ino, blocks in output("stat -L -c '%i %b' /proc/" .. pid .. "/fd/* 2>/dev/null"):gmatch "(%d+) (%d+)" do
		if not seen[ino] then n = n + tonumber(blocks) // 2 end
		seen[ino] = true
	end
	return n
end

-- --- drivers ---

local slot, runs, killed, faults, number = {}, 0, 0, 0, 0
local function start(i)
	number = number + 1
	local kind = kinds[number <= #kinds and number or math.random(#kinds)]
	local log = ("%s/%d.log"):format(dir, i)
	local p = io.popen(("echo $$; exec rlua t/soak/load.lua %s %d %d >%s 2>&1"):format(kind, math.random(1 << 30), math.random(8), log))
	slot[i] = { p = p, pid = p:read "n", kind = kind, log = log }
	runs = runs + 1
end
local function reap(i)				-- true: there is none in this place now
	local s = slot[i]
	if not s then return true end
	local state = stat(s.pid)
	if state and state ~= "Z" then return false end
	local ok, how, status = s.p:close()
	if not ok and not (s.killed and how == "signal" and status == 9) then
		faults = faults + 1
		print(("# %s ended with %s %s"):format(s.kind, how, status))
		print("# " .. (slurp(s.log) or ""):sub(1, 2000):gsub("\n", "\n# "))
	end
	slot[i] = nil
	return true
end
local function kill(pid) if os.execute("kill -9 " .. pid .. " 2>/dev/null") then killed = killed + 1 end end
local function strike(second)			-- in the second half rgcs is spared: what it keeps comes to its bound
	local what = math.random(second and 11 or 12)
	if what <= 7 then			-- a worker, of any job
		local ws = {}
		for _, w in ipairs(core.list "workers") do if w.pid > 0 then ws[#ws + 1] = w.pid end end
		if #ws > 0 then kill(ws[math.random(#ws)]) end
	elseif what <= 10 then
		local s = slot[math.random(4)]
		if s and stat(s.pid) then s.killed = true kill(s.pid) end
	else
		local d = daemons()
		local pid = what == 11 and d.zygote or what == 12 and d.rgcs
		if pid then kill(pid) end
	end
end

-- --- looking ---

local function busy()				-- what is left of others; nil: nothing
	T.collect()
	local objects, rows = core.list "objects", core.list "workers"
	if #objects > 0 then return #objects .. " objects, one " .. tostring(objects[1].id) .. " " .. tostring(objects[1].name) end
	for _, w in ipairs(rows) do if w.job ~= rota.context().job then return "worker " .. w.pid .. " of job " .. w.job end end
	for _, a in ipairs(core.list "actors") do if a.state ~= "dead" then return "actor " .. a.actor end end
	local n = rota.nodes()[1]
	if n.drivers > 1 then return n.drivers .. " drivers" end
	if #rota.kv:list "soak/" > 0 then return "keys" end
end
local rows = {}
local function rest()
	local t0, why = rota.now(), nil
	repeat
		why = busy()
		if why then rota.sleep(0.1) end
	until not why or rota.now() - t0 > 30
	T.ok(not why, ("%.0f s: the node comes to rest"):format(rows[1] and rota.now() - rows[1].at or 0), why)
	local d, n = daemons(), rota.nodes()[1]
	local r = { at = rota.now() }
	r.rlet, r.rlet_fds, r.segments = private(d.rlet), fds(d.rlet), shared(d.rlet)
	r.rgcs, r.rgcs_fds = d.rgcs and private(d.rgcs) or 0, d.rgcs and fds(d.rgcs) or 0
	r.zygote, r.zygote_fds = d.zygote and private(d.zygote) or 0, d.zygote and fds(d.zygote) or 0
	r.driver, r.driver_fds = private(me), fds(me)
	r.arena, r.workers = n.arena_used // 1024, n.workers
	r.processes = tonumber(output(("grep -lsz '^ROTA_DIR=%s$' /proc/[0-9]*/environ | wc -l"):format(os.getenv "ROTA_DIR")))
	r.disk = tonumber(output("du -sk " .. dir .. "/spill 2>/dev/null | cut -f1")) or 0
	r.files = tonumber(output(("find %s %s | wc -l"):format(os.getenv "ROTA_DIR", os.getenv "XDG_STATE_HOME")))
	rows[#rows + 1] = r
	return r
end
-- what may be added from the first rest under load to the last one
local columns = {
	{ "rlet", 4096, "KiB, private memory of rlet" }, { "rlet_fds", 4, "descriptors" }, { "segments", 16384, "KiB in segments that it has open" },
	{ "rgcs", 20480, "KiB, of rgcs: its log of changes fills up to 16M and begins anew when it is killed" }, { "rgcs_fds", 2, "" }, { "zygote", 1024, "KiB, of the zygote" }, { "zygote_fds", 2, "" },
	{ "driver", 4096, "KiB, of the driver that stays" }, { "driver_fds", 4, "" }, { "arena", 26624, "KiB lent: the node keeps up to a quarter of 96M, to bring objects back" }, { "disk", 64, "KiB spilled" },
	{ "workers", 2, "" }, { "processes", 3, "" }, { "files", 2, "below ROTA_DIR and XDG_STATE_HOME" },
}
local function show(name, r)
	local t = { ("# %-8s"):format(name) }
	for _, c in ipairs(columns) do t[#t + 1] = ("%" .. math.max(7, #c[1]) .. "s"):format(r and r[c[1]] or c[1]) end
	print(table.concat(t, " "))
	io.stdout:flush()
end

show("rest")
show("before", rest())
for n = 1, rests do
	local till = rota.now() + span
	local next = rota.now() + 0.3
	while rota.now() < till do
		for i = 1, 4 do if reap(i) then start(i) end end
		if rota.now() > next then
			strike(n > rests // 2)
			next = rota.now() + math.random() * 1.5
		end
		rota.sleep(0.02)
	end
	local t0 = rota.now()
	repeat
		local all = true
		for i = 1, 4 do all = reap(i) and all end
		if not all then rota.sleep(0.02) end
	until all or rota.now() - t0 > 90
	for i = 1, 4 do
		if slot[i] then
			faults = faults + 1
			print(("# %s (pid %d) does not end"):format(slot[i].kind, slot[i].pid))
			print(output(("head -c 3000 /proc/%d/stack %s"):format(slot[i].pid, slot[i].log)))
			slot[i].killed = true
			kill(slot[i].pid)
		end
	end
	show(n, rest())
end
for i = 1, 4 do if slot[i] then slot[i].p:close() end end

T.ok(faults == 0, ("%d drivers of %d kinds ran, %d processes were killed: every result was right"):format(runs, #kinds, killed))
local first, last = rows[3], rows[#rows]	-- the second rest under load: what is made once has been made
for _, c in ipairs(columns) do
	local grown = last[c[1]] - first[c[1]]
	T.ok(grown <= c[2], ("%s: %d to %d, at most %d more %s"):format(c[1], first[c[1]], last[c[1]], c[2], c[3]))
end
T.done()
