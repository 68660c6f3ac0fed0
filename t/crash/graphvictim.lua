-- graphvictim.lua - compiles graphs over the actor "mine" and one of its own, says so, and uses them until it is killed
local rota = require "rota"
rota.init { namespace = "graphs" }
local Own = rota.actor { add = function(self, x) return x + 1 end, text = function(self, x) return ("v"):rep(50000) .. x end }
local a, b = rota.find "mine", Own()
local g = rota.dag(function(x) return b:add(a:add(x)) end):compile { inflight = 8 }
local h = rota.dag(function(x) return a:add(b:add(x)), b:text(x) end):compile { bytes = 4096 }
print "compiled"
io.stdout:flush()
local i = 0
while true do
	i = i + 1
	local f, k = g(i), h(i)
	if i % 10 == 0 then k:get() end
	if i == 100 then print "used" io.stdout:flush() end
end
