-- once - rota.once(key, f): what is made once in each process and kept there: a connection, a model, a table read from disk
local core = require "rota.core"
local blame = require "rota.blame"
local kept = core.once()		-- key -> { n =, values of f }, or true while f runs

return function(key, f)
	if key == nil or key ~= key then blame("rota.once(key, f): the key is nil or no number") end
	local v = kept[key]
	while v == true do		-- another task of this worker makes it, and waits for something meanwhile
		if not coroutine.isyieldable() then
			blame(("rota.once(%s): it is being made by another task of this worker"):format(tostring(key)))
		end
		core.sleep(0.001)
		v = kept[key]
	end
	if not v then
		kept[key] = true
		v = table.pack(pcall(f))
		if not v[1] then
			kept[key] = nil
			error(v[2], 0)
		end
		table.remove(v, 1)
		v.n = v.n - 1
		kept[key] = v
	end
	return table.unpack(v, 1, v.n)
end
