-- gpus.lua - resources end to end: GPUs by number and by parts, custom ones, and the environment that tasks see
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local rota = require "rota"
local T = require "tap"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 8, gpus = 4 }

local seen = rota.task(function()
	local c = rota.context()
	return os.getenv "CUDA_VISIBLE_DEVICES", c.gpus, c.resources
end)
-- holds what it was given until go exists; tells what that was
local dir = T.tmp()
local hold = rota.task(function(go)
	local f = io.open(go .. ".out", "a")
	f:write "x"
	f:close()
	f = nil
	while not f do rota.sleep(0.005) f = io.open(go) end
	f:close()
	return os.getenv "CUDA_VISIBLE_DEVICES"
end)
local function go(name) io.open(dir .. "/" .. name, "w"):close() end
local function out(name, n)			-- n of them run
	local f, k
	for _ = 1, 2000 do
		f = io.open(dir .. "/" .. name .. ".out")
		k = f and #f:read "a" or 0
		if f then f:close() end
		if k >= n then return true end
		rota.sleep(0.005)
	end
	return nil, k
end

-- what a task sees
local text, list, res = rota.get(seen())
ok(text == "" and #list == 0 and res.gpus == 0, "a task without GPUs sees none", text, list)
text, list, res = rota.get(seen:with { gpus = 1 }())
ok(text == tostring(list[1]) and #list == 1 and res.gpus == 1 and res.cpus == 1, "one", text, res)
text, list = rota.get(seen:with { gpus = 3 }())
ok(#list == 3 and list[1] < list[2] and list[2] < list[3], "three", list)
is(text, table.concat(list, ","), "and as CUDA names them")
text, list, res = rota.get(seen:with { gpus = 0.25 }())
ok(#list == 1 and res.gpus == 0.25, "a part of one", text, res)
raises("a part of one, or whole ones", "1.5 is neither", rota.get, seen:with { gpus = 1.5 }())
raises("needs 5 gpus; this node has 4", "more than there are", rota.get, seen:with { gpus = 5 }())

-- half and half share a device; a fraction never spans two
local half = hold:with { gpus = 0.5, cpus = 0 }
local refs = {}
for i = 1, 8 do refs[i] = half(dir .. "/half") end
ok(out("half", 8), "eight halves fit four devices")
local whole = seen:with { gpus = 1 }()
ok(not whole:wait(0.2), "with eight halves out no device is whole")
go "half"
local of = {}
for _, d in ipairs(rota.get(refs)) do of[d] = (of[d] or 0) + 1 end
is(of, { ["0"] = 2, ["1"] = 2, ["2"] = 2, ["3"] = 2 }, "eight halves: two on each device")
ok(rota.get(whole):match "^%d$", "then one is whole again")
local parts = {}
for i = 1, 4 do parts[i] = hold:with { gpus = 0.6, cpus = 0 }(dir .. "/parts") end
ok(out("parts", 4), "four of 0.6")
local fifth = hold:with { gpus = 0.6, cpus = 0 }(dir .. "/parts")
local small = seen:with { gpus = 0.4 }()
ok(#(select(2, rota.get(small))) == 1, "0.4 goes beside 0.6")
ok(not fifth:wait(0.1), "four times 0.4 are no 0.6")
go "parts"
of = {}
for _, d in ipairs(rota.get(parts)) do of[d] = (of[d] or 0) + 1 end
is(of, { ["0"] = 1, ["1"] = 1, ["2"] = 1, ["3"] = 1 }, "four of 0.6: one on each")
rota.get(fifth)

-- a worker that has seen GPUs serves nobody else afterwards
local pids = rota.task(function() return rota.context().process, os.getenv "CUDA_VISIBLE_DEVICES" end)
local with, d = rota.get(pids:with { gpus = 1 }())
local without, none = rota.get(pids())
ok(with ~= without and d ~= "" and none == "", "tasks with and without GPUs run in different workers", d, none)

-- actors hold theirs
local A = rota.actor { see = function() return os.getenv "CUDA_VISIBLE_DEVICES", rota.context().gpus end }
local a, b = A:with { gpus = 2 }(), A:with { gpus = 2 }()
local x, y = rota.get(a:see()), rota.get(b:see())
ok(#x == 3 and #y == 3 and x ~= y, "two actors with two each", x, y)
is(rota.resources().gpus_free, 0, "none is left")
local r = seen:with { gpus = 0.1 }()
ok(not r:wait(0.1), "not even a tenth")
rota.stop(a)
is(#(select(2, rota.get(r))), 1, "until one of them ends")
rota.stop(b)
rota.wait({ r }, { n = "all" })

-- threads of numeric libraries: told only where CPUs were asked for
local omp = rota.task(function() return os.getenv "OMP_NUM_THREADS" or "none" end)
is(rota.get(omp()), "none", "OMP_NUM_THREADS is left alone")
is(rota.get(omp:with { cpus = 4 }()), "4", "with cpus=4 it is 4")
is(rota.get(omp:with { cpus = 0.5 }()), "1", "with a part of a CPU it is 1")
is(rota.get(omp:with { cpus = 1 }()), "1", "with cpus=1 it is 1")
is(rota.get(omp()), "none", "a worker that was told is no other task's")

-- who runs: the environment of each task
local who = rota.task(function()
	local p = io.popen 'echo "$ROTA_JOB $ROTA_TASK $ROTA_NODE $ROTA_ATTEMPT"'
	local line = p:read "l"
	p:close()
	return line, os.getenv "ROTA_TASK", rota.context()
end)
for i = 1, 2 do
	local ref = who()
	local line, task, c = rota.get(ref)
	is(task, ref:id(), "ROTA_TASK is the task's id")
	is(line, ("%d %s %s 1"):format(c.job, ref:id(), c.node), "programs see all four")
	ok(c.task == ref:id() and c.attempt == 1 and c.worker and c.namespace == tostring(c.job), "rota.context() says the same", c)
end
local c = rota.get(rota.task(function() return rota.get(rota.task(function() return rota.context() end)()) end)
	:with { timeout = 60, name = "parent" }())
ok(c.parent and c.deadline and c.deadline > rota.now() + 50, "a child knows its parent and inherits the deadline", c)
c = rota.context()
ok(c.worker == false and c.job and c.task == nil, "in a driver", c)

-- what there is
local sum = rota.resources()
ok(sum.cpus == 8 and sum.gpus == 4 and sum.memory > 0 and sum.memory_free <= sum.memory, "rota.resources()", sum)
local n = rota.nodes()[1]
ok(n.gpus == 4 and type(n.resources) == "table" and n.name == c.node and n.gpus_free and n.memory_free, "rota.nodes()", n)
T.done()
