-- wait-1000: 1,000 empty tasks submitted, then waited for one at a time; how often a second
local rota, rate = require "rota", require "rate"
local noop = rota.task(function() return 1 end)

rate("wait-1000", function(n)
	for _ = 1, n do
		local refs, ready = {}, nil
		for i = 1, 1000 do refs[i] = noop() end
		for _ = 1, 1000 do
			ready, refs = rota.wait(refs)
			assert(#ready == 1)
		end
	end
end, 5)
