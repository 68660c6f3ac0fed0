-- small.lua - a store of a few MiB serves many processes: what one was lent and does not use is there for the others
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is = T.ok, T.is
rota.init { address = "private", cpus = 2, store = "16M" }

local Holder = rota.actor {
	new = function(self) self.refs = {} end,
	hold = function(self, n) self.refs[#self.refs + 1] = rota.put(("h"):rep(n)) return #self.refs end,
	check = function(self)
		for _, r in ipairs(self.refs) do
			local s = rota.get(r, { as = "string" })
			if s:find "[^h]" then return false end
		end
		return true
	end,
	spin = function(self, path)			-- busy in plain Lua until the file is gone
		self.refs[#self.refs + 1] = rota.put(("h"):rep(5000))
		local f = io.open(path)
		while f do f:close() f = io.open(path) end
		return true
	end,
}

-- each has an object in an extent of its own, which has room for more
local h = {}
for i = 1, 24 do h[i] = Holder() end
for i = 1, 24 do is(rota.get(h[i]:hold(130000 + i * 100)), 1, "holder " .. i) end
local refs = {}
for i = 1, 32 do refs[i] = rota.put(("b"):rep(180000)) end
is(#rota.get(refs[32], { as = "string" }), 180000, "then 6 MB are put, where 12 MiB are lent")
local most = 0
for _, m in ipairs(core.list "memory") do
	if m.objects == 1 then most = math.max(most, m.lent) end
end
ok(most < 512 << 10, "each gave back what it did not use", most)

-- also from those that are busy and come to nothing else
local path = os.tmpname()
refs = nil
T.collect()
local busy = { h[1]:spin(path), h[2]:spin(path) }
rota.get(h[3]:hold(6000))
refs = {}
for i = 1, 11 do refs[i] = rota.put(("b"):rep(1 << 20)) end
os.remove(path)
is(#rota.get(refs[11], { as = "string" }), 1 << 20, "and while two of them are busy")
rota.get(busy)

-- what a killed process was lent is there for others at once; what it had given to the node stays, what was its own goes
refs = nil
T.collect()
local Victim = rota.actor {
	fill = function(self)
		self.refs = {}
		for i = 1, 9 do self.refs[i] = rota.put(("v"):rep(1 << 20)) end
		rota.keep(rota.put(("k"):rep(500000)), { name = "legacy" })
		return rota.context().worker or true
	end,
	pid = function() return io.open("/proc/self/stat"):read "n" end,
}
local victim = Victim()
rota.get(victim:fill())
os.execute("kill -KILL " .. rota.get(victim:pid()))
T.has(select(2, rota.pget(victim:pid())), "", "killed")
refs = {}
for i = 1, 8 do refs[i] = rota.put(("b"):rep(1 << 20)) end
local owners = {}
for _, m in ipairs(core.list "memory") do owners[m.owner] = m.bytes end
is(owners.dead, nil, "nothing of a killed process is left")
is(rota.get(rota.lookup "legacy", { as = "string" }) == ("k"):rep(500000), true, "but what it gave to the node")

-- all at once: twice the store, in objects of all sizes
refs = nil
T.collect()
local calls = {}
for round = 1, 10 do
	for i = 1, 24 do calls[#calls + 1] = h[i]:hold(20000 * ((i + round) % 13 + 1)) end
end
rota.get(calls)
local good = 0
for i = 1, 24 do calls[i] = h[i]:check() end
for i = 1, 24 do good = good + (rota.get(calls[i]) and 1 or 0) end
is(good, 24, "24 that make 34 MB together find all of it again")
for i = 1, 24 do rota.kill(h[i]) end
T.done()
