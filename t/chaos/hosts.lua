-- hosts.lua - the hosts of a chaos run: their daemons, processes and links (t/net.sh), and what was done to them
local rota = require "rota"
local now = rota.now
local H = { n = 0, begun = now() }
local TMP, NET = os.getenv "TMP", os.getenv "NET"
local KEY, STORE = TMP .. "/lab.key", 1	-- the control store is on host 1

function H.slurp(path)
	local f <close> = io.open(path)
	return f and f:read "a"
end
function H.output(command)
	local p = io.popen(command)
	local s = p:read "a"
	p:close()
	return s
end
function H.say(...)			-- what happens, with its time
	print(("# %7.2f %s"):format(now() - H.begun, string.format(...)))
	io.stdout:flush()
end
local function net(...) return os.execute("t/net.sh " .. table.concat({ ... }, " ")) end

-- host k: lost: when something last happened for which its node may be given up; away: until then it cannot be used
local hosts = {}
H.hosts = hosts
local function fresh(k) return { k = k, up = true, lost = -1000, fell = -1000, dir = ("%s/%d/run/user/0/rota"):format(NET, k) } end

-- --- processes: one look at all of them serves for a moment ---

local seen, at = nil, -1
function H.look()
	seen, at = {}, now()
	local all, init = {}, {}
	for pid, parent, ns, args in H.output "ps -eo pid=,ppid=,pidns=,args= --no-headers -ww":gmatch "(%d+)%s+(%d+)%s+(%S+)%s+([^\n]*)" do
		all[tonumber(pid)] = { pid = tonumber(pid), parent = tonumber(parent), ns = ns, args = args }
	end
	for k in pairs(hosts) do
		local first = tonumber(H.slurp(("%s/%d/pid"):format(NET, k)) or "")
		if first and all[first] then init[all[first].ns] = k end
		seen[k] = { first = first }
	end
	for _, p in pairs(all) do
		local k = init[p.ns]
		if k and p.pid ~= seen[k].first then
			local parent, list = all[p.parent] or { args = "" }, seen[k]
			local program = p.args:match "^%S*/(%w+)%f[%s\0]" or p.args:match "^(%w+)%f[%s\0]"
			local above = all[parent.parent] or { args = "" }
			local kin = parent.ns == p.ns and parent.args:match "^rlet " and (above.ns == p.ns and above.args:match "^rlet " and 2 or 1) or 0
			if program == "rlet" then p.what = ({ [0] = "keeper", "rlet", "other" })[kin]	-- a daemon's child readies memory
			elseif program == "rwork" then p.what = parent.args:match "rwork" and "worker" or "zygote"
			elseif program == "rgcs" then p.what = parent.args:match "rgcs" and parent.ns == p.ns and "rgcs" or "gcskeeper"
			elseif p.args:match "chaos/load.lua" then p.what = "driver"
			else p.what = "other" end
			list[#list + 1] = p
		end
	end
	for _, list in pairs(seen) do table.sort(list, function(a, b) return a.pid < b.pid end) end
end
function H.processes(k, what)		-- of the host; nil: of every kind
	if now() - at > 0.2 then H.look() end
	local t = {}
	for _, p in ipairs(seen[k] or {}) do if not what or p.what == what then t[#t + 1] = p end end
	return t
end
function H.kill(p, signal)
	at = -1
	return os.execute(("kill -%s %d 2>/dev/null"):format(signal or 9, p.pid))
end
function H.state(pid) return (H.slurp(("/proc/%d/stat"):format(pid)) or ""):match "%) (%a)" end	-- nil: gone

-- --- daemons ---

-- spawn(k, log, words): starts it there, its exit status will be the last line of log; the process, here, that waits for it
function H.spawn(k, log, words)
	at = -1
	local f <close> = io.popen(("{ t/net.sh exec %d env ROTA_ADDRESS=local TMP=%s %s; echo exit $?; } </dev/null >>%s 2>&1 & echo $!"):format(
	    k, TMP, words, log))
	return f:read "n"
end
-- each line with the time, as this run counts it
local STAMP = [[perl -MTime::HiRes=clock_gettime,CLOCK_MONOTONIC -ne 'BEGIN { $| = 1 } printf "%%7.2f %%s", clock_gettime(CLOCK_MONOTONIC) - %f, $_']]
local function daemon(k, name, words)
	local ready = ("%s/%d/%s.ready"):format(NET, k, name)
	os.remove(ready)
	at = -1
	local f <close> = io.popen(("t/net.sh exec %d %s --ready-fd 3 </dev/null 3>%s 2>&1 >/dev/null | %s >>%s/%s-%d.log & echo $!"):format(
	    k, words, ready, STAMP:format(H.begun), TMP, name, k))
	hosts[k][name] = f:read "n"
end
local function ready(k, name) return (H.slurp(("%s/%d/%s.ready"):format(NET, k, name)) or "") ~= "" end
function H.store()
	H.storing = true
	daemon(STORE, "rgcs", ("rgcs --dir %s/state --listen :7411 --key %s"):format(TMP, KEY))
end
function H.node(k)
	daemon(k, "rlet", ("rlet -l -c 2 --store 64M --key %s --listen :7412 --join h%d"):format(KEY, STORE))
end
function H.serves(k) return hosts[k].up and ready(k, "rlet") and #H.processes(k, "rlet") > 0 end
function H.wait(what, f, limit)
	local t0 = now()
	while not f() do
		if now() - t0 > (limit or 30) then return false, H.say("waits in vain: %s", what) end
		rota.sleep(0.05)
	end
	return true
end
function H.start(n)			-- the store and all nodes: true if they serve
	H.n = n
	for k = 1, n do hosts[k] = fresh(k) end
	H.store()
	if not H.wait("control store", function() return ready(STORE, "rgcs") end) then return false end
	for k = 1, n do H.node(k) end
	return H.wait("nodes", function()
		for k = 1, n do if not H.serves(k) then return false end end
		return true
	end)
end

-- --- what is done to hosts ---

function H.lost(k)			-- its node may be given up from now on
	for j = 1, H.n do if j == k or k == STORE then hosts[j].lost = now() end end
end
function H.cut(k, j) net("cut", k, j) end
function H.heal(k, j) net("heal", k, j) end
function H.slow(k, ...) net("slow", k, ..., "2>/dev/null") end
function H.fell(k)			-- all of the host at once
	H.lost(k)
	hosts[k].up, hosts[k].fell, at = false, now(), -1
	net("kill", k)
end
function H.boot(k)
	net("boot", k)
	hosts[k].up, at = true, -1
end

-- --- figures ---

function H.private(pid)			-- KiB that are no file's and no segment's
	return tonumber((H.slurp(("/proc/%d/smaps_rollup"):format(pid)) or ""):match "Anonymous:%s+(%d+) kB" or 0)
end
function H.fds(pid) return tonumber(H.output(("ls /proc/%d/fd 2>/dev/null | wc -l"):format(pid))) end

return H
