-- prints.lua - what tasks at other nodes print is shown by their driver's stderr (t/abroad_more.t reads it)
local rota = require "rota"
rota.init { address = "local" }
local refs = {}
local say = rota.task(function(i) print("hello", i) io.stderr:write("same\n") io.write "no end" end)
for i = 1, 8 do refs[i] = say(i) end
rota.get(refs)
rota.get(rota.task(function(n) for i = 1, n do print(("line %5d %s"):format(i, ("x"):rep(60))) end end)(10000))
local _, e = rota.pget(rota.task(function() print "last words" os.execute "kill -9 $PPID" rota.sleep(10) end):with { retries = 0 } ())
io.stderr:write("error: " .. tostring(e) .. "\n")		-- in one piece: lines of others may still be on their way
