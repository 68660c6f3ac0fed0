-- orphan.lua - a driver whose node is killed, keeper and all: what it waits for fails at once, so does what it asks later
local rota = require "rota"
local slow = rota.task(function(s) rota.sleep(s) return s end)
local A = rota.actor { f = function(self) rota.sleep(60) end, pending = function() return { slow(60) } end }
local a, late = A(), rota.actor { new = function() rota.sleep(60) end, f = function() end }()
local tries = os.tmpname()
local dies = rota.task(function(path)			-- its third attempt comes a second after the second one
	local f <close> = io.open(path, "a")
	f:write "x"
	f:close()
	os.exit(1)
end)
local lent = rota.get(a:pending())[1]
local refs = { slow(60), slow(60), a:f(), slow(0), rota.put "x", a:f(), late:f(), lent, dies(tries) }
rota.get(refs[4])
repeat
	rota.sleep(0.001)
	local f <close> = io.open(tries)
until #f:read "a" >= 2
os.remove(tries)
local daemon = rota.nodes()[1].pid		-- its parent is the keeper; without that nobody takes over
print(io.open("/proc/" .. daemon .. "/stat"):read "a":match "%) %a (%d+)")
io.stdout:flush()
local vals, errs = rota.pget(refs)
local codes = { "no_cluster", "no_cluster", "actor_died", [6] = "actor_died", [7] = "actor_died", [8] = "no_cluster", [9] = "no_cluster" }
local also = { [8] = "lost", [9] = "crashed" }		-- its owner, or its worker, was seen to be gone first
for i, code in pairs(codes) do
	local got = errs[i] and errs[i].code
	assert(got == code or (got and got == also[i]), ("%d: %s, not %s: %s"):format(i, got, code, errs[i]))
end
assert(vals[4] == 0 and vals[5] == "x", "what had come is still there")
local v, e = rota.pget(slow(1))
assert(e and e.code == "no_cluster", "a later task")
assert(not pcall(A), "a later actor")
local ok, why = pcall(rota.put, ("x"):rep(100000))
assert(not ok and tostring(why):find "the node died", "a later object: " .. tostring(why))
print "told"
