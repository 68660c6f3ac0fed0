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

-- on a worker: the actor that keeps one running
M.Program = { restarted = 0, request = 0 }

function M.Program:new(spec, options)
	self.spec, self.mode, self.restarts = spec, options.mode or "lines", options.restarts or 0
	self:start()
end

-- the program finds rota's side of it: rota-program.sh in ROTA_SHARE, rota_program.py as a module of Python
local function environment(given)
	local env, share, python = {}, core.share() or ".", os.getenv "PYTHONPATH" or ""
	for _, e in ipairs(given or {}) do
		local path = e:match "^PYTHONPATH=(.*)"
		if path then python = path else env[#env + 1] = e end
	end
	env[#env + 1] = "ROTA_SHARE=" .. share
	env[#env + 1] = "PYTHONPATH=" .. (python ~= "" and python .. ":" or "") .. share
	return env
end

function M.Program:start()
	self.process = core.process { argv = self.spec.argv, env = environment(self.spec.env), dir = self.spec.dir, mode = self.mode }
	if self.mode == "frames" then
		local kind, _, name = self.process:recv()
		if kind ~= "start" then
			self:over(("'%s' did not begin with START (rota-program(7))"):format(self.spec.argv[1]))
		end
		self.name = name
	end
end

function M.Program:over(text)			-- it has ended: raises
	local status, signal = self.process:wait()
	self.process = nil
	self.why = (text and text .. "; " or "") .. ended(self.spec.argv[1], status, signal)
	if status == 0 and signal == 0 and not text then self.why = self.why .. ", without an answer" end
	error { message = self.why, status = status, signal = signal }
end

function M.Program:call(...)
	if not self.process then
		if self.restarts >= 0 and self.restarted >= self.restarts then error { message = self.why } end
		self.restarted = self.restarted + 1
		self:start()
	end
	local p = self.process
	if self.mode == "lines" then
		local line = ...
		if type(line) ~= "string" and type(line) ~= "number" or tostring(line):find "\n" then
			error { message = ("'%s' is called with one line, without its end"):format(self.spec.argv[1]) }
		end
		local answer = p:line(line)
		if not answer then self:over() end
		return answer
	end
	self.request = self.request + 1
	if not p:call(self.request, ...) then self:over() end
	return self:answer(p)
end

local function payload(kind, req, ...)
	return kind, req, table.pack(...)
end

local Asked = { __close = function(a, err) if err then a.process:tell("cancel", a.request) end end }

function M.Program:answer(p)
	local asked <close> = setmetatable({ process = p, request = self.request }, Asked)
	while true do
		local kind, req, got = payload(p:recv())
		if not kind then self:over() end
		if req == self.request and kind == "reply" then return table.unpack(got, 1, got.n) end
		if req == self.request and kind == "item" then coroutine.yield(table.unpack(got, 1, got.n)) end
		if req == self.request and kind == "error" then
			error { message = got[1], trace = got[2] ~= "" and got[2] or nil }
		end
	end
end

function M.Program:status()			-- true while it runs; else false and how it ended
	if self.process and self.process:alive() then return true end
	return false, self.why or "it has ended"
end

function M.Program:close()			-- end of its input: waits for its end
	if not self.process then return nil, self.why end
	local status, signal = self.process:wait()
	self.process, self.why = nil, ended(self.spec.argv[1], status, signal)
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
	return setmetatable({ spec = spec, task = rota.task(M.run):with { name = spec.argv[1]:match "[^/]*$" } }, Cmd)
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
	return setmetatable({ spec = self.spec, task = self.task:with(options) }, Cmd)
end

local modes = { lines = true, frames = true }

function Cmd:actor(options)
	local rota = require "rota"
	local given, own = {}, {}
	for k, v in pairs(options or {}) do
		if k == "mode" or k == "restarts" then own[k] = v else given[k] = v end
	end
	if given.concurrency or given.groups then bad "a program answers one call after the other: 'concurrency' and 'groups' are not for it" end
	if own.mode and not modes[own.mode] then bad("mode: 'lines' or 'frames' expected, got '%s'", tostring(own.mode)) end
	M.class = M.class or rota.actor(M.Program)
	given.restarts = own.restarts
	return M.class:with(given)(self.spec, own)
end

return M
