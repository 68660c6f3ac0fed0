-- keys.lua FILE... - every key of the files (load.lua keys) has the value that was acknowledged last, or one that was tried later
local rota = require "rota"
local did, tried, n, bad = {}, {}, 0, 0
for _, name in ipairs(arg) do
	for what, key, v in io.open(name):read "a":gmatch "(%a+) (%S+) (%d+)\n" do
		(what == "did" and did or tried)[key] = tonumber(v)
	end
end
rota.init()
local is = {}
for _, row in ipairs(rota.kv:list "chaos/") do is[row.key] = rota.kv:get(row.key) end
for key, v in pairs(tried) do
	local got, low = is[key], did[key]
	n = n + 1
	if low and (not got or got < low) or got and got > v then
		bad = bad + 1
		print(("key %s is %s: %s was acknowledged, %d tried"):format(key, got, low, v))
	end
end
for key in pairs(is) do
	if not tried[key] then bad = bad + 1 print("key " .. key .. " was written by nobody") end
	rota.kv:del(key)
end
for _, row in ipairs(rota.kv:list "watched/") do bad = bad + 1 print("key " .. row.key .. " is left of a process that is gone") end
print(n .. " keys")
os.exit(bad == 0 and 0 or 1)
