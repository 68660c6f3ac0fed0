-- chan-64: messages of 64 bytes from a task to the driver; chan-1M: messages of 1 MiB both ways of memcpy in the same run
-- chan-1M-speed counts what went through once; each byte is written by the sender and read out by the receiver.
local rota = require "rota"
rota.init { cpus = 2 }

local function memcpy_of()
	local f = io.popen((os.getenv "O" or "../../../build") .. "/contrib/bench/memcpy 1024")
	local speed = f:read "n"
	f:close()
	return speed
end

local sender = rota.task(function(w, text, n)
	for _ = 1, n do w:write(text) end
	w:close()
end)

local function rate(size, n, bytes)
	local w, r = rota.channel { bytes = bytes }
	local done = sender(w, ("m"):rep(size), n)
	local into = rota.buffer(size, "u8")
	assert(r:read(into) == size)			-- the task runs
	local start, got = rota.now(), 0
	while r:read(into) do got = got + 1 end
	assert(got == n - 1)
	rota.get(done)
	return got / (rota.now() - start)
end

rate(64, 1000, "1M")
print(("chan-64 %.0f"):format(rate(64, 3000000, "1M")))
local memcpy = memcpy_of()
local speed = rate(1 << 20, 4000, "16M") * (1 << 20) / 1e9
memcpy = math.max(memcpy, memcpy_of())
print(("chan-1M-speed %.2f\nchan-1M %.3f"):format(speed, speed / memcpy))
