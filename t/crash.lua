-- crash.lua - kill -9 of workers, actors, drivers and a node at random moments under load: right answers, nothing left
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local seed = tonumber(os.getenv "SEED") or os.time()
local rounds = os.getenv "ROTA_LONG" and 60 or 12
print("# SEED=" .. seed)
math.randomseed(seed)
rota.init { address = "private", cpus = 2 }

local function read(command) local f <close> = io.popen(command) return f:read "a" end
local me = io.open("/proc/self/stat"):read "n"
local rlet = math.tointeger(rota.nodes()[1].pid)
local function pids(job)
	local list = {}
	for _, w in ipairs(core.list "workers") do if (w.job == 1) == (job == 1) and w.pid > 0 then list[#list + 1] = w.pid end end
	return list
end
local function kill(list) if #list > 0 then os.execute(("kill -9 %d 2>/dev/null"):format(list[math.random(#list)])) end end
local function soon(f)				-- each look is a round trip to the node: nothing is slept
	local till = rota.now() + 10
	while not f() do if rota.now() > till then return false end end
	return true
end
local function files() return #read(("ls /proc/%d/fd"):format(rlet)):gsub("[^\n]", "") end
local function used() collectgarbage() collectgarbage() core.pending() return rota.nodes()[1].arena_used end

local square = rota.task(function(x, pad) local t = os.clock() while os.clock() - t < 0.0005 do end return x * x, #pad end):with { retries = -1 }
local Echo = rota.actor { say = function(self, x) return x end }
local pad = rota.put(("x"):rep(100000))
rota.get(square(1, pad))

local wrong = 0
for _ = 1, rounds do				-- workers
	local refs = {}
	for i = 1, 200 do refs[i] = square(i, pad) end
	for _ = 1, 3 do
		rota.wait({ refs[math.random(200)] }, { timeout = math.random() / 50 })
		kill(pids(1))
	end
	local v = rota.get(refs, 60)
	for i = 1, 200 do if v[i] ~= i * i then wrong = wrong + 1 end end
end
T.is(wrong, 0, "tasks of killed workers run again, each answer is right")

wrong = 0
for _ = 1, rounds do				-- an actor
	local a = Echo:with { restarts = -1, retries = -1 }()
	rota.get(a:say(0), 20)
	local pid
	for _, x in ipairs(core.list "actors") do if x.state == "alive" then pid = x.pid end end
	local refs = {}
	for i = 1, 300 do refs[i] = a:say(i) end
	if pid then os.execute(("kill -9 %d 2>/dev/null"):format(pid)) end
	local v = rota.get(refs, 60)
	for i = 1, 300 do if v[i] ~= i then wrong = wrong + 1 end end
end
T.is(wrong, 0, "calls of a killed actor that may be repeated all come, in its next life")

local driver = os.tmpname()
local f <close> = assert(io.open(driver, "w"))
f:write [[
local rota = require "rota"
local t = rota.task(function(x) local t = os.clock() while os.clock() - t < 0.002 do end return ("y"):rep(20000) end)
local A = rota.actor { say = function(self, x) return x end }
local a = A()
local refs = {}
for i = 1, 10000 do refs[i] = t(i) end
for i = 1, 100 do a:say(rota.put(("z"):rep(50000))) end
rota.get(refs[1])
local workers = {}
for i, w in ipairs(require "rota.core".list "workers") do workers[i] = math.tointeger(w.pid) end
print(rota.nodes()[1].pid, io.open("/proc/self/stat"):read "n", table.concat(workers, " "))
io.stdout:flush()
rota.get(refs)
]]
f:close()
local self = ("ROTA_ADDRESS=pid:%d rlua %s"):format(me, driver)
local fds, gone, slowest = nil, true, 0
for i = 1, rounds do				-- drivers
	local p = io.popen("exec 2>/dev/null; " .. self, "r")
	local _, pid = p:read("n", "n")
	rota.sleep(math.random() / 20)
	os.execute(("kill -9 %d"):format(pid))
	local t = rota.now()
	gone = soon(function() return #pids(2) == 0 and #core.list "actors" == 0 end) and gone
	slowest = math.max(slowest, rota.now() - t)
	p:close()
	if i == 1 then fds = files() end
end
print(("# slowest %.2f s"):format(slowest))
T.ok(gone, "a killed driver's 10,000 tasks, actors and workers are gone", ("%.2f s"):format(slowest))
T.ok(soon(function() return files() <= fds end), "the node has no descriptor more than after the first one", fds .. " then " .. files())

local orphans = 0
for _ = 1, rounds do				-- a node
	local p = io.popen("exec 2>&1; ROTA_ADDRESS=private timeout 20 rlua " .. driver .. "; echo status $?", "r")
	local node, _, workers = p:read("n", "n", "l")
	rota.sleep(math.random() / 20)
	os.execute(("kill -9 %d"):format(node))
	local said = p:read "a"
	if not said:match "status 1" then T.ok(false, "its driver is told", said) end
	p:close()
	for pid in workers:gmatch "%d+" do
		if not soon(function()
			local stat <close> = io.open(("/proc/%s/stat"):format(pid))
			return not stat or stat:read "a":match "%) Z"
		end) then orphans = orphans + 1 end
	end
end
T.is(orphans, 0, "a killed node: its driver fails at once, its workers are gone")

pad = nil
local last = rota.get(square(3, rota.put "p"), 20)
T.is(last, 9, "and the node of ours still works")
T.ok(soon(function() return used() < 4 << 20 end), "no arena bytes are left", used())
os.remove(driver)
T.done()
