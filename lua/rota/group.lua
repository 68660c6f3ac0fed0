-- group - rota.group, placement groups: resources set aside together.  The manual is rota-lua(7).
local core = require "rota.core"
local blame = require "rota.blame"
local check = require "rota.options"

local Group = { __name = "rota.group" }
Group.__index = Group
core.class("rota.group", Group, "rota")		-- a group travels as its id
local refs = setmetatable({}, { __mode = "k" })	-- group -> the reference that becomes ready with it, in this process
local fresh = setmetatable({}, { __mode = "k" })	-- made here, and the node may not have read of it yet

local strategies = { pack = 0, spread = 1, strict_pack = 2, strict_spread = 3 }
local pack = string.pack

local function encode(bundles)
	if type(bundles) ~= "table" or #bundles == 0 then
		blame("rota.group: a list of bundles is expected, as {{cpus=1}, {cpus=1}}")
	end
	local out = {}
	for i = 1, #bundles do
		local b = check("bundle", bundles[i], nil, "rota.group: bundle " .. i)
		if not next(b) then blame(("rota.group: bundle %d asks for nothing"):format(i)) end
		out[i] = pack(">BBI8BI8BI8Bs4", 0x94, 0xcf, (b.cpus or 0) * 1000 // 1 | 0, 0xcf, (b.gpus or 0) * 1000 // 1 | 0, 0xcf,
		    (b.memory or 0) // 1 | 0, 0xc6, b.resources or "")
	end
	return table.concat(out)
end

-- group(bundles, strategy, { name=, timeout=, detached= }) -> group at once; group(name) -> that group, or nil and why
local function make(bundles, strategy, options)
	if type(bundles) == "string" then
		local id, n = core.group_find(bundles)
		if not id then return nil, n end
		return setmetatable({ id = id, bundles = n, name = bundles }, Group)
	end
	local s = strategies[strategy or "pack"]
	if not s then
		blame(("rota.group: no strategy '%s'; there are pack, spread, strict_pack and strict_spread"):format(tostring(strategy)))
	end
	local o = options and check("group", options, nil, "rota.group") or {}
	local id, ref = core.group_new(encode(bundles), s, o.name, o.detached, o.timeout)
	local g = setmetatable({ id = id, bundles = #bundles, name = o.name }, Group)
	refs[g], fresh[g] = ref, true
	return g
end

function Group.__pack(g)		-- who gets it may ask for it before the node has read what we sent
	if fresh[g] then
		core.group_settle()
		fresh[g] = nil
	end
	return { id = g.id, bundles = g.bundles, name = g.name }
end

function Group.__unpack(t) return setmetatable(t, Group) end

-- a reference that is ready once the group is placed: its value is true; it fails if that will never be
function Group.ready(g)
	local ref = refs[g]
	if not ref then
		ref = core.group_ask(g.id)
		refs[g] = ref
	end
	return ref
end

-- true once it is placed; nil and the error if it never will be, or time is up
function Group.wait(g, timeout)
	local v, err = core.pget(g:ready(), timeout)
	if v then return true end
	return nil, err
end

function Group.remove(g)
	core.group_del(g.id)
	refs[g] = nil
end
Group.__close = Group.remove

function Group.state(g)
	local text = core.id_text(g.id)
	for _, row in ipairs(core.list "groups") do
		if row.id == text then return row.state end
	end
	return "removed"
end

function Group.__len(g) return g.bundles end
function Group.__eq(a, b) return getmetatable(a) == getmetatable(b) and a.id == b.id end
function Group.__tostring(g) return ("group %s (%d bundles)"):format(g.name or core.id_text(g.id), g.bundles) end

local function here()			-- the group that this task or actor is in, or nil
	local id, n = core.group_here()
	return id and setmetatable({ id = id, bundles = n }, Group)
end

return { here = here, make = make, Group = Group }
