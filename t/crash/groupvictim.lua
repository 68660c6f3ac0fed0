-- groupvictim.lua - a driver that is to be killed: groups that are placed, in use, waiting, and made and removed meanwhile
local rota = require "rota"
rota.init { namespace = "victims" }
local nap = rota.task(function(s) rota.sleep(s) return s end)
local A = rota.actor { work = function(self, s) rota.sleep(s) end }
local keep = {}
for i = 1, 3 do
	local g = rota.group({ { cpus = 0.1 }, { cpus = 0.1 } }, "spread")
	local a = A:with { group = g, bundle = 1, cpus = 0.1, restarts = 3 }()
	keep[#keep + 1] = { g, a, a:work(60), nap:with { group = g, bundle = 2, cpus = 0.1, capture = true }(60) }
end
for i = 1, 3 do				-- no room beside the others
	local g = rota.group { { cpus = rota.nodes()[1].cpus } }
	keep[#keep + 1] = { g, nap:with { group = g }(0) }
end
keep[1][1]:wait(30)
io.stdout:write "made\n"
io.stdout:flush()
while true do
	local g <close> = rota.group({ { cpus = 0.1 } }, "pack", { name = "again" })
	rota.pget(nap:with { group = g, cpus = 0.1 }(0))
end
