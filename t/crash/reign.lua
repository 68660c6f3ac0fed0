-- reign.lua [SEED] - the node's daemon is killed again and again: another one takes over, no program loses a task or an object
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota = C.T, C.rota
local here = arg[0]:match "^(.*/)"
rota.init { cpus = 2, store = "64M" }

local add = rota.task(function(a, b) return a + b end)
local size = rota.task(function(s) return #s end)
local make = rota.task(function(n) return ("m"):rep(n) end)
local spin = rota.task(function(s) local t = rota.now() repeat until rota.now() - t > s return s end)
local parent = rota.task(function(n)
	local refs = {}
	for i = 1, n do refs[i] = add(i, i) end
	local sum = 0
	for _, v in ipairs(rota.get(refs)) do sum = sum + v end
	return sum
end)
local Keep = rota.actor { get = function(self, x) return x end }

local function daemon() return rota.nodes()[1].pid end
local first = daemon()
local stored = {}
for i = 1, 8 do stored[i] = rota.put(("s"):rep(i * 100000)) end
for i = 9, 12 do stored[i] = make(i * 100000) end
rota.wait(stored, { n = "all", timeout = 30 })

local others = {}
for i = 1, 2 do others[i] = io.popen(("exec rlua %sreignother.lua %d 2>&1"):format(here, math.random(1 << 30)), "r") end

for round = 1, C.rounds(6, 60) do
	local refs, want = {}, {}
	local function more(ref, v) refs[#refs + 1], want[#want + 1] = ref, v end
	for _ = 1, math.random(400) do
		local k, x = math.random(5), math.random(1000)
		if k == 1 then more(add(x, 1), x + 1)
		elseif k == 2 then more(size(make(x * 50)), x * 50)
		elseif k == 3 then local i = math.random(12) more(size(stored[i]), i * 100000)
		elseif k == 4 then more(spin(0.0005), 0.0005)
		else more(parent(3), 12) end
	end
	local a = Keep()
	local call = a:get(round)
	rota.sleep(math.random() * 0.05)
	C.kill(daemon())
	local vals, errs = rota.pget(refs, 60)
	local bad, why = 0, nil
	for i = 1, #refs do
		if vals[i] ~= want[i] then bad, why = bad + 1, errs[i] or vals[i] end
	end
	T.ok(bad == 0, ("round %d: %d tasks are done"):format(round, #refs), bad, why)
	local v, e = rota.pget(call, 30)
	T.ok(v == round or e and (e.code == "actor_died"), "a call of an actor came back or says that the actor died", v, e)
	v, e = rota.pget(Keep():get(7), 30)
	T.is(v or e, 7, "there can be actors again")
	for i = 1, 12 do
		v, e = rota.pget(stored[i], 30)
		if not v or #v ~= i * 100000 then T.ok(false, "object " .. i, v and #v, e) end
	end
end
T.ok(daemon() ~= first, "it is another daemon")
for i, p in ipairs(others) do
	local text = p:read "a"
	T.ok(p:close() and text:match "fine", ("program %d beside this one"):format(i), text)
end
refs, stored, vals = nil, nil, nil
C.quiet("at the end")
T.done()
