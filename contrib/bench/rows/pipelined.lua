-- pipelined: 100,000 empty tasks submitted, then all results got
local rota, rate = require "rota", require "rate"
local noop = rota.task(function() end)

rate("pipelined", function(n)
	local refs = {}
	for i = 1, n do refs[i] = noop() end
	rota.get(refs)
end, 100000)
