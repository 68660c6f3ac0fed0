-- lost.lua - a node vanishes with what was made there: it is made again elsewhere (t/abroad_objects.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local make = rota.task(function(n, i) rota.sleep(0.03) return (("%09d,"):format(i)):rep(n // 10), os.getenv "ROTA_WORKER":match "^%d+" end)
local function right(refs, n)
	local wrong, there = 0, {}
	for i = 1, #refs do
		local s, who = rota.get(refs[i])
		if s ~= (("%09d,"):format(i)):rep(n // 10) then wrong = wrong + 1 end
		there[who] = true
	end
	local nodes = 0
	for _ in pairs(there) do nodes = nodes + 1 end
	return wrong, nodes
end
local seen, unseen = {}, {}
for i = 1, 40 do seen[i] = make(100000, i) end
local wrong, nodes = right(seen, 100000)
T.is({ wrong, nodes }, { 0, 2 }, "40 values of two nodes")
for i = 1, 40 do unseen[i] = make(110000, i) end
rota.wait(unseen)
local inner = rota.task(function(n) return rota.put(("p"):rep(n)) end)
io.open(os.getenv "DIE", "w"):close()
io.open(os.getenv "DEAD"):close()
wrong, nodes = right(unseen, 110000)
T.is({ wrong, nodes }, { 0, 1 }, "those that lay where nobody is any more were made again")
T.is(right(seen, 100000), 0, "those that had been fetched are here")
T.done()
