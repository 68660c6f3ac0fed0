-- common.lua - what the crash loops share: a seed that is printed, processes to kill, what the node still has
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local C = { T = T, rota = rota, core = core, long = os.getenv "ROTA_LONG" == "1" }

C.seed = tonumber(arg[1]) or os.time()
math.randomseed(C.seed)
print("# seed " .. C.seed)

function C.rounds(short, long) return C.long and long or short end

function C.kill(pid) os.execute("kill -9 " .. pid .. " 2>/dev/null") end

function C.workers(state)		-- those of this job
	local mine, out = rota.context().job, {}
	for _, w in ipairs(core.list "workers", "me", io.open("/proc/self/stat"):read "n") do
		if w.job == mine and w.pid > 0 and (not state or w.state == state) then out[#out + 1] = w end
	end
	return out
end

function C.fds(pid)			-- open descriptors of the node, without those of its workers, four each; nil where we may not look
	local p = io.popen("ls /proc/" .. pid .. "/fd 2>/dev/null | wc -l")
	local n = p:read "n"
	p:close()
	return n > 0 and n - 4 * rota.nodes()[1].workers or nil
end

-- the node, once it has come to rest: no object, no other job's worker, no actor; fails the test after some seconds
function C.quiet(name, limit)
	local t0, objects, workers, actors, node = rota.now(), nil, nil, nil, nil
	repeat
		T.collect()
		rota.sleep(0.01)
		objects, workers, actors = #core.list "objects", 0, 0
		for _, w in ipairs(core.list "workers", "me", io.open("/proc/self/stat"):read "n") do
			if w.job ~= rota.context().job then workers = workers + 1 end
		end
		for _, a in ipairs(core.list "actors") do if a.state ~= "dead" then actors = actors + 1 end end
		node = rota.nodes()[1]
	until objects + workers + actors == 0 or rota.now() - t0 > (limit or 10)
	T.ok(objects + workers + actors == 0, name .. ": no object, worker or actor is left", objects, workers, actors,
	    core.list "objects"[1], core.list "actors"[1])
	return node, rota.now() - t0
end

return C
