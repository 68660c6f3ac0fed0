-- spec: what a cluster is to be, as cluster.lua says it (rota-cluster(5)), checked, with every host written out:
--
--	{ name=, provider="local"|"ssh", head=NAME, port=, setup={}, hosts={ { name=, user=, ... }, ... the head first },
--	  types={ { name=, min=, max=, priority=, provider=, host={ cpus=, ... }, hosts={ NAME, ... }, options={...} }, ... }, scale={ idle=, ... } }
--
-- read(path), of(table) -> spec, or nil and one line that says what is wrong, and where.  write(spec) -> the text of such a file.
local range = require "rota.up.range"
local M = {}

local function text(v) return type(v) == "string" and v ~= "" and not v:find "%c", "a string" end
local function word(v)
	return type(v) == "string" and #v <= 64 and v:match "^[%w_][%w_.-]*$" ~= nil, "a name of letters, digits and . _ -"
end
local function port(v) return math.type(v) == "integer" and v >= 0 and v <= 65535, "a number, 0 to 65535" end
local function count(v) return type(v) == "number" and v >= 0 and v <= 1e6, "a number" end
local function size(v)
	return math.type(v) == "integer" and v > 0 or type(v) == "string" and v:match "^%d+[KMGT]?B?$" ~= nil, "a size, as '4G'"
end
local function map(key, value, what)
	return function(v)
		if type(v) ~= "table" then return false, what end
		for k, x in pairs(v) do
			if type(k) ~= "string" or not k:match(key) or not value(x) then return false, what end
		end
		return true
	end
end
local function list(v)
	if type(v) ~= "table" then return false, "a list of strings" end
	local n = 0
	for k, x in pairs(v) do
		n = n + 1
		if math.type(k) ~= "integer" or not text(x) then return false, "a list of strings" end
	end
	return n == #v, "a list of strings"
end
local function scalar(v) return type(v) == "string" and not v:find "[%z\n]" or type(v) == "number" end

-- of a host, and of the cluster for all hosts
local per_host = {
	user = word, port = port, jump = text, identity = text, address = text,
	cpus = count, gpus = count, memory = size, store = size,
	resources = map("^[%w_.-]+$", count, "a table of names and numbers, as {ssd=1}"),
	limits = map("^%l+$", function(x) return x == "unlimited" or math.type(x) == "integer" and x >= 0 end, "a table of limits, as {nofile=65536}"),
	labels = map("^[%w._/-]+$", function(x) return type(x) == "string" and x:match "^[%w._/:@+-]+$" ~= nil end, "a table of names and strings, as {zone='eu'}"),
	env = map("^[%a_][%w_]*$", scalar, "a table of names and strings, as {OMP_NUM_THREADS='1'}"),
	setup = list,
}
local of_type = {		-- nodes that come and go; besides what hosts have
	min = count, max = count, priority = function(v) return math.type(v) == "integer", "a whole number" end,
	provider = function(v) return v == "local" or v == "ssh" or v == "slurm", "'local', 'ssh' or 'slurm'" end,
	hosts = function(v) return type(v) == "string" or list(v), "hosts, as 'pool[1-4]'" end,
	options = list,
}
local function duration(v) return type(v) == "number" and v > 0 and v <= 1e7, "seconds" end
local of_scale = { idle = duration, start = duration, drain = duration, list = duration, speed = count, max = count }
local of_cluster = {
	types = function(v) return type(v) == "table", "a table of names and tables, as { small = { cpus = 4, max = 8 } }" end,
	scale = function(v) return type(v) == "table", "a table, as { idle = 300 }" end,
	name = word, provider = function(v) return v == "local" or v == "ssh" or v == "srun", "'local' or 'ssh'" end,
	head = text, hosts = function(v) return type(v) == "table" or type(v) == "string", "a list of hosts" end,
	nodes = function(v) return math.type(v) == "integer" and v >= 1 and v <= 100, "a number of nodes, 1 to 100" end,
	listen = port, links = port,
}
local limits = { nofile = "n", core = "c", stack = "s", memlock = "l", cpu = "t", as = "v", fsize = "f" }

local function known(key)
	local best
	for _, t in ipairs { per_host, of_cluster } do
		for k in pairs(t) do
			if k:sub(1, 2) == tostring(key):sub(1, 2) and (not best or k < best) then best = k end
		end
	end
	return best and ("; did you mean '%s'?"):format(best) or ""
end

-- where: "cluster.lua:12: " of the first line that sets key, "" for a table that came from no file
local function at(source, key)
	if not source then return "" end
	local n = 0
	for line in (source.text .. "\n"):gmatch "([^\n]*)\n" do
		n = n + 1
		local from, to = line:gsub("%-%-.*", ""):find(tostring(key), 1, true)
		if from and not line:sub(from - 1, from - 1):find "[%w_]" and not line:sub(to + 1, to + 1):find "[%w_]" then
			return ("%s:%d: "):format(source.name, n)
		end
	end
	return source.name .. ": "
end

local function check(t, rules, more, source, of)
	for k, v in pairs(t) do
		local rule = rules[k] or more and more[k]
		if rule then
			local ok, what = rule(v)
			if not ok then return nil, ("%s'%s'%s is %s"):format(at(source, k), tostring(k), of, what) end
			if k == "limits" then
				for name in pairs(v) do
					if not limits[name] then return nil, ("%sno limit '%s': nofile, core, stack, memlock, cpu, as, fsize"):format(at(source, name), name) end
				end
			end
		elseif not (math.type(k) == "integer" and of ~= "") then
			return nil, ("%sno word '%s'%s%s"):format(at(source, k), tostring(k), of, known(k))
		end
	end
	return true
end

-- own fields of a host over those of the cluster; tables are joined
local function merged(all, own)
	local h = {}
	for k in pairs(per_host) do
		local a, b = all[k], own[k]
		if type(a) == "table" and type(b) == "table" and k ~= "setup" then
			local both = {}
			for n, v in pairs(a) do both[n] = v end
			for n, v in pairs(b) do both[n] = v end
			h[k] = both
		elseif b ~= nil then h[k] = b
		else h[k] = a end
	end
	return h
end

local function hosts(t, source)
	local out, seen = {}, {}
	local entries = type(t.hosts) == "string" and { t.hosts } or t.hosts or {}
	for i, entry in ipairs(entries) do
		local own = type(entry) == "table" and entry or { entry }
		if type(own[1]) ~= "string" or own[2] ~= nil then
			return nil, ("%shosts[%d] is a name or a table that begins with one, as { 'big[1-2]', cpus=64 }"):format(at(source, "hosts"), i)
		end
		local ok, why = check(own, per_host, nil, source, (" of host '%s'"):format(own[1]))
		if not ok then return nil, why end
		local names
		names, why = range(own[1])
		if not names then return nil, at(source, own[1]) .. why end
		for _, name in ipairs(names) do
			if seen[name] then return nil, ("%shost '%s' is there twice"):format(at(source, name), name) end
			seen[name] = true
			local h = merged(t, own)
			h.name = name
			out[#out + 1] = h
		end
	end
	return out, seen
end

-- the types in the order of their names
local function types(t, source, provider)
	local out = {}
	for name, own in pairs(t.types or {}) do
		if not word(name) then return nil, ("%s'%s' is no name of a type"):format(at(source, "types"), tostring(name)) end
		if type(own) ~= "table" then return nil, ("%sthe type '%s' is a table, as { cpus = 4, max = 8 }"):format(at(source, name), name) end
		local where = (" of type '%s'"):format(name)
		local ok, why = check(own, of_type, per_host, source, where)
		if not ok then return nil, why end
		local v = { name = name, min = own.min or 0, max = own.max or 1, priority = own.priority or 0, provider = own.provider or provider, options = own.options }
		local of_host = {}
		for k, x in pairs(own) do if not of_type[k] then of_host[k] = x end end
		v.host = merged(t, of_host)
		if not v.host.cpus then return nil, ("%s'cpus'%s must be said"):format(at(source, name), where) end
		if v.min > v.max then return nil, ("%s'min'%s is more than its 'max'"):format(at(source, name), where) end
		if v.provider == "ssh" then
			if not own.hosts then return nil, ("%s'hosts'%s must be said: those that can be used"):format(at(source, name), where) end
			v.hosts, why = range(type(own.hosts) == "table" and table.concat(own.hosts, ",") or own.hosts)
			if not v.hosts then return nil, at(source, name) .. why end
			v.max = math.min(v.max, #v.hosts)
		elseif own.hosts then return nil, ("%s'hosts'%s is for the provider 'ssh'"):format(at(source, name), where) end
		v.given = {}
		for k, x in pairs(v.host) do v.given[k] = x end
		for k in pairs(of_type) do v.given[k] = own[k] end
		out[#out + 1] = v
	end
	table.sort(out, function(a, b) return a.name < b.name end)
	if #out > 32 then return nil, at(source, "types") .. "more than 32 types" end
	if #out == 0 then return end
	local ok, why = check(t.scale or {}, of_scale, nil, source, " of 'scale'")
	if not ok then return nil, why end
	return out
end

function M.of(t, source)
	local ok, why = check(t, of_cluster, per_host, source, "")
	if not ok then return nil, why end
	local where = source and source.name .. ": " or ""
	local provider = t.provider or (t.nodes and "local" or "ssh")
	if provider == "local" then
		if t.hosts or t.head then return nil, at(source, t.hosts and "hosts" or "head") .. "the provider 'local' takes nodes=N, no hosts" end
		if not t.nodes then return nil, where .. "the provider 'local' needs nodes=N" end
		t = setmetatable({ hosts = { ("n[1-%d]"):format(t.nodes) } }, { __index = t })
	elseif t.nodes then return nil, at(source, "nodes") .. "'nodes' is for the provider 'local'" end
	local list, seen = hosts(t, source)
	if not list then return nil, seen end
	if t.head and not seen[t.head] then
		local h = merged(t, {})
		h.name = t.head
		if not range(t.head) or #range(t.head) ~= 1 then return nil, at(source, "head") .. ("the head is one host, not '%s'"):format(t.head) end
		table.insert(list, 1, h)
	end
	if #list == 0 then return nil, where .. "no hosts: hosts = { 'node[1-4]' }" end
	for i, h in ipairs(list) do
		if h.name == t.head then table.insert(list, 1, table.remove(list, i)) break end
	end
	local name = t.name or (provider == "local" and "local" .. #list or list[1].name:match "[^@]*$")
	if not word(name) then return nil, ("%s'%s' is no name for a cluster: give it one with name= or --name"):format(where, name) end
	local ts, wrong = types(t, source, provider)
	if wrong then return nil, wrong end
	local given = ts and {}
	for _, v in ipairs(ts or {}) do given[v.name] = v.given end
	return { name = name, provider = provider, head = list[1].name, listen = t.listen, links = t.links, hosts = list, types = ts,
		scale = ts and (t.scale or {}), given = given }
end

function M.read(path)
	local f, why = io.open(path, "rb")
	if not f then return nil, "cannot open " .. why:gsub("^(.-): ", "'%1': ") end
	local source = { name = path, text = f:read "a" or "" }
	f:close()
	local chunk, wrong = load(source.text, "@" .. path, "t", {})
	if not chunk then return nil, wrong end
	local steps = 0
	debug.sethook(function() steps = steps + 1 if steps > 1000 then error(path .. ": it does not come to an end", 0) end end, "", 10000)
	local ok, t = pcall(chunk)
	debug.sethook()
	if not ok then return nil, tostring(t) end
	if type(t) ~= "table" then return nil, ("%s: it returns no table; it begins with: return { hosts = { 'node[1-4]' } }"):format(path) end
	return M.of(t, source)
end

local function value(v, indent)
	if type(v) == "string" then return ("%q"):format(v) end
	if type(v) ~= "table" then return tostring(v) end
	local out, keys = {}, {}
	for k in pairs(v) do if math.type(k) ~= "integer" then keys[#keys + 1] = k end end
	table.sort(keys)
	for _, x in ipairs(v) do out[#out + 1] = value(x, indent) end
	for _, k in ipairs(keys) do
		out[#out + 1] = ("%s = %s"):format(k:match "^[%a_][%w_]*$" and k or ("[%q]"):format(k), value(v[k], indent))
	end
	return "{ " .. table.concat(out, ", ") .. " }"
end

function M.write(spec)
	local out = { "-- cluster.lua: see rota-cluster(5); rota up cluster.lua starts it", "return {",
		("\tname = %q,"):format(spec.name), ("\tprovider = %q,"):format(spec.provider) }
	for _, k in ipairs { "listen", "links" } do
		if spec[k] then out[#out + 1] = ("\t%s = %d,"):format(k, spec[k]) end
	end
	if spec.provider == "local" then out[#out + 1] = ("\tnodes = %d,"):format(#spec.hosts) end
	local common = spec.hosts[1]
	for _, k in ipairs { "user", "port", "jump", "identity", "cpus", "gpus", "memory", "store", "resources", "labels", "limits", "env", "setup" } do
		local same = common[k] ~= nil
		for _, h in ipairs(spec.hosts) do same = same and value(h[k]) == value(common[k]) end
		if same then out[#out + 1] = ("\t%s = %s,"):format(k, value(common[k])) end
	end
	if spec.provider ~= "local" then
		out[#out + 1] = ("\thead = %q,"):format(spec.head)
		out[#out + 1] = "\thosts = {"
		for _, h in ipairs(spec.hosts) do
			local own = {}
			for k, v in pairs(h) do
				local all = true
				for _, g in ipairs(spec.hosts) do all = all and value(g[k]) == value(v) end
				if k ~= "name" and not (all and k ~= "address") then own[k] = v end
			end
			if next(own) then own[1] = h.name end
			out[#out + 1] = ("\t\t%s,"):format(next(own) and value(own) or ("%q"):format(h.name))
		end
		out[#out + 1] = "\t},"
	end
	if spec.types then
		out[#out + 1] = ("\ttypes = %s,"):format(value(spec.given))
		if next(spec.scale) then out[#out + 1] = ("\tscale = %s,"):format(value(spec.scale)) end
	end
	out[#out + 1] = "}"
	return table.concat(out, "\n") .. "\n"
end

function M.bytes(v)			-- of a size as it is written here
	if type(v) ~= "string" then return v end
	local n, unit = v:match "^(%d+)([KMGT]?)"
	return tonumber(n) * ({ [""] = 1, K = 1 << 10, M = 1 << 20, G = 1 << 30, T = 1 << 40 })[unit]
end

-- what rlet is told of the host: a list of words
function M.rlet(h)
	local out = {}
	for _, o in ipairs { { "cpus", "-c" }, { "gpus", "-g" }, { "memory", "-m" }, { "store", "--store" } } do
		if h[o[1]] then out[#out + 1] = o[2] out[#out + 1] = tostring(h[o[1]]) end
	end
	for _, o in ipairs { { "resources", "-R" }, { "labels", "--label" } } do
		local names = {}
		for k in pairs(h[o[1]] or {}) do names[#names + 1] = k end
		table.sort(names)
		for _, k in ipairs(names) do
			out[#out + 1] = o[2]
			out[#out + 1] = ("%s=%s"):format(k, h[o[1]][k])
		end
	end
	return out
end

M.limits = limits
return M
