-- victim.lua - a driver with much under way that is to be killed: 10,000 tasks queued, objects, actors, nested tasks
local rota = require "rota"
local spin = rota.task(function(i) local till = os.clock() + 0.05 while os.clock() < till do end return i end)
local nest
nest = rota.task(function(n) return n == 0 and rota.get(spin(1)) or rota.get(nest(n - 1)) end)
local A = rota.actor { new = function(self, r) self.r = r end, work = function(self, s) rota.sleep(s) return self.r end }
local keep = { nest(10), rota.put(("x"):rep(3 << 20)) }
for i = 1, 5 do
	local a = A { rota.put(("a"):rep(100000)) }
	keep[#keep + 1] = a
	keep[#keep + 1] = a:work(30)
	keep[#keep + 1] = rota.task(function(s) return s .. s end)(("b"):rep(50000))
end
for i = 1, 10000 do keep[#keep + 1] = spin(i) end
print "queued"
io.stdout:flush()
rota.get(keep)
