-- rota.cmd: programs as tasks and as actors (rota-program(7)).
--
--	local gzip = rota.cmd{ "gzip", "-9" }
--	local ref = gzip(bytes)			-- stdin -> stdout; a status that is not ok raises with the end of stderr
--	local ref = gzip(bytes, "-k")		-- further arguments
--	gzip:with{ cpus = 2, retries = 1 }(x)	-- options of tasks
--	local bc = rota.cmd{ "bc", "-l" }:actor()		-- kept running: a line in, a line out
--	rota.get(bc:call "2^10")
--	local p = rota.cmd{ "python3", "p.py" }:actor{ mode = "frames" }	-- methods and values
--	rota.get(p:call("add", 1, 2))
--	local s = rota.set(rota.cmd{ "python3", "p.py" }, { n = 4, mode = "frames", health = 5 })	-- four of them
--	rota.get(s:add(1, 2))
--
-- In the table: the words of the command; env = { NAME = value }, dir = directory, ok = list of statuses that are success.

local core = require "rota.core"
local blame = require "rota.blame"
local M = {}

local signals = { [1] = "HUP", [2] = "INT", [6] = "ABRT", [9] = "KILL", [11] = "SEGV", [13] = "PIPE", [15] = "TERM" }

local function ended(name, status, signal)
	if signal > 0 then return ("'%s' was killed by signal %s"):format(name, signals[signal] or signal) end
	return ("'%s' ended with status %d"):format(name, status)
end

local function last_lines(text)			-- the end of what it wrote to stderr
	text = text:gsub("%s+$", "")
	if #text > 1000 then text = "…" .. text:sub(-1000) end
	return text
end

-- on a worker: runs the command once
function M.run(spec, input, ...)
	local argv = table.move(spec.argv, 1, #spec.argv, 1, {})
	for i = 1, select("#", ...) do argv[#argv + 1] = tostring((select(i, ...))) end
	local p <close> = core.process { argv = argv, env = spec.env, dir = spec.dir, mode = "once" }
	local out, err = p:run(input)
	local status, signal = p:wait()
	if signal == 0 and spec.ok[status] then
		if err ~= "" then io.stderr:write(err) end
		return out
	end
	local text = ended(argv[1], status, signal)
	if err ~= "" then text = text .. ": " .. last_lines(err) end
	error { message = text, status = status, signal = signal, stderr = err }
end

-- on a worker: the actor that keeps one running.  When it ends, and is to be started again, the worker ends with it, and the
-- actor is restarted as after a crash; so a member of a set is.
M.Program = { request = 0 }

local GRACE = 2				-- s, for one that closed its descriptors to end

-- the program finds rota's side of it: rota-program.sh in ROTA_SHARE, rota_program.py as a module of Python
local function environment(given, rank)
	local env, share, python = {}, core.share() or ".", os.getenv "PYTHONPATH" or ""
	for _, e in ipairs(given or {}) do
		local path = e:match "^PYTHONPATH=(.*)"
		if path then python = path else env[#env + 1] = e end
	end
	env[#env + 1] = "ROTA_SHARE=" .. share
	env[#env + 1] = "PYTHONPATH=" .. (python ~= "" and python .. ":" or "") .. share
	if rank then env[#env + 1] = "ROTA_RANK=" .. rank end
	return env
end

local function over(self, text, idle)	-- it has ended, or is taken for dead: raises
	local name, silent = self.spec.argv[1], self.process:silent()
	local status, signal, forced = self.process:wait(GRACE)
	self.process = nil
	if silent and self.up then
		self.why = ("'%s' did not answer PING within %g s and was killed"):format(name, self.patience)
		core.ill(self.why)
	end
	if forced then text = ("'%s' closed its end and went on"):format(name) end
	self.why = (text and text .. "; " or "") .. ended(name, status, signal)
	if status == 0 and signal == 0 and not text and not idle then self.why = self.why .. ", without an answer" end
	if self.up then core.look_after(self.up) end
	error { message = self.why, status = status, signal = signal }
end

-- between calls: when a child has ended, and when it is time to ask how it is; seconds until that
local function look(self)
	local p = self.process
	if p and not p:alive() then
		pcall(over, self, nil, true)
	elseif p and self.health then
		local ok, left = pcall(p.beat, p)
		if not ok then
			p:kill()
			self.process, self.why = nil, tostring(left)
		elseif left then
			return left
		else
			pcall(over, self)
		end
	end
	if not self.process and not self.closed and self.again then core.ill(self.why) end
end

function M.Program:new(spec, options)
	local context = require "rota".context()
	local restarts = options.restarts or 0
	self.spec, self.mode, self.health, self.patience = spec, options.mode, options.health, options.patience
	self.again = context.rank or restarts < 0 or context.incarnation <= restarts
	self.process = core.process { argv = spec.argv, env = environment(spec.env, context.rank), dir = spec.dir, mode = self.mode,
		health = self.health, patience = self.patience }
	if self.mode == "frames" and self.process:recv() ~= "start" then
		over(self, ("'%s' did not begin with START (rota-program(7))"):format(spec.argv[1]))
	end
	if options.check then		-- as the set's health check calls it
		self[options.check] = function(self) return M.Program.call(self, options.check) end
	end
	self.up = function() return look(self) end
	core.look_after(self.up)
end

local Asked = { __close = function(a, err) if err then a.process:cancel(a.request) end end }

local function payload(kind, req, ...)
	return kind, req, table.pack(...)
end

local function answer(self, p)
	local asked <close> = setmetatable({ process = p, request = self.request }, Asked)
	while true do
		local kind, _, got = payload(p:recv())
		if not kind then over(self) end
		if kind == "reply" then return table.unpack(got, 1, got.n) end
		if kind == "item" then coroutine.yield(table.unpack(got, 1, got.n)) end
		if kind == "error" then error { message = got[1], trace = got[2] ~= "" and got[2] or nil } end
	end
end

function M.Program:call(...)
	local p = self.process
	if not p then error { message = self.why } end
	if self.mode == "lines" then
		local line = ...
		if type(line) ~= "string" and type(line) ~= "number" or tostring(line):find "\n" then
			error { message = ("'%s' is called with one line, without its end"):format(self.spec.argv[1]) }
		end
		local answer = p:line(line)
		if not answer then over(self) end
		return answer
	end
	self.request = self.request + 1
	if not p:call(self.request, ...) then over(self) end
	return answer(self, p)
end

function M.Program:status()			-- true while it runs; else false and how it ended
	if self.process and self.process:alive() then return true end
	return false, self.why or "it has ended"
end

function M.Program:close()			-- end of its input: waits for its end
	if not self.process then return nil, self.why end
	local status, signal = self.process:wait()
	self.process, self.closed, self.why = nil, true, ended(self.spec.argv[1], status, signal)
	return status, signal
end

--- in the driver

local Cmd = {}
Cmd.__index = Cmd
core.class("rota.cmd", Cmd, "rota")		-- a program travels, as a task does

local function bad(fmt, ...) blame(("rota.cmd: " .. fmt):format(...)) end

local function spec_of(t)
	if type(t) ~= "table" or t[1] == nil then bad "a table with the words of a command expected" end
	local spec = { argv = {}, ok = {}, dir = t.dir }
	for i, word in ipairs(t) do
		if type(word) ~= "string" and type(word) ~= "number" then bad("word %d: a string expected, got %s", i, type(word)) end
		spec.argv[i] = tostring(word)
	end
	for k, v in pairs(t) do
		if k == "env" then
			if type(v) ~= "table" then bad "'env' is a table of names and values" end
			spec.env = {}
			for name, value in pairs(v) do spec.env[#spec.env + 1] = name .. "=" .. tostring(value) end
			table.sort(spec.env)
		elseif k == "ok" then
			for _, status in ipairs(type(v) == "table" and v or { v }) do spec.ok[status] = true end
		elseif k ~= "dir" and (math.type(k) ~= "integer" or k > #spec.argv or k < 1) then
			bad("no option '%s'; there are env, dir and ok", tostring(k))
		end
	end
	if not next(spec.ok) then spec.ok[0] = true end
	return spec
end

function M.cmd(t)
	local rota = require "rota"
	local spec = spec_of(t)
	return setmetatable({ spec = spec, given = {}, task = rota.task(M.run):with { name = spec.argv[1]:match "[^/]*$" } }, Cmd)
end

function Cmd:__call(input, ...) return self.task(self.spec, input, ...) end

function Cmd:__tostring() return ("command '%s'"):format(table.concat(self.spec.argv, " ")) end

-- a task of one argument, the input: for lists of them
function M.task(x)
	if getmetatable(x) ~= Cmd then return nil end
	local spec, _, options = x.spec, core.task_parts(x.task)
	return core.task(function(input) return M.run(spec, input) end, options)
end

function Cmd:map(list, options) return M.task(self):map(list, options) end

function Cmd:with(options)
	if options and options.stream then bad "a program gives its output as one value, and no stream; an actor of mode 'frames' streams" end
	local given = {}
	for k, v in pairs(self.given) do given[k] = v end
	for k, v in pairs(options or {}) do given[k] = v end
	return setmetatable({ spec = self.spec, task = self.task:with(options), given = given }, Cmd)
end

--- kept running

local modes = { lines = true, frames = true }

local function time(v, name)
	local s = (type(v) == "number" or type(v) == "string") and core.duration(v)
	if not s or s < 0 then bad("'%s' is a time, as 5 or '10ms'", name) end
	return s
end

-- the class of actors that keep it running, with options of actors, and the second argument of its constructor
local function class_of(self, options, kept)
	local rota = require "rota"
	local own = { mode = options.mode or "lines", restarts = options.restarts, check = options.check }
	if not modes[own.mode] then bad("mode: 'lines' or 'frames' expected, got '%s'", tostring(own.mode)) end
	if kept.concurrency or kept.groups then bad "a program answers one call after the other: 'concurrency' and 'groups' are not for it" end
	if options.health and own.mode == "frames" then
		own.health, own.patience = time(options.health, "health"), time(options.patience or 30, "patience")
	end
	local class = rota.actor(M.Program):with(kept)
	class.name = ("program %s, %s"):format(self.spec.argv[1]:match "[^/]*$", own.mode)
	return class, own
end

function Cmd:actor(options)
	local given, kept = options or {}, {}
	for k, v in pairs(given) do
		if k ~= "mode" and k ~= "health" and k ~= "patience" then kept[k] = v end
	end
	if given.health and given.mode ~= "frames" then bad "health: only programs of mode 'frames' can be asked" end
	if given.check then bad "check: it is for programs in a set" end
	local class, own = class_of(self, given, kept)
	return class(self.spec, own)
end

-- what rota.set makes its members of: class, the set's options, and what the constructor gets; nil: x is no program
function M.members(x, options)
	if getmetatable(x) ~= Cmd then return nil end
	local kept, rest = {}, {}
	for k, v in pairs(x.given) do
		if k ~= "name" then kept[k] = v end	-- of its tasks
	end
	for k, v in pairs(options) do
		if k ~= "mode" then rest[k] = v end
	end
	if options.check and options.mode ~= "frames" then bad "check: a program of mode 'lines' has no methods" end
	local class, own = class_of(x, options, kept)
	if own.check then
		if type(own.check) ~= "string" then bad "check: the name of a method expected" end
		class.class = {}
		for k, v in pairs(M.Program) do class.class[k] = v end
		class.class[own.check] = class.class[own.check] or M.Program.call
	end
	return class, rest, x.spec, own
end

return M
