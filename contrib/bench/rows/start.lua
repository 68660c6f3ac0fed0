-- start: a program starts where no node runs, submits a task and has its result; the median of 5
local now = require "rota".now

local times = {}
for i = 1, 5 do
	local start = now()
	local f = io.popen("ROTA_DIR=$(mktemp -d -p $ROTA_DIR) exec rlua first.lua")
	times[i] = assert(tonumber(f:read "l")) - start
	f:close()
end
table.sort(times)
print(("start %.4f"):format(times[3]))
