-- instance: names of instances: TYPE-EPOCH.NUMBER, of the id EPOCH * 2^32 + NUMBER
local M = {}

function M.name(type, id) return ("%s-%d.%d"):format(type.name, id >> 32, id & 0xffffffff) end

function M.ids(type, text)		-- of all such names in it
	local out, seen = {}, {}
	for word in text:gmatch "[^%s]+" do
		local epoch, number = word:match("^" .. type.name:gsub("%p", "%%%0") .. "%-(%d+)%.(%d+)$")
		local id = epoch and tonumber(epoch) << 32 | tonumber(number)
		if id and not seen[id] then
			seen[id] = true
			out[#out + 1] = id
		end
	end
	return out
end

-- by this label the node is known when it has joined
function M.labelled(h, type, id)
	local labels = { instance = tostring(id), type = type.name }
	for k, v in pairs(h.labels or {}) do labels[k] = v end
	h.labels = labels
	return h
end

return M
