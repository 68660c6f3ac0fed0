-- pool - several actors as one: each call goes to the member of which fewest of this process's calls are under way
local core = require "rota.core"
local blame = require "rota.blame"
local check = require "rota.options"
local M = {}

local Pool = { __name = "rota.pool" }
function Pool.__index(_, name)
	if Pool[name] ~= nil or type(name) ~= "string" then return Pool[name] end
	local near = core.near(name, { "call", "submit", "all", "with", "pending", "next", "any", "map", "each", "members", "replaced", "stop" })
	blame(("a pool has no '%s'; "):format(name) .. (near and ("did you mean '%s'?"):format(near) or
		("a method of its members is called as p:call(\"%s\", …)"):format(name)))
end

-- the dead ones are made anew, if the pool made its members, else left out
local function renew(p)
	local had, member, why = p.member, {}, nil
	for i, h in ipairs(had) do
		local _, state, text = core.actor_load(h, i == 1)
		if state == "dead" then
			why = text
			h = p.make and p.make()
			p.made = p.made + (h and 1 or 0)
		end
		if h then member[#member + 1] = h end
	end
	p.member = member
	core.members_are(p.some, member, 0)
	if #member == 0 then blame("pool: all of its members are dead" .. (why and ": " .. why or "")) end
end

-- the member with the fewest calls; of equals one that is up, and then the next one in turn
local function choose(p)
	local i = core.members_idlest(p.some)
	if not i then			-- one is dead; should a new one be at once, it is only not up
		renew(p)
		i = core.members_idlest(p.some, true)
	end
	return p.member[i]
end

-- a call of one member
local function one(h, name, options, ...)
	if type(name) ~= "string" then blame("pool: the name of a method is expected, got " .. type(name)) end
	if options then return h[name]:with(options)(...) end
	return h[name](h, ...)
end

local function call(p, name, options, ...) return one(choose(p), name, options, ...) end

-- call("method", ...) -> what the call of one of them gives
function Pool.call(p, name, ...) return call(p, name, nil, ...) end

-- submit("method", ...): the same, and next() or any() will take it
local function submit(p, name, options, ...)
	local ref = call(p, name, options, ...)
	if not core.is_ref(ref) then blame("pool:submit: a method that streams has no one value; use pool:call") end
	p.last = p.last + 1
	p.sent[p.last] = ref
	p.left = p.left + 1
	if p.set then p.set:add(ref, p.last) end
	return ref
end

function Pool.submit(p, name, ...) return submit(p, name, nil, ...) end

-- all("method", ...) -> a list of references: the call made of every member
local function all(p, name, options, ...)
	renew(p)
	local refs = {}
	for i, h in ipairs(p.member) do refs[i] = one(h, name, options, ...) end
	return refs
end

function Pool.all(p, name, ...) return all(p, name, nil, ...) end

-- with{options}: call, submit and all of the same pool, their calls with these options
local With = { __name = "rota.pool.with" }
With.__index = With
function With.call(w, name, ...) return call(w.pool, name, w.options, ...) end
function With.submit(w, name, ...) return submit(w.pool, name, w.options, ...) end
function With.all(w, name, ...) return all(w.pool, name, w.options, ...) end
function With.with(w, options) return setmetatable({ pool = w.pool, options = check("method", options, w.options) }, With) end

function Pool.with(p, options) return setmetatable({ pool = p, options = check("method", options) }, With) end

--- what was submitted, as it was or as it ends

function Pool.pending(p) return p.left end

local function take(p, i)
	p.sent[i] = nil
	p.left = p.left - 1
end

local function oldest(p, call)
	if p.left == 0 then blame(call .. ": nothing that was submitted is left") end
	while not p.sent[p.first] do p.first = p.first + 1 end
	return p.sent[p.first]
end

-- next([timeout]) -> the values of the oldest submission; raises its error, or timeout, and then it stays
function Pool.next(p, timeout)
	local ref = oldest(p, "pool:next")
	local one = core.waitset()
	one:add(ref, 1)
	p.set = false				-- any() makes one of what is left
	if not one:next(timeout and core.duration(timeout)) then return core.get(ref, 0) end
	take(p, p.first)
	return core.get(ref)
end

-- any([timeout]) -> the values of the submission that ends first; as next()
function Pool.any(p, timeout)
	local old = oldest(p, "pool:any")
	if not p.set then
		p.set = core.waitset()
		for i = p.first, p.last do
			if p.sent[i] then p.set:add(p.sent[i], i) end
		end
	end
	local ref, i = p.set:next(timeout and core.duration(timeout))
	if not ref then return core.get(old, 0) end
	take(p, i)
	return core.get(ref)
end

--- over a list

-- i, ref in order of completion: j calls at most of each member are under way, so that who is quick gets more of them
local function run(p, call_name, name, list, options)
	local j, o = nil, {}
	for k, v in pairs(options or {}) do
		if k == "j" then j = v else o[k] = v end
	end
	if j ~= nil and (math.type(j) ~= "integer" or j < 1) then
		blame(call_name .. ": 'j' is a whole number, 1 or more")
	end
	if type(list) ~= "table" and not (getmetatable(list) or {}).__len then
		blame(("%s: a list is expected, got %s"):format(call_name, type(list)))
	end
	o = next(o) and check("method", o) or nil
	local set, at, n = core.waitset(), 0, #list
	j = j or p.j
	return function()
		while at < n and (at == 0 or #set < j * #p.member) do
			at = at + 1
			local ref = call(p, name, o, list[at])
			if not core.is_ref(ref) then blame(call_name .. ": a method that streams has no one value") end
			set:add(ref, at)
		end
		local ref, i = set:next()
		if ref then return i, ref end
	end
end

-- map("method", list [, {j=, options of the call}]) -> its value for each element, as one list
function Pool.map(p, name, list, options)
	local refs = {}
	for i, ref in run(p, "pool:map", name, list, options) do refs[i] = ref end
	return core.get(refs)
end

-- for i, value in each("method", list): in the order in which they end; no further ahead than j calls a member
function Pool.each(p, name, list, options)
	local step = run(p, "pool:each", name, list, options)
	return function()
		local i, ref = step()
		if i then return i, core.get(ref) end
	end
end

--- members

function Pool.members(p) return table.move(p.member, 1, #p.member, 1, {}) end
function Pool.replaced(p) return p.made end

function Pool.stop(p)
	for _, h in ipairs(p.member) do core.stop(h) end
end

-- the end of a local <close>: its own members' handles are given up
function Pool.__close(p)
	if not p.make then return end
	for _, h in ipairs(p.member) do local _ <close> = h end
end

function Pool.__tostring(p) return ("pool of %d actors"):format(#p.member) end

local function new(member, make, j)
	local some = core.members()
	core.members_are(some, member, 0)
	return setmetatable({ member = member, some = some, make = make or false, set = false, made = 0, j = j, first = 1, last = 0, left = 0, sent = {} }, Pool)
end

-- made(class, n, constructor arguments...): n actors of the class
function M.made(c, n, ...)
	if math.type(n) ~= "integer" or n < 1 then blame("pool: how many members, 1 or more?") end
	if c.options.name then blame("pool: members cannot share the name '" .. c.options.name .. "'") end
	local args, member = table.pack(...), {}
	local function make() return c(table.unpack(args, 1, args.n)) end
	for i = 1, n do member[i] = make() end
	return new(member, make, (c.options.concurrency or 1) + 1)
end

-- of(handles): a pool of actors that others made
function M.of(list)
	if type(list) ~= "table" or #list == 0 then blame("rota.pool takes a list of actors") end
	for i, h in ipairs(list) do
		if not core.is_actor(h) then blame(("rota.pool: %d is no actor but a %s"):format(i, type(h))) end
	end
	return new(table.move(list, 1, #list, 1, {}), nil, 2)
end

return M
