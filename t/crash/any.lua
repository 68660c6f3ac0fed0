-- any.lua [SEED] - a process of any kind is killed at any moment, some of them one after the other; then the node is ended:
-- nothing of it is left.  Belongs to no node itself.
package.path = arg[0]:match "^.*/" .. "?.lua;" .. arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local seed = tonumber(arg[1]) or os.time()
math.randomseed(seed)
print("# seed " .. seed)
local here = arg[0]:match "^.*/"
local random, top = math.random, os.getenv "TMP"
local dir, tmp, state = top .. "/any", top .. "/any.tmp", top .. "/any.state"
os.execute(("mkdir -m 700 %s %s %s"):format(dir, tmp, state))
local env = ("exec env ROTA_DIR=%s TMPDIR=%s XDG_STATE_HOME=%s "):format(dir, tmp, state)

local function output(command)
	local p = io.popen(command)
	local s = p:read "a"
	return s, p:close()
end
local function slurp(path)
	local f = io.open(path)
	local s = f and f:read "a"
	if f then f:close() end
	return s or ""
end
local function nap(most) os.execute(("sleep %.3f"):format(random() * most)) end

-- all that has our directory in its environment, by kind
local function processes()
	local kinds = {}
	for pid in output(("grep -lzxF ROTA_DIR=%s /proc/[0-9]*/environ 2>/dev/null"):format(dir)):gmatch "/proc/(%d+)/" do
		local name, ppid = slurp("/proc/" .. pid .. "/stat"):match "^%d+ %((.*)%) [^Z] (%d+)"
		local kind = name
		if name == "rlet" then
			kind = slurp("/proc/" .. ppid .. "/comm"):match "%w+" == "rlet" and "daemon" or "keeper"
		elseif name == "rwork" then
			kind = slurp("/proc/" .. ppid .. "/comm"):match "%w+" == "rlet" and "zygote" or "worker"
		end
		if kind then
			kinds[kind] = kinds[kind] or {}
			table.insert(kinds[kind], pid)
		end
	end
	return kinds
end

local loads = { "tasks", "actors", "objects", "channels", "kept", "keys", "guests", "rmap", "prog", "prog" }
local function start(what)
	local p = io.popen(env .. ("sh -c 'echo $$; exec rlua %s 2>&1'"):format(
	    what == "prog" and here .. "anyprog.lua" or ("%s../soak/load.lua %s %d 60"):format(here, what, random(1 << 30))))
	return { p = p, pid = p:read "l", what = what }
end
local killed, what = {}, {}
local rounds = os.getenv "ROTA_LONG" == "1" and 60 or 2
for round = 1, rounds do
	local lasting = random(3) > 1
	local said = lasting and output(env .. "rota up -q -c 4 --store 64M 2>&1 >/dev/null") or ""
	if said ~= "" then T.ok(false, "a node", said) break end
	local progs = {}
	for i = 1, 3 do progs[i] = start(loads[random(#loads)]) end
	local kinds, looks = nil, 0
	repeat kinds, looks = processes(), looks + 1 until #(kinds.worker or {}) > 1 or looks == 50
	what = {}
	for _ = 1, random(6) do
		nap(0.06)
		kinds = processes()
		local names = {}
		for k in pairs(kinds) do names[#names + 1] = k end
		table.sort(names)
		if #names == 0 then break end
		local k = names[random(#names)]
		local pid = kinds[k][random(#kinds[k])]
		what[#what + 1] = k .. " " .. pid
		killed[k] = (killed[k] or 0) + 1
		os.execute(("kill -%s %s 2>/dev/null"):format(random(8) == 1 and "TERM" or "KILL", pid))
	end
	nap(0.1)
	local early = lasting and random(2) == 1		-- the node goes before its programs
	if early then said = output(env .. "rota down -q --force 2>&1 >/dev/null") end
	for _, p in ipairs(progs) do os.execute(("kill -%s %s 2>/dev/null"):format(({ "KILL", "TERM", "INT" })[random(3)], p.pid)) end
	if lasting and not early or table.concat(what, ","):find "keeper" then	-- what a keeper left that was killed goes with this
		said = said .. output(env .. "rota down -q --force 2>&1 >/dev/null")
	end
	for _, p in ipairs(progs) do p.text = p.p:read "a" p.p:close() end
	local left, fine = output(("%s../leaks.sh %s; ls -A %s; find %s -type s"):format(here, dir, tmp, state))
	for k, pids in pairs(processes()) do left = left .. k .. " " .. table.concat(pids, " ") .. "\n" end
	if said ~= "" or left ~= "" then
		local names = {}
		for i, p in ipairs(progs) do names[i] = p.what .. " " .. p.pid .. ": " .. p.text end
		T.ok(false, "round " .. round .. (lasting and ", lasting" or ", ephemeral") .. (early and ", ended first" or ""), said, left, what, names)
		for _, pids in pairs(processes()) do os.execute("kill -9 " .. table.concat(pids, " ")) end
		break
	end
end
local text = {}
for k, n in pairs(killed) do text[#text + 1] = k .. " " .. n end
table.sort(text)
T.ok(T.bad == 0, "nothing is left; killed: " .. table.concat(text, ", "))
T.done()
