-- group-far-make-remove: placement groups of a bundle on each of two nodes, 100 made, waited for, removed; how many a second
local rota, rate = require "rota", require "rate"

while #require "rota.core".list "nodes" < 2 do rota.sleep(0.01) end
rate("group-far-make-remove", function(n)
	local groups = {}
	for _ = 1, n // 100 do
		for i = 1, 100 do groups[i] = rota.group({ { cpus = 0.001 }, { cpus = 0.001 } }, "strict_spread") end
		rota.wait(groups, { n = "all" })
		for i = 1, 100 do groups[i]:remove() end
	end
end, 2000)
