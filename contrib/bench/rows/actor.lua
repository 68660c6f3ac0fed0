-- actor-sync, actor-pipelined: an empty method of one actor
local rota, rate = require "rota", require "rate"
local a, get = rota.actor{ noop = function() end }(), rota.get

rate("actor-sync", function(n) for _ = 1, n do get(a:noop()) end end, 20000)
rate("actor-pipelined", function(n)
	local refs = {}
	for i = 1, n do refs[i] = a:noop() end
	get(refs)
end, 100000)
