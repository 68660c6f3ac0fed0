-- reignother.lua SEED - a program beside reign.lua: its tasks are right however often the daemon dies
local rota = require "rota"
math.randomseed(tonumber(arg[1]))
rota.init {}
local twice = rota.task(function(s) return s .. s end)
local kept = rota.put(("k"):rep(300000))
local t0 = rota.now()
while rota.now() - t0 < 3 do
	local refs = {}
	for i = 1, math.random(200) do refs[i] = twice(tostring(i)) end
	local vals = rota.get(refs, 60)
	for i = 1, #refs do assert(vals[i] == i .. "" .. i) end
	assert(#rota.get(kept) == 300000)
end
print "fine"
