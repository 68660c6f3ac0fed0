-- chanother.lua [once] - a program with the other ends of channels of chan.lua: answers each message with its number
local rota = require "rota"
rota.init { namespace = "chans" }
local asked, reply = rota.get(rota.find "box":get())
print "there"
io.flush()
if arg[1] then
	print(asked:recv())
	io.flush()
	asked:recv()
end
while true do
	local m = asked:recv()
	if m == nil then break end
	reply:send(m[1])
end
reply:close()
print "fine"
