-- buffer-add, buffer-sum: c = a + b and the sum of 16M f32, one core, against memory bandwidth in the same run
-- Traffic of add is two arrays read and one written, against that of memcpy; of sum one read, against plain reading.
-- buffer-new is a + b into a buffer that is made for it.
local rota = require "rota"

local function bandwidth()
	local f = io.popen((os.getenv "O" or "../../../build") .. "/contrib/bench/bandwidth 64")
	local reading, moving = f:read("n", "n")
	f:close()
	return reading, moving
end

local n = 16 << 20
local a, b, c = rota.buffer.full(n, 1.5, "f32"), rota.buffer.full(n, 2.5, "f32"), rota.buffer.ones(n, "f32")

local function speed(bytes, f)
	local t = {}
	for i = 1, 9 do
		local start = rota.now()
		f()
		t[i] = rota.now() - start
	end
	table.sort(t)
	return bytes / t[5] / 1e9
end

local reading, moving = bandwidth()
local add = speed(12 * n, function() a:add(b, c) end)
local sum = speed(4 * n, function() a:sum() end)
local new = speed(12 * n, function() local _ = a + b end)
local reading2, moving2 = bandwidth()		-- before and after, as other load comes and goes
assert(c:min() == 4 and c:max() == 4 and a:sum() == 1.5 * n)
reading, moving = (reading + reading2) / 2, (moving + moving2) / 2
print(("buffer-add %.3f\nbuffer-sum %.3f\nbuffer-add-speed %.2f\nbuffer-sum-speed %.2f\nbuffer-new-speed %.2f"):format(
    add / moving, sum / reading, add, sum, new))
