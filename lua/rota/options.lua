-- options - what :with{} takes: names, types and hints.  Returns one function that checks and normalises.
local core = require "rota.core"
local blame = require "rota.blame"

local function number(lo, hi)
	return function(v, name)
		if type(v) ~= "number" or v ~= v or v < lo or v > hi then
			return nil, ("'%s' is a number from %g to %g"):format(name, lo, hi)
		end
		return v
	end
end

local function size(v, name)
	local n = (type(v) == "number" or type(v) == "string") and core.size(v)
	if not n or n < 0 then return nil, ("'%s' is a size, as 1048576 or '1G'"):format(name) end
	return n
end

local function time(v, name)
	local n = (type(v) == "number" or type(v) == "string") and core.duration(v)
	if not n or n < 0 then return nil, ("'%s' is a time, as 5 or '10ms'"):format(name) end
	return n
end

local function text(v, name)
	if type(v) ~= "string" or v == "" or #v > 255 then
		return nil, ("'%s' is a name of 1 to 255 bytes"):format(name)
	end
	return v
end

local function yes(v, name)
	if type(v) ~= "boolean" then return nil, ("'%s' is true or false"):format(name) end
	return v
end

local function integer(lo, hi)
	local check = number(lo, hi)
	return function(v, name)
		local n, why = check(v, name)
		if not n then return nil, why end
		return math.tointeger(n) or nil, ("'%s' is a whole number"):format(name)
	end
end

-- custom resources travel as msgpack: a map of names to thousandths, in order of the names
local function resources(v, name)
	if type(v) ~= "table" then return nil, ("'%s' is a table, as {ssd=1}"):format(name) end
	local names = {}
	for k, n in pairs(v) do
		if type(k) ~= "string" or type(n) ~= "number" or not (n >= 0 and n <= 1e12) then
			return nil, ("'%s' is a table of names and numbers, as {ssd=1}"):format(name)
		end
		if #k > 255 then return nil, ("'%s': a name has at most 255 bytes"):format(name) end
		names[#names + 1] = k
	end
	table.sort(names)
	local out = { string.pack(">BI2", 0xde, #names) }
	for _, k in ipairs(names) do
		out[#out + 1] = string.pack(">Bs1", 0xd9, k)
		out[#out + 1] = string.pack(">BI8", 0xcf, math.floor(v[k] * 1000 + 0.5))
	end
	return table.concat(out)
end

-- "crash", "error", a function of the error, or codes: then a set of them
local function retry_on(v, name)
	if v == "crash" or v == "error" or type(v) == "function" then return v end
	local set, n = {}, 0
	for k, x in pairs(type(v) == "table" and v or {}) do
		if x == true then x = k end		-- such a set, when options travel
		if type(x) ~= "string" and type(x) ~= "number" then n = 0 break end
		set[x], n = true, n + 1
	end
	if n > 0 then return set end
	return nil, ("'%s' is \"crash\", \"error\", a list of codes, or a function of the error"):format(name)
end

-- concurrency groups: a list of { name, how many at once }, in order of the names
local function groups(v, name)
	if type(v) ~= "table" then return nil, ("'%s' is a table, as {io=4}"):format(name) end
	local out = {}
	for k, n in pairs(v) do
		if type(k) ~= "string" or k == "" or math.type(n) ~= "integer" or n < 1 or n > 1e6 then
			return nil, ("'%s' is a table of names and numbers, as {io=4}"):format(name)
		end
		out[#out + 1] = { k, n }
	end
	if #out > 62 then return nil, ("'%s' has at most 62 names"):format(name) end
	table.sort(out, function(a, b) return a[1] < b[1] end)
	return out
end

local function group(v, name)
	if getmetatable(v) ~= require "rota.group".Group then
		return nil, ("'%s' is what rota.group() returned"):format(name)
	end
	return v.id
end

-- labels of nodes, as 'zone=eu,gpu=a100' or {zone='eu', gpu='a100'}: the text that means them
local function labels(v, name)
	if type(v) ~= "table" and type(v) ~= "string" then return nil, ("'%s' is a table of labels, as {zone='eu'}, or a text"):format(name) end
	return core.labels(v)
end

local function node(v, name)
	if type(v) ~= "string" then return nil, ("'%s' is the name of a node"):format(name) end
	local e, why = core.labels({}, v)
	return e and v, why
end

-- one such table or text, or a list of them
local function fallback(v, name)
	if type(v) ~= "table" or #v == 0 then v = { v } end
	if #v > 63 then return nil, ("'%s' has at most 63 alternatives"):format(name) end
	local out = {}
	for i = 1, #v do
		local e, why = labels(v[i], name)
		if not e then return nil, why end
		out[i] = e
	end
	return out
end

local function strategy(v, name)
	if v == "spread" or v == "hybrid" then return v end
	return nil, ("'%s' is 'hybrid' or 'spread'"):format(name)
end

-- where it may run, as the node is told: alternatives, the first that any node has counts
local function on(o)
	local list = { core.labels(o.labels or {}, o.node) }
	for i, e in ipairs(o.fallback or {}) do list[i + 1] = e end
	return (list[2] or list[1] ~= "") and table.concat(list, ";") or nil
end

local function session(v, name)
	if type(v) == "boolean" or v == "process" or v == "job" then return v end
	return nil, ("'%s' is true, 'process' or 'job'"):format(name)
end

local common = {
	cpus = number(0, 1e5), gpus = number(0, 1e4), memory = size, resources = resources, timeout = time,
	returns = integer(1, 255), name = text, priority = integer(-128, 127), wait = yes,
	group = group, bundle = integer(1, 1024), capture = yes, labels = labels, node = node, fallback = fallback, strategy = strategy,
}
local task = { retries = integer(-1, 250), retry_on = retry_on, max_calls = integer(1, 2^53), block = yes, stream = yes,
	backlog = integer(1, 2^31) }
local actor = {
	restarts = integer(-1, 1e6), retries = integer(-1, 250), detached = yes, reuse = yes, concurrency = integer(1, 1e6),
	groups = groups, max_pending = integer(1, 2^31 - 1),
}
local method = { timeout = time, returns = integer(1, 255), retries = integer(-1, 250), group = text, name = text,
	stream = yes, backlog = integer(1, 2^31) }
for k, v in pairs(common) do
	task[k] = v
	if k ~= "returns" and k ~= "timeout" then actor[k] = v end
end
local bundle = { cpus = common.cpus, gpus = common.gpus, memory = size, resources = resources }
local function anything(v) return v end			-- checked where it is used
local known = { task = task, actor = actor, method = method, cancel = { force = yes, recursive = yes },
    keep = { name = text, ttl = time }, wait = { n = anything, timeout = time }, get = { timeout = time, as = anything, errors = anything }, bundle = bundle,
    group = { name = text, timeout = time, detached = yes },
    init = { seed = integer(0, 2^53),
	address = text, namespace = text, store = size, cpus = integer(0, 1e5), gpus = anything, output = text,
	queued = integer(1, 2^53) },
    kv = { if_rev = integer(0, 2^53), session = session },
    watch = { from = integer(1, 2^53), timeout = time },
    set = { n = anything, gang = yes, strategy = text, name = text, drain = time, detached = yes,
		health = time, patience = time, check = text, surge = integer(0, 4096) } }

-- what users of other systems type, by the kind of options where it differs
local elsewhere = {
	num_cpus = "cpus", num_gpus = "gpus", num_returns = "returns", max_retries = "retries", max_restarts = "restarts",
	max_task_retries = "retries", max_concurrency = "concurrency", concurrency_groups = "groups", concurrency_group = "group",
	placement_group = "group", placement_group_bundle_index = "bundle", placement_group_capture_child_tasks = "capture",
	max_pending_calls = "max_pending", lifetime = "detached", get_if_exists = "reuse",
	wait = { num_returns = "n" }, kv = { revision = "if_rev", rev = "if_rev" },
}
-- options of rota that this release does not have
local later = {}
for w in ([[env isolate]]):gmatch "%S+" do later[w] = true end

-- what was meant by a name that is not known, or, where the list is short, what there is
local function hint(kind, name, from)
	if from == task or from == actor or from == method then
		if from ~= method and method[name] then return "; it goes with the call of a method" end
		if from ~= task and task[name] and not actor[name] then return "; it is for tasks only" end
		if from ~= actor and actor[name] and not task[name] then return "; it is for actors only" end
	end
	local names, there = {}, elsewhere[kind] and elsewhere[kind][name] or elsewhere[name]
	for k in pairs(from) do names[#names + 1] = k end
	table.sort(names)
	local near = from[there] and there or core.near(name, names)
	if near then return ("; did you mean '%s'?"):format(near) end
	return #names <= 12 and (" (it has %s)"):format(table.concat(names, ", ")) or ""
end

-- check("task", given, base, call): a new table with base's options and the given ones; raises at the caller's caller
return function(kind, given, base, call)
	local from, out = known[kind], {}
	call = call or (from == task or from == actor or from == method) and "with" or kind
	if type(given) ~= "table" then blame(call .. ": a table of options is expected") end
	for k, v in pairs(base or {}) do out[k] = v end
	for k, v in pairs(given) do
		if type(k) ~= "string" then blame(("%s: options have names, %s is none"):format(call, tostring(k))) end
		local check = from[k]
		if not check then
			if later[k] and call == "with" then
				blame(("with: option '%s' is not there yet in this release"):format(k))
			end
			blame(("%s: no option '%s'%s"):format(call, k, hint(kind, k, from)))
		end
		local n, why = check(v, k)
		if n == nil then blame(call .. ": " .. why) end
		out[k] = n
	end
	if out.stream and (out.returns or 1) > 1 then blame(call .. ": a stream has no 'returns'") end
	if out.backlog and not out.stream then blame(call .. ": 'backlog' goes with stream=true") end
	if from ~= method and (out.labels or out.node or out.fallback or out.strategy) then
		if out.group then blame(call .. ": in a placement group there are no labels, node, fallback and strategy") end
		out.on = (out.labels or out.node or out.fallback) and on(out)
	end
	return out
end
