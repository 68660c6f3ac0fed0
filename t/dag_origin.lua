-- dag_origin.lua - where an error in a compiled graph comes from, whatever its shape; large values; who may use it
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 6, store = "64M" }
local A = rota.actor {
	new = function(self, name) self.name = name end,
	add = function(self, x, y) return x + (y or 1) end,
	div = function(self, x, y) if y == 0 then error { code = 7, message = self.name .. " divides by 0" } end return x // y end,
	text = function(self, n, c) return (c or "t"):rep(n) end,
	len = function(self, s) return #s end,
	two = function(self, s, t) return #s + #t end,
	same = function(self, x) return x end,
	die = function(self) os.exit(4) end,
	pid = function(self) local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
}
local a, b, c, d = A "a", A "b", A "c", A "d"
local function fails(f) local fine, e = pcall(f.get, f, 20) return not fine and e or nil end
local here = rota.nodes()[1].name

-- branches that meet: the error of either, with its node and method; both: the one of the first argument
local diamond = rota.dag(function(x, y, z)
	local p = a:add(x)
	local q, r = b:div(p, y), c:div(p, z)
	return d:add(q, r)
end):compile()
is(diamond(9, 2, 5):get(), 7, "two branches meet")
local e = fails(diamond(9, 0, 5))
ok(e and e.value.message == "b divides by 0" and e.task:find ":div$" and e.node == here, "an error of one branch", e and e.task, e and e.node)
e = fails(diamond(9, 2, 0))
is(e and e.value.message, "c divides by 0", "of the other one")
e = fails(diamond(9, 0, 0))
is(e and e.value.message, "b divides by 0", "of both")
is(diamond(9, 5, 2):get(), 7, "and it goes on")

-- several outputs: one fails, so does the execution, and the channels of the others stay in step
local fan = rota.dag(function(x, y) local p = a:add(x) return b:div(p, y), c:add(p), d:add(p, y) end):compile()
for i = 1, 20 do
	local f = fan(9, i % 4)
	if i % 4 == 0 then
		e = fails(f)
		if not e or e.value.message ~= "b divides by 0" then ok(false, "execution " .. i, e) end
	else
		local p, q, r = f:get()
		if p ~= 10 // (i % 4) or q ~= 11 or r ~= 10 + i % 4 then ok(false, "execution " .. i, p, q, r) end
	end
end
ok(true, "several outputs stay in step when one fails")

-- through many hops the origin is the first one's, and later methods are not called
local chain = rota.dag(function(x) return d:add(c:add(b:add(a:div(x, 0)))) end):compile()
e = fails(chain(1))
ok(e and e.value.code == 7 and e.task:find ":div$", "three hops from its origin", e and e.task)

-- large values: through rings of 64 KiB, as text and as buffers, alone and two at once, and the memory goes back
local big = rota.dag(function(n, m) return c:two(a:text(n), b:text(m, "u")) end):compile()
is(big(32 << 20, 5 << 20):get(60), 37 << 20, "32 MiB and 5 MiB meet")
local echo = rota.dag(function(x) return b:same(a:same(x)) end):compile { bytes = "1M" }
local buf = rota.buffer(16 << 20)
for i = 1, #buf, 4096 do buf[i] = i % 251 end
local got = echo(buf):get(60)
local same = #got == #buf
for i = 1, #buf, 4096 do same = same and got[i] == buf[i] end
ok(same, "a buffer of 16 MiB, there and back")
local function rss(pid) for l in io.lines("/proc/" .. pid .. "/status") do local k = l:match "^VmRSS:%s+(%d+)" if k then return tonumber(k) end end end
local pid = rota.get(a:pid())
for i = 1, 3 do echo(("s"):rep(8 << 20)):get(60) end
local before = rss(pid)
for i = 1, 20 do if #echo(("s"):rep(8 << 20)):get(60) ~= 8 << 20 then ok(false, "string", i) end end
local till = rota.now() + 20		-- when garbage goes is the collector's; what piles up only grows
while rss(pid) >= before + (32 << 10) and rota.now() < till do echo(("s"):rep(8 << 20)):get(60) end
ok(rss(pid) < before + (32 << 10), "strings of 8 MiB again and again do not pile up", before, rss(pid))

-- whose it is: refused at the call, in a task, in an actor, and in another program
local User = rota.actor { use = function(self, g) return g(1):get() end }
raises("only the process that compiled it", "an actor cannot use it", function() return rota.get(User():use(diamond)) end)
raises("only the process that compiled it", "nor hold it in a table", rota.put, { graph = diamond })
raises("cannot travel", "nor can a future", rota.put, { fan(1, 1) })

-- an actor in two graphs dies: both say so at once, each future that waits, and a graph without it goes on
local g1 = rota.dag(function(x) return b:add(a:die(x)) end):compile()
local g2 = rota.dag(function(x) return c:add(a:add(x)) end):compile()
local g3 = rota.dag(function(x) return c:add(b:add(x)) end):compile()
local t0 = rota.now()
local f1, f2 = g1(1), nil
e = fails(f1)
ok(e and e.code == "actor_died" and e.message:find "called exit%(4%)", "who died, and how", e)
repeat local fine, x = pcall(function() return g2(1):get(20) end) e = not fine and x until e
ok(e.code == "actor_died" and rota.now() - t0 < 15, "the other graph that it was in, too", e, rota.now() - t0)
is(g3(1):get(20), 3, "one without it goes on")
g3:close()
raises("was closed", "until it is closed", g3, 1)
T.done()
