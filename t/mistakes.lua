-- mistakes.lua - what is typed wrong is told at the line of the script, with what was expected; no line of rota's own Lua is blamed
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local id = rota.task(function(x) return x end)
local Echo = rota.actor { say = function(_, x) return x end }

-- each is made on a line of this file: the message begins with its place
local function told(text, name, f)
	local e = T.raises(text, name, f)
	T.has(e, ("mistakes.lua:%d: "):format(debug.getinfo(f, "S").linedefined), name .. ": at its line")
end

told("rota has no 'gett'; did you mean 'get'?", "a misspelt function of the module", function() local x = rota.gett return x end)
told("rota.task takes one function; options go with rota.task(f):with{…}", "options as a second argument of task",
    function() local x = rota.task(print, { cpus = 2 }) return x end)
told("rota.actor takes one table; options go with", "options as a second argument of actor",
    function() local x = rota.actor({}, { cpus = 2 }) return x end)
told("with: no option 'num_gpus'; did you mean 'gpus'?", "an option of another system", function() local x = id:with { num_gpus = 1 } return x end)
told("a reference, or a table of them expected, got number", "get of what is no ref", function() local x = rota.get(3) return x end)
told("a reference, or a table of them expected, got FILE*", "get of a file", function() local x = rota.get(io.stdout) return x end)
told("rota.wait: a list of refs is expected, got number", "wait for what is no list", function() local x = rota.wait(3) return x end)
told("rota.each: a list of refs is expected, got nil", "each", function() local x = rota.each() return x end)
told("wait: no option 'num_returns'; did you mean 'n'?", "wait has n", function() local x = rota.wait({}, { num_returns = 2 }) return x end)
told("init: no option 'adress'; did you mean 'address'?", "options of init", function() local x = rota.init { adress = "local" } return x end)
told("rota.group: bundle 1: no option 'cpu'; did you mean 'cpus'?", "a bundle", function() local x = rota.group { { cpu = 1 } } return x end)
told("rota.group: no option 'size' (it has detached, name, timeout)", "an option far from all: what there is",
    function() local x = rota.group({ { cpus = 1 } }, "pack", { size = 2 }) return x end)
told("call it with a colon: kv:put(…)", "kv with a dot", function() rota.kv.put("k", 1) end)
told("kv:get: a key is a string, got nil", "kv without a key", function() local x = rota.kv:get() return x end)
told("kv:watch: no option 'tmeout'; did you mean 'timeout'?", "options of a watch",
    function() local x = rota.kv:watch("", { tmeout = 1 }) return x end)
told("kv:put: no option 'ifrev'; did you mean 'if_rev'?", "options of put", function() rota.kv:put("k", 1, { ifrev = 0 }) end)
told("kv:put: 'session' is true, 'process' or 'job'", "a session", function() rota.kv:put("k", 1, { session = "lab" }) end)
told("kv:txn: a table is expected", "a transaction", function() rota.kv:txn "k" end)

local p <close> = Echo:pool(1)
told("has no method 'shout' (it has say)", "a method that a pool's actors lack", function() local x = p:call("shout", 1) return x end)
local s <close> = rota.set(Echo, {})
told("has no method 'shout' (it has say)", "a method that a set's actors lack", function() local x = s:shout(1) return x end)
local a <close> = Echo()
told("has no method 'shout' (it has say)", "a method that an actor lacks", function() local x = a:shout(1) return x end)
told("has no method '" .. ("y"):rep(60) .. "...' (it has say)", "a long one is not said whole", function() local x = a[("y"):rep(5000)](a) return x end)

-- what waits too short says for what
local slow = rota.task(function() rota.sleep(60) end):with { name = "slow" }()
T.has(T.raises("timed out", "get", rota.get, slow, 0.01), "timed out: task slow has not ended", "names the task")
local _, e = rota.pget(slow, 0.01)
T.has(e, "task slow has not ended", "pget too")
T.is(e.code, "timeout", "its code")
local _, e = rota.pget({ slow }, 0.01)
T.has(e[1], "task slow has not ended", "and in a list")
rota.cancel(slow)
T.done()
