-- group-make-remove: placement groups of two bundles, 100 made, waited for, removed; how many a second
local rota, rate = require "rota", require "rate"

rate("group-make-remove", function(n)
	local groups = {}
	for _ = 1, n // 100 do
		for i = 1, 100 do groups[i] = rota.group{{ cpus = 0.001 }, { cpus = 0.001 }} end
		rota.wait(groups, { n = "all" })
		for i = 1, 100 do groups[i]:remove() end
	end
end, 10000)
