-- graph-one, graph-two-calls, graph-two: round trips of compiled graphs: one actor, called once and twice, and two in a row
-- (three processes, which two CPUs cannot run at once); graph-pipelined: two in a row, 16 under way
local rota = require "rota"
rota.init { address = "private", cpus = 2 }
local A = rota.actor { f = function(self, x) return x end }
local a, b, c = A(), A(), A()

local function row(name, f, n)
	local g <close> = rota.dag(f):compile()
	local best = math.huge
	for run = 0, 5 do			-- the first one warms up
		local t = rota.now()
		for i = 1, n do g(i):get() end
		if run > 0 then best = math.min(best, rota.now() - t) end
	end
	print(("%s %.2f"):format(name, best / n * 1e6))
end
row("graph-one", function(x) return a:f(x) end, 50000)
row("graph-two-calls", function(x) return a:f(a:f(x)) end, 50000)
row("graph-two", function(x) return c:f(b:f(x)) end, 5000)
local g <close> = rota.dag(function(x) return c:f(b:f(x)) end):compile()
local n, best, fs = 50000, 0, {}
for run = 1, 5 do
	local t = rota.now()
	for i = 1, n do
		if i > 16 then fs[i % 16]:get() end
		fs[i % 16] = g(i)
	end
	best = math.max(best, n / (rota.now() - t))
end
print(("graph-pipelined %.0f"):format(best))
