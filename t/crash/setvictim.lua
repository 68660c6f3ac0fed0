-- setvictim.lua - makes sets, says so, and calls, resizes and renews them until it is killed
local rota = require "rota"
rota.init { namespace = "sets" }
local Act = rota.actor { add = function(self, x) return x + 1 end }
local a, b = rota.set(Act, { n = 2, health = "20ms" }), rota.set(Act, { n = 2, gang = true, name = "gang" })
a:wait(30)
b:wait(30)
print "made"
io.stdout:flush()
for i = 1, math.huge do
	for k = 1, 20 do a:add(k) b:add(k) end
	a:resize(1 + i % 3)
	if i % 5 == 0 then a:renew() end
	if i == 10 then print "used" io.stdout:flush() end
	rota.get(a:add(1), 30)
end
