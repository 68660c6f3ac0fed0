-- anyprog.lua - a program for any.lua with much that is to go with it: a set of programs, a group, commands that leave others running
local rota = require "rota"
rota.init()
local programs = rota.set(rota.cmd { "sh", "-c", "sleep 1000 & exec cat" }:actor { mode = "line" }, { n = 2 })
local group = rota.group { { cpus = 1 } }
local leaves = rota.task(function() os.execute "sleep 1001 & setsid sleep 1002 & sleep 1003" end):with { retries = -1 }
local Nap = rota.actor { nap = function() os.execute "sleep 1004" end }
local naps, refs = {}, {}
for i = 1, 2 do
	naps[i] = Nap:with { cpus = 0, restarts = -1, group = i == 1 and group or nil } ()
	refs[i] = naps[i]:nap()
end
refs[3] = leaves()
while true do
	rota.pget(programs:call "word", 1)
	rota.pget(refs, 1)
end
