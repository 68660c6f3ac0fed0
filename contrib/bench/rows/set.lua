-- set-calls: calls through a set of two members, as a multiple of the same calls to one actor; pipelined, in turn
local rota = require "rota"
rota.init { address = "private", cpus = 2 }
local Actor = rota.actor { noop = function() end }
local one, set = Actor(), rota.set(Actor, { n = 2 })
assert(set:wait(10))

local function run(x)
	local refs, t = {}, rota.now()
	for i = 1, 100000 do refs[i] = x:noop() end
	rota.get(refs)
	return 100000 / (rota.now() - t)
end
local a, s = 0, 0
for i = 0, 5 do
	local ra, rs = run(one), run(set)
	if i > 0 then a, s = math.max(a, ra), math.max(s, rs) end
end
print(("set-calls %.2f"):format(s / a))
