-- near.lua - tasks go where most of their argument bytes are (t/abroad_objects.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local make = rota.task(function(n) rota.sleep(0.05) return ("x"):rep(n), os.getenv "ROTA_WORKER":match "^%d+" end)
local use = rota.task(function(s, t) rota.sleep(0.02) return os.getenv "ROTA_WORKER":match "^%d+" end)
local refs = {}
for i = 1, 24 do refs[i] = make(400000) end
rota.wait(refs)
local there, near, n, used = {}, 0, 0, {}
for i = 1, 24 do used[i] = use(refs[i], i) end
for i = 1, 24 do
	local who = rota.get(used[i])
	local _, made = rota.get(refs[i])
	there[made] = true
	if who == made then near = near + 1 end
end
for _ in pairs(there) do n = n + 1 end
T.is(n, 2, "24 values, of two nodes")
T.ok(near >= 16, "most are used where they were made", near)
-- nodes that had nothing to say to each other before
local both, wrong = rota.task(function(s, t) return #s + #t end), 0
for i = 1, 12 do used[i] = both(refs[i], refs[25 - i]) end
for i = 1, 12 do wrong = wrong + (rota.get(used[i]) == 800000 and 0 or 1) end
T.is(wrong, 0, "values of both as arguments of one task")
T.done()
