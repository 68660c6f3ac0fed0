-- fullstate.lua FILL - the disk of the control store is full, and has room again once the file FILL is removed
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local fill = arg[1]
rota.init { address = "local" }
rota.kv:put("first", "1")
local acked, err = {}, nil
for i = 1, 5000 do
	local key, value = "k" .. i, ("%05d"):format(i):rep(600)
	local ok, e = pcall(rota.kv.put, rota.kv, key, value)
	if not ok then err = e break end
	acked[key] = value
end
T.has(err, "cannot write the control store: No space left on device", "a full disk is a clear error")
T.is(rota.get(rota.task(function() return 7 end)(), 20), 7, "work goes on")
local lost = 0
local function look()
	for key, value in pairs(acked) do if rota.kv:get(key) ~= value then lost = lost + 1 end end
end
look()
os.remove(fill)
local done, why
for _ = 1, 50 do				-- it may be on its way back
	done, why = pcall(rota.kv.put, rota.kv, "room", "2")
	if done then break end
	rota.sleep(0.1)
end
T.ok(done, "with room again it writes", why)
acked.room, acked.first = "2", "1"
local a = rota.actor { f = function() return 5 end }:with { name = "survivor", detached = true }()
T.is(rota.get(a:f(), 20), 5, "actors are made")
look()
T.is(lost, 0, "nothing acknowledged is lost")
rota.kill(a)
T.done()
