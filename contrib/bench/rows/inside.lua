-- get-10000-inside: get of an object that holds 10,000 references, made by a task
local rota, rate = require "rota", require "rate"
local ref = rota.task(function()
	local refs = {}
	for i = 1, 10000 do refs[i] = rota.put(i) end
	return refs
end)()
assert(#rota.get(ref) == 10000)

rate("get-10000-inside", function(n) for _ = 1, n do rota.get(ref) end end, 5)
