-- strings.lua - a stored string is copied into Lua once, up to 64 MiB of them; collecting garbage for the node lets go of all
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
rota.init { address = "private", cpus = 1, store = "256M" }

local function at(ref) return ("%p"):format(rota.get(ref)) end
local function memory() collectgarbage() collectgarbage() return collectgarbage "count" / 1024 end	-- MiB

local refs, where, same = {}, {}, 0
for i = 1, 500 do refs[i] = rota.put(("%05d"):format(i) .. ("s"):rep(50000)) where[i] = at(refs[i]) end
collectgarbage()
for i = 1, 500 do if at(refs[i]) == where[i] then same = same + 1 end end
is(same, 500, "500 strings of 50 kB are the same strings at the second get")
local right = 0
for i = 1, 500 do if rota.get(refs[i]) == ("%05d"):format(i) .. ("s"):rep(50000) then right = right + 1 end end
is(right, 500, "and the right ones")

local large = {}
for i = 1, 150 do large[i] = rota.put(("%05d"):format(i) .. ("l"):rep(900000)) end
for i = 1, 150 do if #rota.get(large[i]) ~= 900005 then error "wrong length" end end
local used = memory()
ok(used < 80, "150 of 900 kB: not all of them are remembered", used)
is(at(large[150]), at(large[150]), "the last one is")
right = 0
for i = 1, 150 do if rota.get(large[i]):sub(1, 5) == ("%05d"):format(i) then right = right + 1 end end
is(right, 150, "all are right")
for i = 1, 3000 do if rota.get(rota.put(("%05d"):format(i) .. ("x"):rep(5000))):sub(1, 5) ~= ("%05d"):format(i) then error "wrong" end end
ok(memory() < 80, "many short ones that are dropped at once", memory())

local task = rota.task(function(s) return ("%p"):format(s) end)
is(rota.get(task(large[1])), rota.get(task(large[1])), "a worker remembers too")
T.done()
