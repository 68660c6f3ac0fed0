-- map - a task over a list: in bulk (batch elements to a task, also called chunk), at most j at once
local core = require "rota.core"
local blame = require "rota.blame"
local M = {}

-- one task for several elements: f of each, one after the other; of each the first value, as rota.get of a list has it
local function of_each(f)
	return function(...)
		local list = table.pack(...)
		for i = 1, list.n do list[i] = (f(list[i])) end
		return list
	end
end

-- of very many: they come as one table, where references stay what they are
local function of_all(f)
	return function(list, n)
		for i = 1, n do
			local x = list[i]
			if core.is_ref(x) then x = core.get(x) end
			list[i] = (f(x))
		end
		list.n = n
		return list
	end
end
local MANY = 1000

local function integer(options, name)
	local v = options[name]
	if v == nil then return nil end
	if math.type(v) ~= "integer" or v < 1 then blame(("map: '%s' is a whole number, 1 or more"):format(name)) end
	return v
end

-- options of a map, and what is left for the task, nil if nothing is
function M.options(options, only)
	local rest
	for k in pairs(options or {}) do
		if k ~= "batch" and k ~= "chunk" and k ~= "j" then
			if only then blame(("map: no option '%s'; it takes batch and j"):format(tostring(k))) end
			rest = rest or {}
			rest[k] = options[k]
		end
	end
	if not options then return end
	local batch, chunk = integer(options, "batch"), integer(options, "chunk")
	if batch and chunk then blame("map: 'batch' and 'chunk' are the same") end
	return batch or chunk, integer(options, "j"), rest
end

-- refs of n calls made by call(i), at most j of them under way
local function calls(n, j, call)
	local refs, set = {}, j and core.waitset()
	for i = 1, n do
		if j and #set >= j then set:next() end
		local ref = call(i)
		refs[i] = ref
		if j then set:add(ref, i) end
	end
	return refs
end

-- a list of refs, one for each element, or for each chunk: then the value is the list of its results
function M.refs(t, list, chunk, j)
	if not chunk or chunk == 1 then
		return calls(#list, j, function(i) return (t(list[i])) end)
	end
	local f, had = core.task_parts(t)
	if type(f) ~= "function" then blame("map: a C function is not called in batches; give it a buffer") end
	local o = {}
	for k, v in pairs(had or {}) do o[k] = v end
	if o.stream then blame("map: batch and stream do not go together") end
	if (o.returns or 1) > 1 then blame("map: batch and returns do not go together") end
	o.name = o.name or tostring(t):match "^task (.*)"
	local bulk, n = core.task(chunk > MANY and of_all(f) or of_each(f), o), #list
	return calls((n + chunk - 1) // chunk, j, function(i)
		if chunk > MANY then
			local part = table.move(list, (i - 1) * chunk + 1, math.min(i * chunk, n), 1, {})
			return bulk(part, math.min(chunk, n - (i - 1) * chunk))
		end
		return bulk(table.unpack(list, (i - 1) * chunk + 1, math.min(i * chunk, n)))
	end)
end

-- the values of those refs as one list
function M.values(refs, n, chunk)
	if not chunk or chunk == 1 then return core.get(refs) end
	local out = { n = n }
	for i = 1, #refs do
		local part, at = core.get(refs[i]), (i - 1) * chunk
		for k = 1, part.n do out[at + k] = part[k] end
		refs[i] = false		-- its object is let go of
	end
	return out
end

return M
