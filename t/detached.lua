-- detached.lua - detached actors: they outlive their driver, with what they need of it, and are found, listed and ended by others
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has = T.ok, T.is, T.has
local dir = T.tmp()
local env = ("ROTA_DIR='%s/d' XDG_STATE_HOME='%s/state' LUA_PATH='%s/?.lua;%s' ROTA_NAMESPACE=lab"):format(dir, dir, dir, os.getenv "LUA_PATH" or ";;")
local function sh(cmd)
	local p = io.popen("unset ROTA_ADDRESS; export " .. env .. "; exec 2>&1; " .. cmd)
	local out = p:read "a"
	p:close()
	return (out:gsub("\n$", ""))
end
local programs = 0
local function lua(text, more)			-- a program of its own
	programs = programs + 1
	local path = ("%s/program%d.lua"):format(dir, programs)
	local f = io.open(path, "w")
	f:write('local rota = require "rota"\n', text, "\n")
	f:close()
	return sh(("%s timeout 60 rlua %s"):format(more or "", path))
end
os.execute(("mkdir -p -m 700 '%s/d' '%s/state'"):format(dir, dir))
local function file(name, text) local f = io.open(dir .. "/" .. name, "w") f:write(text) f:close() end
file("early.lua", "local M = {} function M.twice(x) return 2 * x end return M\n")
file("late.lua", "#!/usr/bin/env lua\nlocal deep = require 'deep'\nreturn function(x) return deep.n + x end\n")
file("deep.lua", "return { n = 100 }\n")
local down <close> = setmetatable({}, { __close = function() sh "rota down --force" end })	-- also when an error ends the test
has(sh "rota up -c 2 >/dev/null && echo up", "up", "a lasting node")

-- what it needs of the script goes with it
is(lua [[
local early = require "early"
function helper(x) return other(x) + 1 end
function other(x) return x * factor end
factor = 10
local A = rota.actor {
	new = function(self, n) self.n = n end,
	add = function(self, k) self.n = self.n + k return self.n end,
	global = function(self, x) return helper(x) end,
	upvalue = function(self, x) return early.twice(x) end,
	module = function(self, x) return require "late"(x) end,
	std = function() return ("x"):rep(3), math.type(1), #table.pack(1, 2), missing end,
	pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	me = function() return rota.context().incarnation end,
}
A:with { name = "keeper", detached = true, restarts = 2 }(5)
A:with { name = "short" }(1)
local w = rota.find "keeper"
print(rota.get(w:add(1)))]], "6", "a program makes a detached actor")
is(lua [[print(rota.find "short")]], "nil\tno actor 'short' in namespace 'lab'", "one that is not detached ends with its program")
is(lua [[local k = rota.find "keeper" print(rota.get(k:add(1)))]], "7", "the detached one is found by the next program, its state is there")
is(lua [[local k = rota.find "keeper" print(rota.get(k:global(4)), rota.get(k:upvalue(4)), rota.get(k:module(4)))]], "41\t8\t104",
    "globals of the script, those that these need, its modules, those required late")
is(lua [[local k = rota.find "keeper" print(rota.get(k:std()))]], "xxx\tinteger\t2\tnil", "what is of no script is as ever")
-- what cannot go with it
has(lua [[pipe = io.popen "true" local A = rota.actor { f = function() return pipe:read "a" end } A:with { name = "x", detached = true }()]],
    "program6.lua:2: a detached actor needs the global 'pipe', which cannot travel", "what cannot travel is told when it is made, where and by name")
has(lua [[pipe = io.popen "true" local A = rota.actor { f = function(self) return self.pipe end } A:with { name = "field", detached = true }() print "fine"]], "fine",
    "a field of that name is no global")
has(lua [[local A = rota.actor { f = function() return pipe end } A:with { name = "x", detached = true }() print "fine"]], "fine",
    "a global that is not there yet is no reason")

-- listed
is(sh "rstat actors -o name,state,namespace,incarnation,restarts | grep keeper", "keeper\talive\tlab\t1\t2", "rstat lists it")
-- restarts without the program that made it
is(lua [[local k = rota.find "keeper" os.execute("kill -9 " .. rota.get(k:pid())) print(rota.get(k:add(1), 30), rota.get(k:me()), rota.get(k:global(1)), rota.get(k:module(1)))]],
    "6\t2\t11\t101", "it is killed: made again, by the same arguments, with what it needs")
is(lua [[
local A = rota.actor { new = function(self, s, r) self.n = #s + #rota.get(r[1]) end, n_of = function(self) return self.n end, die = function() os.exit(1) end }
local y = rota.put(("y"):rep(1 << 20))
rota.keep(y)
A:with { name = "big", detached = true, restarts = 5 }(("x"):rep(3 << 20), { y })
print(rota.get(rota.find "big":n_of()))]], tostring(4 << 20), "constructor arguments in the store")
is(lua [[local b = rota.find "big" print(rota.get(b:n_of())) rota.pget(b:die()) print(rota.get(b:n_of(), 30))]], "4194304\n4194304", "are there at its restart")

-- names, namespaces, get-if-exists
is(lua([[print(rota.find "keeper") print(rota.get(rota.find("keeper", "lab"):add(0)))]], "ROTA_NAMESPACE=attic"), "nil\tno actor 'keeper' in namespace 'attic'\n6",
    "another namespace does not find it, unless it says which")
is(lua([[rota.actor { f = function() return "attic's" end }:with { name = "keeper", detached = true }() print(rota.get(rota.find "keeper":f()))]], "ROTA_NAMESPACE=attic"),
    "attic's", "and has a keeper of its own")
is(lua [[local A = rota.actor { add = function() return "new" end } print(rota.get(A:with { name = "keeper", reuse = true, detached = true }():add(1)))]], "7",
    "get-if-exists: the one that is there")
has(lua [[rota.actor { f = function() end }:with { name = "keeper" }()]], "exists in namespace 'lab'", "without it the name is taken")
is(lua [[
local refs = {}
local A = rota.actor { new = function(self) self.n = 0 end, add = function(self) self.n = self.n + 1 return self.n end }
local t = rota.task(function() return rota.get(A:with { name = "many", reuse = true, detached = true }():add()) end):with { cpus = 0 }
for i = 1, 6 do refs[i] = t() end
local sum = 0
for _, v in ipairs(rota.get(refs)) do sum = sum + v end
print(sum)]], "21", "six tasks at once get one")
is(lua [[print(rota.get(rota.find "many":add()))]], "7", "which outlives the program of whose tasks it is")

-- a program that is killed
is(lua [[rota.actor { f = function() return "here" end }:with { name = "orphan", detached = true }() rota.get(rota.find "orphan":f()) os.execute("kill -9 $PPID")]], "Killed",
    "a program is killed after it made one")
is(lua [[print(rota.get(rota.find "orphan":f()))]], "here", "which is there")
-- ended by others
is(lua [[
local k = rota.find "orphan"
rota.kill(k)
print(select(2, rota.pget(k:f())).code)
local t0 = rota.now()
while rota.find "orphan" and rota.now() - t0 < 20 do rota.sleep(0.002) end
print(rota.find "orphan")]], "actor_died\nnil\tno actor 'orphan' in namespace 'lab'", "rota.kill ends it, for whoever calls")
is(lua [[local k = rota.find "many" local r = k:add() rota.stop(k) print(rota.get(r))]], "8", "rota.stop ends it after the calls made before")
is(lua [[local t0 = rota.now() while rota.find "many" and rota.now() - t0 < 20 do rota.sleep(0.002) end print(rota.find "many")]], "nil\tno actor 'many' in namespace 'lab'",
    "then it is gone")
is(lua [[
local k = rota.find "keeper"
for _ = 1, 2 do
	local p = rota.pget(k:pid(), 30)
	if p then os.execute("kill -9 " .. p) end
	rota.pget(k:me(), 30)
end
print(select(2, rota.pget(k:me(), 30)).code)]], "actor_died", "no restarts are left: it is dead")
is(sh "rstat actors -o name,state,namespace | grep -v dead | sort", "big\talive\tlab\nfield\talive\tlab\nkeeper\talive\tattic\nx\talive\tlab", "those that are left")
sh "rota down --force"
T.done()
