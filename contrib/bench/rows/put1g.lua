-- put-1G: puts of a buffer of 1 GiB against memcpy into warm shared memory in the same run
-- put-1G-first is the first put into fresh memory, put-1G-speed the median of the second to the fifth.
local rota = require "rota"
rota.init{ store = "3G" }

local function memcpy_of()
	local f = io.popen((os.getenv "O" or "../../../build") .. "/contrib/bench/memcpy 1024")
	local speed = f:read "n"
	f:close()
	return speed
end

local memcpy = memcpy_of()
local buffer = rota.buffer(1 << 30, "u8")
buffer:fill(1)
local speed, first = {}, nil
for i = 1, 5 do
	local start = rota.now()
	local ref = rota.put(buffer)
	speed[i] = (1 << 30) / (rota.now() - start) / 1e9
	ref:free()
end
first = table.remove(speed, 1)
table.sort(speed)
local later = (speed[2] + speed[3]) / 2
buffer = nil
collectgarbage()
memcpy = math.max(memcpy, memcpy_of())	-- before and after, as other load comes and goes
print(("put-1G-first %.2f\nput-1G-speed %.2f\nmemcpy-1G %.2f\nput-1G %.3f"):format(first, later, memcpy, later / memcpy))
