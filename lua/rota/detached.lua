-- detached - what a detached actor's class needs of its script goes with it: nobody is there to ask later
-- Its functions' bytecode names the globals that they read and the modules that they require; whatever of it comes from
-- the script is packed beside the class, with what it needs in its turn, and put in place by the constructor.
local core = require "rota.core"
local blame = require "rota.blame"
local M = {}

local standard = {}
for w in ([[_G _VERSION arg assert collectgarbage dofile error getmetatable ipairs load loadfile next pairs pcall print rawequal
    rawget rawlen rawset require select setmetatable tonumber tostring type warn xpcall coroutine debug io math os package
    string table utf8]]):gmatch "%S+" do standard[w] = true end

--- bytecode of Lua 5.4, as string.dump writes it

local HEAD = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8" .. string.pack("<i8d", 0x5678, 370.5)
local GETTABUP <const>, WIDE <const> = 11, 255	-- constants over this number are not named by the instruction

local function reader(s)
	local r, at = {}, #HEAD + 2		-- the number of upvalues comes between
	function r.byte() at = at + 1 return s:byte(at - 1) end
	function r.skip(n) at = at + n end
	function r.int()
		local x, b = 0, nil
		repeat b = r.byte() x = x << 7 | b & 0x7f until b & 0x80 ~= 0
		return x
	end
	function r.text()
		local n = r.int()
		if n == 0 then return nil end
		at = at + n - 1
		return s:sub(at - n + 1, at - 1)
	end
	function r.word() at = at + 4 return (string.unpack("<I4", s, at - 4)) end
	return r
end

local constant = {
	[0] = function() end, [1] = function() end, [17] = function() end, [3] = function(r) r.skip(8) end,
	[19] = function(r) r.skip(8) end, [4] = function(r) return r.text() end, [20] = function(r) return r.text() end,
}

-- calls global(name) and, of a function that reads require, text(string) for each string in it
local function walk(r, global, text)
	local code, k, names, requires = {}, {}, {}, false
	r.text()
	r.int()
	r.int()
	r.skip(3)
	for i = 1, r.int() do code[i] = r.word() end
	local nk = r.int()
	for i = 1, nk do k[i] = constant[r.byte()](r) end
	r.skip(3 * r.int())
	for _ = 1, r.int() do walk(r, global, text) end
	r.skip(r.int())
	for _ = 1, r.int() do r.int() r.int() end
	for _ = 1, r.int() do r.text() r.int() r.int() end
	for i = 1, r.int() do names[i] = r.text() end
	local function found(name)
		requires = requires or name == "require"
		global(name)
	end
	for _, w in ipairs(code) do
		if w & 0x7f == GETTABUP and names[(w >> 16 & 0xff) + 1] == "_ENV" then found(k[(w >> 24) + 1]) end
	end
	for i = WIDE + 1, nk do
		if type(k[i]) == "string" and rawget(_G, k[i]) ~= nil then found(k[i]) end
	end
	for i = 1, requires and nk or 0 do
		if type(k[i]) == "string" then text(k[i]) end
	end
end

--- what a class needs

local function source(name)			-- of a Lua module, as the script finds it; nil: it is none
	if name:find "^rota$" or name:find "^rota%." or #name > 200 or name:find "[^%w_.-]" then return end
	local path = package.searchpath(name, package.path)
	local f = path and io.open(path, "rb")
	if not f then return end
	local s = f:read "a"
	f:close()
	return { s:gsub("^#[^\n]*", ""), "@" .. path }
end

local function needs(class)
	local globals, modules, seen, module_of = {}, {}, {}, {}
	local visit
	for name, m in pairs(package.loaded) do		-- these travel as names
		for _, f in next, type(m) == "table" and m ~= _G and m or {} do
			if type(f) == "function" then module_of[f] = name end
		end
		if type(m) == "table" or type(m) == "function" then module_of[m] = name end
	end
	local function global(name)
		local v = rawget(_G, name)
		if standard[name] or globals[name] ~= nil or v == nil then return end
		globals[name] = v
		visit(v)
	end
	local function text(s)
		if modules[s] or package.preload[s] then return end
		local m = source(s)
		if not m then return end
		modules[s] = m
		local f = load(m[1], m[2], "t")
		if f then visit(f) end
	end
	function visit(v)
		if seen[v] or (type(v) ~= "table" and type(v) ~= "function") then return end
		seen[v] = true
		if module_of[v] then
			text(module_of[v])
			return
		end
		if type(v) == "table" then
			for _, x in next, v do visit(x) end
			return
		end
		if debug.getinfo(v, "S").what == "C" then return end
		local code = string.dump(v)
		if code:sub(1, #HEAD) ~= HEAD then return end	-- another Lua: names are asked for, as long as the script runs
		walk(reader(code), global, text)
		for i = 1, 255 do
			local name, x = debug.getupvalue(v, i)
			if not name then break end
			if name ~= "_ENV" then visit(x) end
		end
	end
	visit(class)
	return next(globals) and globals, next(modules) and modules
end

local told = false

-- once: on a node that ends with its programs a detached actor ends, too
local function brief()
	if told then return end
	told = true
	if core.context().task or core.list "node"[1].address:find "/local%.sock$" then return end
	io.stderr:write "rota: a detached actor lives no longer than its node, and this one ends with its programs: 'rota up' starts one that stays\n"
end

-- packed(class) -> a class whose constructor first puts in place what the methods need; raises what cannot travel
function M.packed(class)
	brief()
	local globals, modules = needs(class)
	if not globals and not modules then return class end
	for name, v in pairs(globals or {}) do
		local ok, why = core.can_travel(v)
		if not ok then blame(("a detached actor needs the global '%s', which cannot travel: %s"):format(name, why)) end
	end
	local out, new = {}, class.new
	for k, v in pairs(class) do out[k] = v end
	function out.new(self, ...)
		for name, v in pairs(globals or {}) do
			if rawget(_G, name) == nil then rawset(_G, name, v) end
		end
		for name, m in pairs(modules or {}) do
			package.preload[name] = package.preload[name] or load(m[1], m[2], "t")
		end
		if new then return new(self, ...) end
	end
	return out
end

return M
