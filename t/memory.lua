-- memory.lua - memory= is a limit: what goes over it fails with oom and says so, and harms nobody else
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local rota = require "rota"
local T = require "tap"
local ok, is, has = T.ok, T.is, T.has
rota.init { address = "private", cpus = 2 }

local function vmdata()
	for l in io.lines "/proc/self/status" do
		local kb = l:match "^VmData:%s*(%d+)"
		if kb then return tonumber(kb) / 1024 end
	end
end
if rota.get(rota.task(vmdata)()) > 4096 then print "1..0 # SKIP a sanitizer has taken the address space" os.exit(0) end

local function fill(mb)			-- makes and keeps so many MiB; the pid
	local t = {}
	for i = 1, mb do t[i] = ("x"):rep(1 << 20) end
	return io.open("/proc/self/stat"):read "n"
end
local f = rota.task(fill):with { memory = "64M", name = "fill" }

ok(rota.pget(f(40)), "what fits")
local v, e = rota.pget(f(100))
ok(v == nil and e.code == "oom", "what does not", v, e and e.code)
has(e, "not enough memory: its limit is 64.0 MiB (memory=)", "the words")
local lua = tonumber(tostring(e):match "%(memory=%), ([%d.]+) MiB were in values of Lua$")
ok(lua and lua > 40 and lua < 80, "and what it was for", e)
ok(e.task == "fill" and e.attempt == 1, "it is not tried again", e.task, e.attempt)
for i = 1, 6 do
	v, e = rota.pget(f(50))
	if not v then break end
end
ok(v, "garbage of those before does not count", e)
v, e = rota.pget(rota.task(fill)(100))
ok(v, "without a claim there is no limit, whatever the worker ran before", e)
ok(rota.pget(f(50)), "and it comes back")
v = rota.get(rota.task(function(n)
	local good, err = pcall(string.rep, "x", n << 20)
	return good, tostring(err), #("y"):rep(1 << 20)
end):with { memory = "64M" }(200))
is(v, false, "an allocation that fails can be caught")

-- what lies in shared memory is nobody's own
v, e = rota.pget(rota.task(function(n)
	local b = rota.buffer(n, "f64")
	for i = 1, n, 512 do b[i] = i end
	return rota.put(b)
end):with { memory = "64M" }(2 << 20))
ok(v and #rota.get(v) == 2 << 20, "16 MiB of 64 are put", e)
local big = rota.put(("z"):rep(100 << 20))
is(rota.pget(rota.task(function(r) return #rota.get(r[1]) end):with { memory = "256M" }({ big })), 100 << 20, "an object of 100 MiB is read under 256")
big = nil

-- the limit holds for each program that a task starts
local out = rota.pget(rota.task(function()
	local p = io.popen "ulimit -d"
	return p:read "a"
end):with { memory = "64M" }())
ok(tonumber(out) and tonumber(out) >= 64 << 10 and tonumber(out) < 128 << 10, "programs inherit it", out)

-- actors: constructor and methods
local Hoard = rota.actor {
	new = function(self, mb) self.t = {} if mb then self:grow(mb) end end,
	grow = function(self, mb) for i = 1, mb do self.t[#self.t + 1] = ("x"):rep(1 << 20) end return #self.t end,
	drop = function(self) self.t = {} return true end,
}
local a = Hoard:with { memory = "64M" }()
is(rota.pget(a:grow(30)), 30, "an actor within its limit")
v, e = rota.pget(a:grow(60))
ok(v == nil and e.code == "oom", "a call over it fails", v, e and e.code)
ok(rota.pget(a:drop()), "the actor lives")
is(rota.pget(a:grow(30)), 30, "and has its memory back")
v, e = rota.pget(Hoard:with { memory = "64M" }(100):grow(1))
ok(v == nil and tostring(e):find "not enough memory", "a constructor over it fails", v, e)

-- children without a claim of their own do not run under the limit of a parent that waits
v, e = rota.pget(rota.task(function(fn, mb) return rota.get(fn(mb)) end):with { memory = "64M" }(rota.task(fill), 100))
ok(v, "a child has its own claim", e)

-- what an earlier task left is not room for one that has a limit
for i = 1, 4 do
	rota.pget { rota.task(fill)(150), rota.task(fill)(150) }
	v, e = rota.pget { f(100), f(100) }
	ok(not v[1] and not v[2] and e[1].code == "oom" and e[2].code == "oom", "it is not lent from before", v[1], v[2])
end

-- at once and mixed with others
local refs = {}
for i = 1, 40 do refs[i] = (i % 3 == 0 and f or rota.task(fill))(i % 3 == 0 and i % 2 == 0 and 100 or 5) end
local vals, errs = rota.pget(refs)
local wrong = 0
for i = 1, 40 do
	local over = i % 6 == 0
	if (vals[i] == nil) ~= over or over and errs[i].code ~= "oom" then wrong = wrong + 1 end
end
is(wrong, 0, "40 tasks, some over their limit")
T.done()
