-- damage.lua - the disk that objects lie on flips bits, loses its end, mixes places up: who reads gets what was written or one clear error, nobody else is harmed; argument SEED
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local seed = math.tointeger(arg[1]) or os.time()
math.randomseed(seed)
print("# seed " .. seed)
rota.init { address = "private", cpus = 1, store = "16M" }
local rlet = rota.nodes()[1].pid

local function text(i, n) return ("%08d%08d"):format(i, n) .. string.char(97 + i % 26):rep(n - 16) end
local function files()				-- of spilled objects: path and size
	local v = {}
	for line in io.popen(("find /proc/%d/fd -printf '%%p %%l\\n' 2>/dev/null"):format(rlet)):lines() do
		local f, name = line:match "^(%S+) (.*)$"
		if name and name:find("/spill/", 1, true) and name:find "%(deleted%)$" then
			local size = tonumber(io.popen("stat -Lc %s " .. f):read "a")
			if size > 1 << 16 then v[#v + 1] = { path = f, size = size, dir = name:match "^(.*)/" } end
		end
	end
	return v
end
local number, all = 0, nil
local function fill()				-- more than the store: most of it leaves
	all = {}
	local sum = 0
	while sum < 22 << 20 do
		number = number + 1
		local n = math.random(3) > 1 and math.random(5000, 200000) or math.random(200000, 900000)
		all[#all + 1] = { ref = rota.put(text(number, n)), i = number, n = n }
		sum = sum + n
	end
end
local function bytes(f, at, n)
	local h <close> = assert(io.open(f.path, "rb"))
	h:seek("set", at)
	return h:read(n) or ""
end
local function write(f, at, s)
	local h <close> = assert(io.open(f.path, "r+b"))
	h:seek("set", at)
	h:write(s)
end

local harm = {				-- each: how many objects it may cost at most
	{ "bits are flipped", function(v)
		local n = math.random(1, 8)
		for _ = 1, n do
			local f = v[math.random(#v)]
			local at = math.random(0, f.size - 1)
			write(f, at, string.char(bytes(f, at, 1):byte() ~ 1 << math.random(0, 7)))
		end
		return n
	end },
	{ "a record is another one's", function(v)
		local f = v[math.random(#v)]
		local from, to = math.random(0, f.size // 4096 - 2) * 4096, math.random(0, f.size // 4096 - 2) * 4096
		write(f, to, bytes(f, from, 4096))
		return 4096 // 64
	end },
	{ "the end is lost", function(v)
		local f = v[math.random(#v)]
		os.execute(("truncate -s %d %s"):format(math.random(0, f.size), f.path))
		return math.huge
	end },
	{ "the directory is removed", function(v)
		os.execute("rmdir '" .. v[1].dir .. "'")
		return 0
	end },
}

for _, h in ipairs(harm) do
	fill()
	local v = files()
	T.ok(#v > 0, h[1] .. ": objects lie on the disk")
	if #v == 0 then break end
	local most, lost, wrong, why = h[2](v), 0, 0, nil
	for _, o in ipairs(all) do
		local got, e = rota.pget(o.ref, { as = "string" })
		if got ~= nil then
			if got ~= text(o.i, o.n) then wrong = wrong + 1 end
		else
			lost = lost + 1
			if e.code ~= "lost" or not tostring(e):find("damaged", 1, true) or not tostring(e):find(o.ref:id(), 1, true) then why = tostring(e) end
		end
	end
	T.is(wrong, 0, "nothing that is read is wrong")
	T.ok(lost <= most, ("%d of %d objects are lost"):format(lost, #all), "at most", most)
	T.ok(why == nil, "the error names the object and what it is", why)
	all = nil
	T.collect()
end
fill()
local right = 0
for _, o in ipairs(all) do right = right + (rota.get(o.ref, { as = "string" }) == text(o.i, o.n) and 1 or 0) end
T.is(right, #all, "then all is well")
all = nil
T.no_objects(core)
T.is(#files(), 0, "no file either")
T.done()
