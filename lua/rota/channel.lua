-- channel - rota.channel{bytes=, items=} -> writer, reader: the arguments are checked here, the rest is C
local core = require "rota.core"
local blame = require "rota.blame"

return function(options)
	local bytes, items = 1 << 20, 0
	if options ~= nil and type(options) ~= "table" then
		blame("rota.channel takes a table of options, as {bytes='1M', items=16}")
	end
	for k, v in pairs(options or {}) do
		if k == "bytes" then
			bytes = (type(v) == "number" or type(v) == "string") and core.size(v)
			if not bytes or bytes < 1 or bytes > 1 << 30 then
				blame("rota.channel: 'bytes' is a size from 1 to 1G, as 65536 or '1M'")
			end
		elseif k == "items" then
			items = math.tointeger(v)
			if not items or items < 1 then blame("rota.channel: 'items' is a whole number from 1") end
		else
			blame(("rota.channel: no option '%s' (it has bytes, items)"):format(tostring(k)))
		end
	end
	return core.channel(math.tointeger(bytes) or bytes // 1 | 0, items)
end
