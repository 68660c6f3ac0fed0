-- set - rota.set, like actors made, watched, replaced, resized and drained by the node.  The manual is rota-lua(7).
local core = require "rota.core"
local blame = require "rota.blame"
local check = require "rota.options"

local Set = { __name = "rota.set" }
core.class("rota.set", Set, "rota")		-- a set travels as its number, and what its callers must know
local states = { "pending", "alive", "ending", "dead" }
local seen = setmetatable({}, { __mode = "k" })	-- set -> what this process knows of it

local function sizes(n, call)
	local min, max
	if math.type(n) == "integer" then
		min, max = n, n
	elseif type(n) == "string" then
		min, max = n:match "^(%d+):(%d+)$"
		min = math.tointeger(tonumber(min or n))
		max = math.tointeger(tonumber(max)) or min
	end
	if not min or min < 0 or max < min then
		blame(("%s: 'n' is a number of members, or the least and the most of them as '2:8'"):format(call))
	end
	return min, max
end

local callable

-- the newest state that has come, as a table, and as of when; handles of members that stay are kept
local function look(s)
	local k = seen[s]
	if not k then
		k = { revision = 0, state = "pending", handles = {}, members = {}, up = {}, calls = {} }
		k.some = core.members(callable, s)
		seen[s] = k
	end
	local rev, state, min, max, text, err, packed, generation, seq = core.set_look(s.number, k.revision)
	if not rev then return k, k.revision > 0 and state or -1 end
	local had, list, up = k.handles, {}, {}
	k.revision, k.state, k.min, k.max, k.text, k.error, k.generation = rev, states[state], min, max, text, err, generation
	k.handles = {}
	for at = 1, #packed, 16 do
		local actor, rank, is_up = string.unpack("<I8I4I4", packed, at)
		local h = had[actor] or core.actor_of(actor, s.class, s.methods)
		k.handles[actor] = h
		list[#list + 1] = { actor = h, rank = rank, up = is_up == 1 }
	end
	table.sort(list, function(a, b) return a.rank < b.rank end)
	for _, m in ipairs(list) do if m.up then up[#up + 1] = m.actor end end
	k.members, k.up = list, up
	return k, seq
end

local function failed(k)
	return k.error or "the set is dead: " .. k.text
end

-- the next change of it; false if time is up
local function changed(s, k, till)
	local ref <close> = core.set_next(s.number, k.revision)
	return (core.pget(ref, till and math.max(0, till - core.now()))) ~= nil
end

-- whom calls may go to: members that are up, or else those that will be; waits until there is one.  Of them each call takes
-- the one with fewest calls before it: lib/script/l_members.c, which comes here when a state has come since
function callable(s)
	while true do
		local k, seq = look(s)
		local list = k.up
		if #list == 0 and k.state ~= "dead" then
			list = {}
			for i, m in ipairs(k.members) do list[i] = m.actor end
		end
		if #list > 0 then return core.members_are(k.some, list, seq) end
		if k.state == "dead" then blame(failed(k)) end
		changed(s, k)
	end
end

local function pick(s)
	local some = (seen[s] or look(s)).some
	local h = core.members_least(some)
	while not h do
		callable(s)
		h = core.members_least(some)
	end
	return h
end

local own = {}

local modes = setmetatable({}, { __mode = "k", __index = function(t, class)	-- of members that are programs: so rota.cmd names their class
	t[class] = class:match "^program .*, (%l+)$" or false
	return t[class]
end })

-- a call of a member; of a program its method "call" does them all
local function send(s, h, method, ...)
	if modes[s.class] then return h:call(method, ...) end
	return h[method](h, ...)
end

local Program = {}			-- s.name of a program: its method "call" does them all

-- s.name, called with the set first, as s:name(…)
local function method(s, name)
	local k = seen[s] or look(s)
	local f, mode = k.calls[name], modes[s.class]
	if f then return f end
	if mode == "lines" and name ~= "call" then
		blame(("a program of mode 'lines' has no method '%s', only s:call(line)"):format(name))
	end
	f = mode and name ~= "call" and setmetatable({ set = s, name = name }, Program) or core.members_method(k.some, name)
	k.calls[name] = f
	return f
end

function own.call(s, name, ...)
	if modes[s.class] then return method(s, "call")(s, name, ...) end
	return method(s, name)(s, ...)
end

-- on each member that is up, in order of rank: a list of references
function own.all(s, ...)
	local refs = {}
	for i, h in ipairs(look(s).up) do refs[i] = send(s, h, ...) end
	return refs
end

-- method(x) for each element of list, on all members, as one list; programs that speak lines have no methods: map(list)
function own.map(s, method, list)
	local refs = {}
	if modes[s.class] == "lines" then
		for i, line in ipairs(method) do refs[i] = own.call(s, line) end
	else
		for i = 1, #list do refs[i] = own.call(s, method, list[i]) end
	end
	return core.get(refs)
end

-- true once it is alive; nil and the error if it is dead or time is up
function own.wait(s, timeout)
	local till = timeout and core.now() + assert(core.duration(timeout), "timeout is a time, as 5 or '10ms'")
	while true do
		local k = look(s)
		if k.state == "alive" then return true end
		if k.state == "dead" then return nil, failed(k) end
		if not changed(s, k, till) then return nil, "timeout" end
	end
end

-- a reference that is ready once n members are up, without n once it is alive; it fails if the set is dead
function own.ready(s, n)
	if n ~= nil and (math.type(n) ~= "integer" or n < 1) then blame("ready: a number of members is expected") end
	return core.set_ready(s.number, n or 0)
end

-- true once it is dead, nil if time is up
function own.join(s, timeout)
	local till = timeout and core.now() + assert(core.duration(timeout), "timeout is a time, as 5 or '10ms'")
	while look(s).state ~= "dead" do
		if not changed(s, seen[s], till) then return nil, "timeout" end
	end
	return true
end

-- { state, min, max, up, generation, why, members = { { rank, up, actor }, … } }
function own.info(s)
	local k = look(s)
	if k.revision == 0 then				-- nothing has come yet
		changed(s, k)
		k = look(s)
	end
	local why = k.text ~= "" and k.text or nil
	return { state = k.state, min = k.min, max = k.max, up = #k.up, generation = k.generation, members = k.members, why = why }
end

-- for info in s:watch(): now, and whenever it changes, until it is dead
function own.watch(s)
	local last, over
	return function()
		if over then return nil end
		while look(s).revision == (last or 0) do changed(s, seen[s]) end
		last = seen[s].revision
		local info = own.info(s)
		over = info.state == "dead"
		return info
	end
end

function own.resize(s, n)
	core.set_resize(s.number, sizes(n, "resize"))
end

-- all members are made anew, one after the other; of a gang, all at once
function own.renew(s)
	core.set_renew(s.number)
end

function own.stop(s) core.set_end(s.number, false) end
function own.kill(s) core.set_end(s.number, true) end
Set.__close = own.stop

-- s.name:with(options)(...): a call with options, of the member that is chosen then
core.members_methods {
	with = function(f, options)
		local o, s, name = check("method", options), core.members_method_of(f)
		return function(...) return core.method_bind(pick(s)[name], o)(...) end
	end,
}

Program.__index = Program

function Program.__call(m, s, ...)
	if s ~= m.set then blame(("call it with a colon: s:%s(…)"):format(m.name)) end
	return method(s, "call")(s, m.name, ...)
end

function Program.with(m, options)
	local o = check("method", options)
	return function(...) return core.method_bind(pick(m.set).call, o)(m.name, ...) end
end

function Set.__index(s, name)
	local f = own[name]
	if f and not (name == "call" and modes[s.class]) then return f end
	local k = seen[s]
	return k and k.calls[name] or type(name) == "string" and method(s, name) or nil
end

function Set.__len(s) return #look(s).up end
function Set.__eq(a, b) return a.number == b.number end
function Set.__tostring(s) return ("set %s of %s"):format(rawget(s, "name") or s.number, s.class) end

local strategies = { pack = 0, spread = 1, strict_pack = 2, strict_spread = 3 }

-- what actor_new takes for a set: the class's options with those of the set
local function options(class, given)
	local o, out = check("set", given, nil, "rota.set"), {}
	for k, v in pairs(class.options) do out[k] = v end
	local min, max = sizes(o.n or 1, "rota.set")
	local strategy = strategies[o.strategy or "pack"]
	if not strategy then blame(("rota.set: no strategy '%s'; there are pack, spread, strict_pack and strict_spread"):format(o.strategy)) end
	if o.gang and min ~= max then blame("rota.set: a gang has one number of members") end
	if out.name or out.reuse then blame("rota.set: the members have no name; give the set one: rota.set(class, {name=…})") end
	out.name, out.detached = o.name, o.detached
	out.restarts = o.gang and 0 or out.restarts or -1
	local health = o.health or (o.check and 10) or 0
	if o.check and type(class.class) == "table" and type(class.class[o.check]) ~= "function" then
		error(("rota.set: the class has no method '%s' to check its members by"):format(o.check), 3)
	end
	out.set = { min = min, max = max, gang = o.gang, strategy = strategy, drain = o.drain or 30, surge = o.surge or 1,
		health = health, check = o.check, patience = o.patience or 30 }
	return out
end

local function found(number, class, methods, name)
	return setmetatable({ number = number, class = class, methods = methods, name = name }, Set)
end

local function find(name)
	local number, class, methods = core.set_find(name)
	if not number then return nil, class end
	return found(number, class, methods, name)
end

return { options = options, found = found, find = find, Set = Set }
