-- spill.lua - more than the stores of two nodes hold: copies go, what is the only one goes to the disk (t/abroad_objects.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local function text(i) return (("%09d,"):format(i)):rep(200000) end
local make = rota.task(function(i) return (("%09d,"):format(i)):rep(200000) end)
local same = rota.task(function(s, i) return (type(s) == "string" and s or s:string()) == (("%09d,"):format(i)):rep(200000) end)
local function str(s) return type(s) == "string" and s or s:string() end
local far, put, wrong = {}, {}, 0
for i = 1, 40 do far[i] = make(i) end
for round = 1, 2 do
	for i = 1, 40 do if str(rota.get(far[i])) ~= text(i) then wrong = wrong + 1 end end
	T.is(wrong, 0, "values of 80 MB there, fetched one by one, round " .. round)
end
for i = 1, 40 do put[i] = rota.put(text(i)) end
for i = 1, 40 do if not rota.get(same(put[i], i)) then wrong = wrong + 1 end end
T.is(wrong, 0, "80 MB that were put here, used there")
for i = 1, 40 do put[i] = same(text(i), i) end
for i = 1, 40 do if not rota.get(put[i]) then wrong = wrong + 1 end end
T.is(wrong, 0, "arguments of 80 MB at once")
for i = 1, 40 do if not rota.get(same(far[i], i)) then wrong = wrong + 1 end end
T.is(wrong, 0, "and the values again, there")
T.done()
