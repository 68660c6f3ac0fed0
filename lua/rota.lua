-- rota - tasks, actors and objects.  The manual is rota-lua(7); the fast half is C, rota.core.
local core = require "rota.core"
local blame = require "rota.blame"
local check = require "rota.options"
local map = require "rota.map"
local pool = require "rota.pool"
local detached = require "rota.detached"
local cmd = require "rota.cmd"

local rota = {
	null = core.null, get = core.get, pget = core.pget, put = core.put, now = core.now,
	sleep = core.sleep, find = core.find, stop = core.stop, kill = core.kill, keep = core.keep, lookup = core.lookup, class = core.class,
	array = core.array, buffer = core.buffer, shield = core.shield, cancelled = core.cancelled,
}

-- init{seed=n}: what a task draws depends on n and on the number of the task alone, not on who runs it
local seed
local function seeded(f)
	local n = seed
	return function(...)
		math.randomseed(n, tonumber(os.getenv "ROTA_TASK":sub(17, 26), 16))
		return f(...)
	end
end

local function new_task(f)
	if not seed or type(f) ~= "function" then return core.task(f) end
	local at = debug.getinfo(f, "S")
	return core.task(seeded(f), at.what ~= "C" and { name = at.short_src .. ":" .. at.linedefined } or nil)
end

-- init{address=, namespace=, …}: joins now; true, or false if that has been done
function rota.init(options)
	local known = options and check("init", options)
	if known then seed, known.seed = known.seed or seed, nil end
	return core.init(known)
end

--- tasks

function rota.task(f, more)
	if type(more) == "table" then blame "rota.task takes one function; options go with rota.task(f):with{…}" end
	if type(f) ~= "function" then blame("rota.task: a function is expected, got " .. type(f)) end
	return new_task(f)
end

local function listed(x, call)			-- a table, a buffer, what rota.wait() left
	if type(x) ~= "table" and not (getmetatable(x) or {}).__len then
		blame(("%s: a list is expected, got %s"):format(call, type(x)))
	end
end

local task = {}
function task.with(t, options)
	local f, had = core.task_parts(t)
	return core.task(f, check("task", options, had))
end
-- every element of list through the task: a list of references in the same order
function task.map(t, list, options)
	listed(list, "task:map(list)")
	if options == nil then		-- the straight path
		local refs = {}
		for i = 1, #list do refs[i] = t(list[i]) end
		return refs
	end
	local chunk, j = map.options(options, true)
	return map.refs(t, list, chunk, j)
end
core.task_methods(task)

-- cfunc(path, symbol): a function of a shared object as a task; what it looks like is in rota(3)
function rota.cfunc(path, symbol, options)
	return core.task(core.cfunc(path, symbol), options and check("task", options))
end

-- map(f, list): f(x) for every element, in parallel, as one list; a table is marked as a map with map{...}
function rota.map(f, list, options)
	if type(f) == "table" and list == nil then return core.map(f) end
	listed(list, "rota.map(f, list)")
	local t = type(f) == "function" and new_task(f) or cmd.task(f) or f
	if type(t) ~= "userdata" then blame("rota.map: a function, a task or a program is expected, got " .. type(t)) end
	local _, had = core.task_parts(t)
	if (had or {}).stream then blame("rota.map: a task that streams has no one result; call it for each") end
	local chunk, j, more = map.options(options)
	if (more or {}).stream then blame("rota.map: a map does not stream; call the task for each") end
	if more then t = task.with(t, more) end
	return map.values(map.refs(t, list, chunk, j), #list, chunk)
end

--- actors

local function methods_of(class)
	local names = {}
	for k, v in pairs(class) do
		if type(k) == "string" and type(v) == "function" and k ~= "new" then names[#names + 1] = k end
	end
	table.sort(names)
	return names
end

local Declared = {}			-- metatable of what rota.method gives
local Class = { __name = "rota.actor class" }
Class.__index = Class
core.class("rota.actor class", Class, "rota")		-- a class of actors travels, as tasks and handles do

function Class.with(c, options)
	return setmetatable({ class = c.class, name = c.name, methods = c.methods, declared = c.declared,
	    options = check("actor", options, c.options) }, Class)
end

local function expand(...)			-- references at top level become their values, as for tasks
	local n, args = select("#", ...), { ... }
	for i = 1, n do
		if core.is_ref(args[i]) then args[i] = (core.get(args[i])) end
	end
	return table.unpack(args, 1, n)
end

-- what the actor's worker must know beside its class
local function inside(c)
	local limits
	for i, g in ipairs(c.options.groups or {}) do limits = limits or {} limits[i] = g[2] end
	return { concurrency = c.options.concurrency or 1, limits = limits }
end

-- what its callers must know beside the names of its methods; nil: nothing
local function outside(c)
	local o, names, groups = c.options, {}, {}
	for i, g in ipairs(o.groups or {}) do names[i], groups[g[1]] = g[1], true end
	for name, d in pairs(c.declared or {}) do
		if d.group and not groups[d.group] then
			blame(("method '%s' is in concurrency group '%s', which the actor does not have; give it one with groups={%s=4}")
			    :format(name, d.group, d.group))
		end
	end
	local info = { groups = names[1] and names, methods = c.declared, max_pending = o.max_pending, retries = o.retries }
	return next(info) and info or nil
end

function Class.__call(c, ...)
	local class = c.options.detached and detached.packed(c.class) or c.class
	return core.actor_new(c.name, c.options, inside(c), class, c.methods, outside(c), expand(...))
end

-- class:pool(n, ...): n actors made with these arguments, as one
function Class.pool(c, n, ...) return pool.made(c, n, ...) end

-- set(class, {n=, gang=, …}, …): a set of such actors; set(name): the one of that name, or nil and why
local set = require "rota.set"
function rota.set(c, options, ...)
	if type(c) == "string" then return set.find(c) end
	local name = options and options.name
	local program, rest, spec, own = cmd.members(c, options or {})
	if program then c, options = program, rest end
	if getmetatable(c) ~= Class then blame("rota.set takes a class of actors, or a program, and a table of options") end
	if program and select("#", ...) > 0 then blame("rota.set: a program gets no arguments; put them in the words of rota.cmd") end
	local o = set.options(c, options or {})
	local class = o.detached and detached.packed(c.class) or c.class
	local function made(...)
		local number, methods = core.actor_new(c.name, o, inside(c), class, c.methods, outside(c), ...)
		return set.found(number, c.name, methods, name)
	end
	if program then return made(spec, own) end
	return made(expand(...))
end

function Class.__tostring(c) return "actor class " .. c.name end

-- actor{ new = function(self, …) end, method = function(self, …) end, field = default } -> class
function rota.actor(class, more)
	if type(class) ~= "table" then blame("rota.actor takes a table of functions") end
	if type(more) == "table" then blame "rota.actor takes one table; options go with rota.actor(t):with{…}" end
	if getmetatable(class) ~= nil then
		blame("rota.actor: the table has a metatable; give it plain functions")
	end
	local info = debug.getinfo(2, "Sl")
	local name = info and ("%s:%d"):format(info.short_src:match "[^/]*$", info.currentline) or "actor"
	local declared
	for k, v in pairs(class) do
		if getmetatable(v) == Declared then
			declared = declared or {}
			declared[k] = v.options
		end
	end
	if declared then
		local plain = {}
		for k, v in pairs(class) do plain[k] = declared[k] and v.f or v end
		class = plain
	end
	return setmetatable({ class = class, name = name, methods = methods_of(class), declared = declared, options = {} }, Class)
end

-- method(f, {group=, returns=, retries=, timeout=}): a method of a class, with options for all calls of it
function rota.method(f, options)
	if type(f) ~= "function" then blame("rota.method takes a function and a table of options") end
	return setmetatable({ f = f, options = check("method", options) }, Declared)
end

core.method_methods {
	with = function(m, options) return core.method_bind(m, check("method", options)) end,
}

rota.pool = pool.of

--- channels

rota.channel = require "rota.channel"
rota.dag = require "rota.dag"

--- programs

rota.cmd = cmd.cmd

--- placement groups

local group = require "rota.group"
rota.group = group.make

--- waiting

local is_set, is_actor = core.is_set, core.is_actor

local stands_for, standing = setmetatable({}, { __mode = "k" }), false

local function has_ready(x)			-- a reference stands for it: a placement group, a set
	local mt = getmetatable(x)
	return mt == group.Group or mt == set.Set
end

local function reference(x)
	if not has_ready(x) then return x end
	local ref = x:ready()
	stands_for[ref], standing = x, true
	return ref
end
local function member(ref) return standing and stands_for[ref] or ref end	-- what ref was given to us as

local function members(xs, call)
	if is_set(xs) then return xs end
	if type(xs) ~= "table" then blame(("rota.%s: a list of refs is expected, got %s"):format(call, type(xs))) end
	local set = core.waitset()
	local i = set:fill(xs, 1)
	while i do				-- at one that is no reference
		set:add(reference(xs[i]), i)
		i = set:fill(xs, i + 1)
	end
	return set
end

-- wait(xs, {n=1, timeout=}) -> ready, rest: references, handles, streams, groups, sets, futures of compiled graphs;
-- rest reads like a list and is as cheap to wait on for a million as for one
function rota.wait(xs, options)
	if options == nil and is_set(xs) then
		local ref = xs:next()
		return { member(ref) }, xs
	end
	if (type(xs) == "userdata" and not is_set(xs)) or has_ready(xs) then xs = { xs } end	-- a reference, handle, stream, future
	local set = members(xs, "wait")
	local n, timeout = 1, nil
	if type(options) == "table" then
		check("wait", options)
		n, timeout = options.n or 1, options.timeout
	elseif options ~= nil then
		timeout = options
	end
	if n == "all" then n = #set end
	local ready = {}
	local till = timeout and core.now() + assert(core.duration(timeout), "timeout is a time, as 5 or '10ms'")
	while #ready < n do
		local ref = set:next(till and math.max(0, till - core.now()))
		if not ref then break end
		ready[#ready + 1] = member(ref)
	end
	return ready, set
end

-- for i, value in rota.each(refs): in the order in which they become ready; i is the place in the list
function rota.each(refs)
	if core.is_stream(refs) then return refs:each() end
	local set = members(refs, "each")
	return function()
		local ref, i = set:next()
		if not ref then return end
		if is_actor(ref) then return i, ref end
		return i, core.get(ref)
	end
end

-- for ref in rota.ready(refs): the references themselves, as they become ready
function rota.ready(refs)
	local set = members(refs, "ready")
	return function() return (set:next()) end
end

local calls, last, watched = {}, 0, nil		-- of on(): tag -> function

local function run(timeout)			-- those that are due, or the first one within timeout: how many
	local n, was = 0, core.in_callback(true)
	local restore <close> = setmetatable({}, { __close = function() core.in_callback(was) end })
	while true do
		local ref, tag = watched:next(n == 0 and timeout or 0)
		if not ref then return n end
		local f = calls[tag]
		calls[tag], n = nil, n + 1
		f(member(ref))
	end
end

-- on(x, f): f(x) once x, of whatever wait() takes, is ready, while the program waits in rota or in poll()
function rota.on(x, f)
	if type(f) ~= "function" then blame("rota.on(ref, f): a function is expected") end
	if not watched then
		local set = core.waitset()
		core.watch(set, run)
		watched = set
	end
	watched:add(reference(x), last + 1)
	last = last + 1
	calls[last] = f
end

rota.fd = core.fd

-- poll([timeout]): runs callbacks that are due, waits for one if it may; how many, or false if none is left to wait for
function rota.poll(timeout)
	core.poll()
	if not watched or #watched == 0 then return false end
	return run(timeout)
end

--- cancelling

-- cancel(ref or list [, {force=, recursive=}]) -> did it have an effect; of a list: on how many
function rota.cancel(x, options)
	if core.is_ref(x) or core.is_stream(x) then return core.cancel(x, options) end
	listed(x, "rota.cancel(refs)")
	local n = 0
	if is_set(x) then x = x:list() end
	for i = 1, #x do n = n + (core.cancel(x[i], options) and 1 or 0) end
	return n
end

-- scope(f) -> what f(s) returns: tasks submitted meanwhile are cancelled if it raises, and by s:cancel()
function rota.scope(f)
	if type(f) ~= "function" then blame("rota.scope takes a function, got " .. type(f)) end
	local s <close> = core.scope()
	return f(s)
end

function rota.free(...)
	for i = 1, select("#", ...) do
		local x = select(i, ...)
		if type(x) == "table" then rota.free(table.unpack(x))
		elseif core.is_ref(x) or core.is_stream(x) then x:free()
		else blame("rota.free: a reference is expected, got " .. type(x)) end
	end
end

function rota.unpack(list)
	if type(list) ~= "table" then blame("rota.unpack: a table is expected, got " .. type(list)) end
	return table.unpack(list, 1, list.n or #list)
end

--- the key-value store

rota.kv = require "rota.kv"

--- who and where

function rota.context()
	local c = core.context()
	c.group = group.here()
	return c
end

rota.once = require "rota.once"

function rota.nodes()
	local list = core.list "nodes"
	for i = 1, #list do list[i].uptime = list[i].uptime / 1e9 end		-- seconds, as all times in Lua
	return list
end

function rota.resources()
	local sum = {}
	local function add(k, v) sum[k] = (sum[k] or 0) + v end
	local alive = {}
	for _, n in ipairs(core.list "nodes") do
		if n.state == "alive" then alive[#alive + 1] = n end
	end
	for _, n in ipairs(alive) do
		for _, k in ipairs { "cpus", "gpus", "memory" } do
			add(k, n[k])
			add(k .. "_free", n[k .. "_free"])
		end
		for k, v in pairs(n.resources) do
			add(k, v)
			add(k .. "_free", n.resources_free[k] or 0)
		end
	end
	return sum
end

local names = {}
for k in pairs(rota) do names[#names + 1] = k end
table.sort(names)

-- a name that is misspelt is told where it is read, with the one that was meant
return setmetatable(rota, { __index = function(_, k)
	local near = type(k) == "string" and core.near(k, names)
	blame(("rota has no '%s'%s"):format(tostring(k), near and ("; did you mean '%s'?"):format(near) or ""))
end })
