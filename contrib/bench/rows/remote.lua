-- remote.lua sync|pipelined|object|broadcast HOSTS - what remote.sh measures; prints one number
local rota = require "rota"
local what, hosts = arg[1], tonumber(arg[2])
rota.init()
local t0 = rota.now()
while #rota.nodes() < hosts and rota.now() - t0 < 20 do rota.sleep(0.05) end
local noop = rota.task(function() end)
local here = rota.context().node
local where = rota.task(function() rota.sleep(0.2) return rota.context().node end)

local function rate(f, n, seconds)		-- warm, then how many a second
	f(n)
	local start, ops, took = rota.now(), 0, 0
	repeat
		f(n)
		ops, took = ops + n, rota.now() - start
	until took >= seconds
	return ops / took
end

if what == "sync" then
	assert(rota.get(where()) ~= here, "the task ran on this host")
	print(rate(function(n) for _ = 1, n do rota.get(noop()) end end, 1000, 1))
elseif what == "pipelined" then
	print(rate(function(n)
		local refs = {}
		for i = 1, n do refs[i] = noop() end
		rota.get(refs)
	end, 100000, 1))
elseif what == "object" then			-- a task there reads the last byte of a buffer of this host: the best of three
	local size, best = 1 << 30, 0
	local last = rota.task(function(b) return b[#b], rota.context().node end)
	for i = 1, 3 do
		local buffer = rota.buffer(size, "u8")
		buffer:fill(i)
		local ref = rota.put(buffer)
		buffer = nil
		collectgarbage()
		local start = rota.now()
		local v, node = rota.get(last(ref))
		best = math.max(best, size / (rota.now() - start) / 1e9)
		assert(v == i and node ~= here, "it was read here, or wrong")
		rota.free(ref)
		rota.sleep(0.3)
	end
	print(best)
elseif what == "broadcast" then			-- a task on each other host reads 256 MiB
	local buffer = rota.buffer(256 << 20, "u8")
	buffer:fill(7)
	local ref = rota.put(buffer)
	local last = rota.task(function(b) rota.sleep(0.5) return b[#b] .. " " .. rota.context().node end)
	local refs, seen, n, start = {}, {}, 0, rota.now()
	for i = 1, hosts - 1 do refs[i] = last(ref) end
	for _, v in ipairs(rota.get(refs)) do
		assert(v:match "^7 ")
		if not seen[v] then n = n + 1 end
		seen[v] = true
	end
	local took = rota.now() - start - 0.5
	assert(n == hosts - 1, n .. " hosts read it, not " .. hosts - 1)
	print(took)
end
