-- wanted: what nodes say waits there, as text, and what that means
--	need(text)		"cpus=1,ssd=2" -> { cpus = 1, ssd = 2 }; nil: it makes no sense
--	text(need)		the reverse, names in order
--	parse(text, counts)	of "3*cpus=1 1*pack(1*cpus=2 1*gpus=1)" adds to counts, entry -> how many: entries are texts again
--	list(counts, kind)	for core.scale: { { kind=, n=, strategy=, need={...} }, ... } in order
local M = {}

function M.need(text)
	local need = {}
	for pair in text:gmatch "[^,]+" do
		local name, n = pair:match "^([^=]+)=([%d.e+]+)$"
		if not tonumber(n) then return end
		need[name] = tonumber(n)
	end
	return need
end

function M.text(need)
	local names, out = {}, {}
	for name in pairs(need) do names[#names + 1] = name end
	table.sort(names)
	for _, name in ipairs(names) do if need[name] > 0 then out[#out + 1] = ("%s=%.15g"):format(name, need[name]) end end
	return table.concat(out, ",")
end

function M.parse(text, counts)
	local rest = text:gsub("(%d+)%*(%l[%l_]*%b())", function(n, group)
		counts[group] = (counts[group] or 0) + tonumber(n)
		return ""
	end)
	for n, need in rest:gmatch "(%d+)%*([^%s]+)" do
		if M.need(need) then counts[need] = (counts[need] or 0) + tonumber(n) end
	end
	return counts
end

function M.list(counts, kind)
	local out, entries = {}, {}
	for entry, n in pairs(counts) do if n > 0 then entries[#entries + 1] = entry end end
	table.sort(entries)
	for _, entry in ipairs(entries) do
		local strategy, inside = entry:match "^([%l_]+)(%b())$"
		if not strategy then
			out[#out + 1] = { kind = kind, n = counts[entry], need = { M.need(entry) } }
		else
			local bundles = {}
			for n, need in inside:sub(2, -2):gmatch "(%d+)%*([^%s]+)" do
				for _ = 1, math.min(tonumber(n), 1024) do bundles[#bundles + 1] = M.need(need) end
			end
			for _ = 1, math.min(counts[entry], 64) do
				if bundles[1] then out[#out + 1] = { kind = "group", strategy = strategy, need = bundles } end
			end
		end
	end
	return out
end

return M
