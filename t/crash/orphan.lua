-- orphan.lua - a driver whose node is killed, keeper and all: what it waits for fails at once, so does what it asks later
local rota = require "rota"
local slow = rota.task(function(s) rota.sleep(s) return s end)
local A = rota.actor { f = function(self) rota.sleep(60) end }
local a = A()
local refs = { slow(60), slow(60), a:f(), slow(0), rota.put "x" }
rota.get(refs[4])
local daemon = rota.nodes()[1].pid		-- its parent is the keeper; without that nobody takes over
print(io.open("/proc/" .. daemon .. "/stat"):read "a":match "%) %a (%d+)")
io.stdout:flush()
local vals, errs = rota.pget(refs)
for _, i in ipairs { 1, 2, 3 } do assert(errs[i] and errs[i].code == (i < 3 and "no_cluster" or "actor_died"), tostring(errs[i])) end
assert(vals[4] == 0 and vals[5] == "x", "what had come is still there")
local v, e = rota.pget(slow(1))
assert(e and e.code == "no_cluster", "a later task")
assert(not pcall(A), "a later actor")
local ok, why = pcall(rota.put, ("x"):rep(100000))
assert(not ok and tostring(why):find "the node died", "a later object: " .. tostring(why))
print "told"
