-- idle-memory, idle-wakeups: a node at rest with one driver that waits for something else
-- Memory: resident pages of rlet, the zygote and the idle workers that belong to no shared memory.  Wake-ups: how often
-- any thread of theirs was given a CPU in 10 s; who makes no system call is given none.
local rota = require "rota"
local noop = rota.task(function() end)
for _ = 1, 1000 do rota.get(noop()) end

local function tree(pid, list)
	list[#list + 1] = pid
	local f = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
	if f then
		for child in f:read "a":gmatch "%d+" do tree(tonumber(child), list) end
		f:close()
	end
	return list
end

local function read(pids, pattern, threads)
	local sum = 0
	for _, pid in ipairs(pids) do
		local f = io.popen(("cat /proc/%d/%s 2>/dev/null"):format(pid, threads and "task/*/status" or "status"))
		for value in f:read "a":gmatch(pattern) do sum = sum + value end
		f:close()
	end
	return sum
end

local node = rota.nodes()[1].pid
rota.sleep(2)					-- whatever follows the last task
local pids = tree(node, {})
local before = read(pids, "voluntary_ctxt_switches:%s*(%d+)", true)
os.execute "sleep 10"
local after = read(pids, "voluntary_ctxt_switches:%s*(%d+)", true)
print(("idle-wakeups %d"):format(after - before))
print(("idle-memory %.1f"):format((read(pids, "RssAnon:%s*(%d+)") + read(pids, "RssFile:%s*(%d+)")) * 1024 / 1e6))
