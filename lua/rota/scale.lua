-- scale: the autoscaler as a process: what nodes say goes into the core (core/scale.h), what that decides is done by providers
-- (scale/local.lua says what they are), each in a coroutine: while one waits for its programs, all else goes on.
--	run(env)	env: name, spec, key, address, provider(name); does not return
local core = require "rota.up.core"
local control = require "rota.scale.control"
local wanted = require "rota.scale.wanted"
local spec = require "rota.up.spec"

local UNLIMITED <const> = 2.0^49		-- memory of a type that does not say how much
local run_now = core.run			-- before it is replaced
local S = {}
S.__index = S

local function log(text) io.stderr:write(os.date "!%FT%TZ ", text, "\n") end

-- --- programs, while all else goes on ------------------------------------------------------------------------------------

-- Within a coroutine core.run gives way until its programs have ended.
local function give_way()
	core.run = function(list, opts)
		if not coroutine.isyieldable() then return run_now(list, opts) end
		return coroutine.yield(core.begin(list, opts))
	end
end

function S:advance(co, ...)
	local ok, crowd = coroutine.resume(co, ...)
	if not ok then log(debug.traceback(co, tostring(crowd)))
	elseif coroutine.status(co) ~= "dead" then self.waits[#self.waits + 1] = { co = co, crowd = crowd } end
end

function S:start(f, ...) self:advance(coroutine.create(f), ...) end

function S:finish()			-- those whose programs have ended go on
	local before = self.waits
	self.waits = {}
	for _, w in ipairs(before) do
		local results = core.done(w.crowd)
		if results then self:advance(w.co, results) else self.waits[#self.waits + 1] = w end
	end
end

-- --- the core ---------------------------------------------------------------------------------------------------------------

local acts = {}

function S:step(input)
	local effects
	effects, self.at = self.core:step(core.now(), input)
	for _, fx in ipairs(effects) do acts[fx.kind](self, fx) end
end

function S:trouble(type, why)
	if why and self.why[type.name] ~= why then log(("%s: %s"):format(type.name, why)) end
	self.why[type.name] = why
end

function acts.list(self)
	self:start(function()
		local all = {}
		for t, type in ipairs(self.types) do
			local ids, why = self.pool[t]:list(type)
			if not ids then return self:trouble(type, why) end
			for _, id in ipairs(ids) do all[#all + 1] = { id = id, type = t } end
		end
		self:step { kind = "listed", list = all }
	end)
end

function acts.launch(self, fx)
	local type, ids = self.types[fx.type], {}
	for i = 1, fx.n do ids[i] = fx.id + i - 1 end
	log(("%s: launching %d"):format(type.name, fx.n))
	self:start(function()
		local results = self.pool[fx.type]:launch(type, ids)
		for _, id in ipairs(ids) do
			if results[id] ~= true then self:trouble(type, results[id]) end
			self:step { kind = "launched", id = id, ok = results[id] == true }
		end
	end)
end

function acts.ready(self, fx)
	local type = self.types[fx.type]
	self:start(function()
		local ok, why = self.pool[fx.type]:ready(type, fx.id)
		if not ok then self:trouble(type, why) end
		self:step { kind = "ready", id = fx.id, ok = ok }
	end)
end

function acts.drain(self, fx)
	log(("%s: node %d is to drain"):format(self.types[fx.type].name, fx.node))
	self.drains[fx.node] = true
end

function acts.terminate(self, fx)
	local type = self.types[fx.type]
	log(("%s: giving back %d.%d%s"):format(type.name, fx.id >> 32, fx.id & 0xffffffff, fx.node > 0 and (", node %d"):format(fx.node) or ""))
	self:start(function()
		local ok, why = self.pool[fx.type]:terminate(type, fx.id)
		if not ok then return self:trouble(type, why) end		-- it is asked for once more
		self.drains[fx.node] = nil
		self:step { kind = "terminated", id = fx.id }
	end)
end

-- --- what nodes say -----------------------------------------------------------------------------------------------------------

local COLUMNS <const> = { "node", "state", "cpus_free", "gpus_free", "memory_free", "resources_free", "leases", "drivers", "arena_used", "kept", "labels", "wanted" }

local function row(line)
	local r, i = {}, 0
	for cell in (line .. "\t"):gmatch "([^\t]*)\t" do
		i = i + 1
		r[COLUMNS[i] or "more"] = cell ~= "-" and cell or nil
	end
	for _, k in ipairs { "node", "leases", "drivers", "arena_used", "kept" } do r[k] = math.tointeger(tonumber(r[k])) or 0 end
	return r
end

function S:has(r)			-- a row of one that is there
	local id = math.tointeger(tonumber(("," .. (r.labels or "")):match ",instance=(%d+)"))
	wanted.parse(r.wanted or "", self.counts)
	if not id then return end
	local free = wanted.need(r.resources_free or "") or {}
	free.cpus, free.gpus, free.memory = tonumber(r.cpus_free) or 0, tonumber(r.gpus_free) or 0, tonumber(r.memory_free) or 0
	local busy = r.leases > 0 or r.drivers > 0
	self.there[r.node] = true
	self:step { kind = "node", id = id, node = r.node, free = free, idle = not busy and not r.wanted }
	if self.drains[r.node] and r.state == "draining" and not busy and r.kept == 0 then
		self:step { kind = "drained", node = r.node, ok = true }
	end
end

-- Of what waits only what waited at the last look too: work that changes hands waits for moments.
function S:look(rows)
	local before, gone = self.counts_before or {}, self.there
	self.counts, self.there = {}, {}
	for _, r in ipairs(rows) do if r.state ~= "dead" then self:has(r) end end
	for node in pairs(gone) do
		if not self.there[node] then
			self.drains[node] = nil
			self:step { kind = "gone", node = node }
		end
	end
	local both = {}
	for entry, n in pairs(self.counts) do both[entry] = math.min(n, before[entry] or 0) end
	self.counts_before = self.counts
	local list = wanted.list(both, "lease")
	for _, w in ipairs(wanted.list(wanted.parse(control.get(self.name, "request"), {}), "request")) do list[#list + 1] = w end
	self:step { kind = "wants", wants = list }
	self:tell()
end

-- To all nodes: what could come, what is to drain.
function S:tell()
	local count, types, drains = {}, {}, {}
	for _, x in ipairs(self.core:instances()) do count[x.type] = (count[x.type] or 0) + (x.state == "up" and 1 or 0) end
	for t, type in ipairs(self.types) do types[t] = ("%d*%s"):format(type.max - (count[t] or 0), wanted.text(type.total)) end
	for node in pairs(self.drains) do drains[#drains + 1] = node end
	table.sort(drains)
	local text = ("types %s\ndrains %s\n"):format(table.concat(types, " "), table.concat(drains, " "))
	if text ~= self.told and self.follow then
		local input = self.follow.program.input
		input[#input + 1] = text
		self.told = text
	end
end

function S:status()
	local out, now = {}, core.now()
	local of = {}
	for _, x in ipairs(self.core:instances()) do
		local k = x.state == "up" and "up" or (x.state == "draining" or x.state == "ending") and "ending" or "starting"
		of[x.type] = of[x.type] or { up = 0, starting = 0, ending = 0 }
		of[x.type][k] = of[x.type][k] + 1
	end
	for t, rest in ipairs(self.core:rests()) do
		local type, n = self.types[t], of[t] or { up = 0, starting = 0, ending = 0 }
		if rest.fails == 0 and n.starting == 0 and self.why[type.name] and n.up > 0 then self.why[type.name] = nil end
		local why = self.why[type.name] or self.lost
		if why and rest.until_ > now then why = ("%s; %d in a row, tried again in %d s"):format(why, rest.fails, math.ceil(rest.until_ - now)) end
		out[#out + 1] = table.concat({ type.name, type.provider, type.min, type.max, n.up, n.starting, n.ending, ((why or "-"):gsub("%s+", " ")) }, "\t")
	end
	local text = table.concat(out, "\n") .. "\n"
	if text ~= self.said then core.write(control.dir(self.name) .. "/status", text) end
	self.said = text
end

-- The head is asked by a program that stays.
function S:ask()
	local f = self.follow
	if f then
		local results = core.done(f.crowd)
		if not results then return end
		self.lost = "the head does not answer: " .. (results[1].err:match "([^\n]*)\n*$" or "")
		log(self.lost)
		self.follow, self.told, self.heard, self.again = nil, nil, nil, core.now() + 2
		self.counts_before = nil
	end
	if self.again and core.now() < self.again then return end
	local rows = {}
	f = { program = self.head:program(self.spec.hosts[1], 1, "exec rota follow", { timeout = 1e9 }) }
	f.program.hold = true
	f.crowd = core.begin({ f.program }, { line = function(_, text, stream)
		if stream ~= "out" then return end
		if text ~= "." and text ~= ".." then rows[#rows + 1] = row(text) return end
		self.heard = text == ".."
		self.looks[#self.looks + 1] = rows
		self.lost = nil
		rows = {}
	end })
	self.follow = f
end

function S:turn()
	local crowds = { self.follow and self.follow.crowd }
	for _, w in ipairs(self.waits) do crowds[#crowds + 1] = w.crowd end
	core.turn(crowds, math.max(0, math.min(1, (self.at or math.huge) - core.now())))
	self:finish()
	local looks = self.looks
	self.looks = {}
	if #looks > 0 then self:look(looks[#looks]) end
	if self.at and core.now() >= self.at then self:step { kind = "tick" } end
	if (self.told and self.heard) or self.said then self:status() end	-- who waits for it may go on: the head's node knows what could come
	self:ask()
end

local function total(h)
	local t = { cpus = h.cpus, gpus = h.gpus or 0, memory = spec.bytes(h.memory) or UNLIMITED }
	for k, v in pairs(h.resources or {}) do t[k] = v end
	return t
end

return function(env)
	local o, types = env.spec.scale, {}
	local self = setmetatable({ name = env.name, spec = env.spec, head = env.provider(env.spec.provider), waits = {}, looks = {}, why = {}, drains = {},
		there = {}, types = env.spec.types, pool = {} }, S)
	local pools = {}
	for t, type in ipairs(self.types) do
		type.total = total(type.host)
		types[t] = { name = type.name, min = math.tointeger(type.min), max = math.tointeger(type.max), priority = type.priority, total = type.total }
		pools[type.provider] = pools[type.provider] or require("rota.scale." .. type.provider)(env)
		self.pool[t] = pools[type.provider]
	end
	self.core = core.scale { types = types, max = o.max and math.tointeger(o.max), speed = o.speed or 100, idle = o.idle or 300, start = o.start or 900,
		drain = o.drain or 600, list = o.list or 60, epoch = tonumber(control.get(env.name, "epoch")) or 1 }
	give_way()
	self:ask()
	self:step { kind = "tick" }
	while true do self:turn() end
end
