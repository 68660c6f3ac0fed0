-- fragment.lua - a store that has room, but none that lies together, gets it back without a disk: objects move within it; arguments SEED, "kill"
if os.getenv "ROTA_SPILL" ~= "/proc/nowhere" then		-- the node that we start has no place to move objects to
	local _, _, status = os.execute(("ROTA_SPILL=/proc/nowhere exec rlua '%s' '%s' '%s'"):format(arg[0], arg[1] or "", arg[2] or ""))
	os.exit(status)
end
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local kill = arg[2] == "kill"
local seed = math.tointeger(arg[1]) or os.time()
math.randomseed(seed)
print("# seed " .. seed)
rota.init { address = not kill and "private" or nil, cpus = 2, store = "64M" }

-- a value tells by itself whether it is right
local function text(i, n) return ("%08d%08d"):format(i, n) .. string.char(97 + i % 26):rep(n - 16) end
local function right(s, i, n)
	if type(s) ~= "string" then s = s:string() end
	return #s == n and s:sub(1, 16) == ("%08d%08d"):format(i, n) and s:find("^" .. string.char(97 + i % 26) .. "*$", 17) ~= nil
end
local make = rota.task(text):with { retries = -1 }
local check = rota.task(right):with { retries = -1 }
local inside = rota.task(function(t, i, n) return right(rota.get(t.ref), i, n) end):with { retries = -1 }
local Holder = rota.actor {		-- a borrower that keeps its reference over the move
	new = function(self) self.t = {} end,
	hold = function(self, t, i, n) self.t[#self.t + 1] = { t.ref, i, n } return #self.t end,
	check = function(self)
		local bad = 0
		for _, h in ipairs(self.t) do if not right(rota.get(h[1]), h[2], h[3]) then bad = bad + 1 end end
		self.t = {}
		return bad
	end,
}
local holder = not kill and Holder() or nil

local pinned = rota.put(text(0, 1200000))
local view = rota.get(pinned)

local address = kill and "" or " -A pid:" .. io.open("/proc/self/stat"):read "n"
local number = 0
local function fragment()		-- most of the store is used, then every 12th object is left
	local all, sum = {}, 0
	while sum < 30 << 20 do
		number = number + 1
		local n = math.random(3) > 1 and math.random(5000, 40000) or math.random(40000, 250000)
		local ref = number % 5 == 0 and make(number, n) or rota.put(text(number, n))
		all[#all + 1] = { ref = ref, i = number, n = n }
		sum = sum + n
	end
	for _, o in ipairs(all) do rota.wait({ o.ref }, { timeout = 30 }) end
	local left = {}
	for k = 1, #all, 12 do
		local o = all[k]
		left[#left + 1] = o
		if number % 3 == 0 and k % 5 == 0 then rota.keep(o.ref, { name = "kept" .. o.i }) o.name = "kept" .. o.i end
		if holder and k % 4 == 1 then rota.get(holder:hold({ ref = o.ref }, o.i, o.n)) end
	end
	return left
end

local function wrong(left)
	local bad, asked = 0, {}
	for k, o in ipairs(left) do
		if not right(rota.get(o.ref), o.i, o.n) then bad = bad + 1 end
		asked[k] = k % 2 == 0 and check(o.ref, o.i, o.n) or inside({ ref = o.ref }, o.i, o.n)
	end
	for _, v in ipairs(rota.get(asked, 60)) do if v ~= true then bad = bad + 1 end end
	for _, o in ipairs(left) do
		if o.name then
			if not right(rota.get(rota.lookup(o.name)), o.i, o.n) then bad = bad + 1 end
			os.execute(("robj -q%s rm %s"):format(address, o.name))
		end
	end
	return bad
end

for round = 1, os.getenv "ROTA_LONG" == "1" and 20 or 3 do
	local left = fragment()
	T.collect()
	local killer = kill and io.popen(("sleep 0.%03d; kill -9 %d 2>&1"):format(math.random(0, 300), rota.nodes()[1].pid))
	local n = math.random(38 << 20, 44 << 20)
	local good, big = pcall(rota.put, ("b"):rep(n))
	T.ok(good, ("round %d: %.1f MiB fit between %d objects"):format(round, n / (1 << 20), #left), big)
	if killer then killer:close() end
	if good then T.ok(#rota.get(big) == n, "and are there") end
	big = nil
	if holder then T.is(rota.get(holder:check(), 60), 0, "who had a reference before finds what it means") end
	T.is(wrong(left), 0, "all that were left are right")
end
T.ok(right(view, 0, 1200000), "what is looked at stays where it is")

view, pinned, holder = nil, nil, nil
T.no_objects(core)
local good, e = pcall(rota.put, ("e"):rep(55 << 20))
T.ok(good, "and all room is there", e)
T.done()
