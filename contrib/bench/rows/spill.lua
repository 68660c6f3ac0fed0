-- spill: objects through an arena an eighth of their size, to the disk and back, against dd to the same disk and back
-- The ratio is of bytes written and read in both.  8 GiB in objects of 16 MiB; less if the disk has less than thrice that free, or if
-- SPILL_MIB says so.  spill-write and spill-read are the two halves, dd-write and dd-read those of dd, in GB/s.
local rota = require "rota"
local now = rota.now
local BLOCK = 16

local function line(command)
	local f = assert(io.popen(command))
	local text = f:read "l"
	f:close()
	return text
end

local dir = os.getenv "ROTA_SPILL" or os.getenv "ROTA_DIR"
local free = tonumber(line("df -Pk '" .. dir .. "' | awk 'NR == 2 { print int($4 / 1024) }'"))
local mib = tonumber(os.getenv "SPILL_MIB" or "") or 8192
mib = math.min(mib, free // 3) // (8 * BLOCK) * 8 * BLOCK
local n = mib // BLOCK

-- half of it before and half after, as other load comes and goes; direct, as the node writes, so that neither measures free memory
local function dd()
	local file = dir .. "/dd"
	local function speed(what)
		local start = now()
		assert(os.execute(("dd %s bs=%dM count=%d status=none"):format(what, BLOCK, n // 2)))
		return now() - start
	end
	local write = speed("if=/dev/zero of='" .. file .. "' oflag=direct")
	local read = speed("of=/dev/null if='" .. file .. "' iflag=direct")
	os.remove(file)
	return write, read
end

rota.init { address = "private", store = mib // 8 .. "M", cpus = 1 }
local w1, r1 = dd()
local buffer = rota.buffer(BLOCK << 20, "u8")
for i = 1, #buffer, 4096 do buffer[i] = i % 251 end
local refs = {}
local start = now()
for i = 1, n do
	buffer[1] = i % 256
	refs[i] = rota.put(buffer)
end
local write = now() - start
start = now()
for i = 1, n do
	local b = rota.get(refs[i])
	assert(b[1] == i % 256 and b[4097] == buffer[4097], "not what was put")
	b = nil
	refs[i]:free()
end
local read = now() - start
refs = nil
local w2, r2 = dd()
local w, r, bytes = w1 + w2, r1 + r2, mib << 20
local function gb(t) return bytes / t / 1e9 end
print(("spill %.3f\nspill-write %.2f\nspill-read %.2f\ndd-write %.2f\ndd-read %.2f\nspill-mib %d"):format((w + r) / (write + read),
    gb(write), gb(read), gb(w), gb(r), mib))
