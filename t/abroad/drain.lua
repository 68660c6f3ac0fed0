-- drain.lua - a node is to drain: what was made there for us, and may not be made again, is fetched before it ends (t/abroad_objects.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local make = rota.task(function(n, i) rota.sleep(0.03) return (("%09d,"):format(i)):rep(n // 10), os.getenv "ROTA_WORKER":match "^%d+" end):with { retries = 0 }
local refs, there = {}, {}
for i = 1, 40 do refs[i] = make(100000 + 10 * i, i) end
rota.wait(refs)
io.open(os.getenv "DIE", "w"):close()
io.open(os.getenv "DEAD"):close()
local wrong = 0
for i = 1, 40 do
	local s, node = rota.get(refs[i])
	there[node] = true
	if s ~= (("%09d,"):format(i)):rep((100000 + 10 * i) // 10) then wrong = wrong + 1 end
end
T.is(wrong, 0, "all values are there")
local nodes = 0
for _ in pairs(there) do nodes = nodes + 1 end
T.is(nodes, 2, "of two nodes, one of which has ended")
T.done()
