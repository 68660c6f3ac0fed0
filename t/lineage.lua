-- lineage.lua - objects whose copy on the disk is damaged: tasks make them again, ancestors too; what cannot be made again says why
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local S = { as = "string" }
rota.init { address = "private", cpus = 2, store = "32M" }

local rlet = rota.nodes()[1].pid
local function damage()				-- every byte in rlet's spill files
	local p = io.popen(("for f in /proc/%d/fd/*; do case $(readlink $f) in *'(deleted)'*) [ -s $f ] && [ -f $f ] && echo $f $(stat -Lc %%s $f);; esac; done"):format(rlet))
	local n = 0
	for line in p:lines() do
		local f, bytes = line:match "^(%S+) (%d+)$"
		local kind = io.popen("readlink " .. f):read "a"
		if not kind:find("memfd", 1, true) and tonumber(bytes) ~= 32 << 20 then
			os.execute(("tr '\\0' x </dev/zero | head -c %s | dd of=%s bs=1M conv=notrunc status=none"):format(bytes, f))
			n = n + 1
		end
	end
	p:close()
	return n
end
local junk = {}
local function push_out()			-- everything older leaves the arena
	local old, left = {}, 0
	T.collect()
	for _, o in ipairs(core.list "objects") do old[o.id] = true end
	for round = 1, 20 do
		for i = 1, 60 do junk[i] = rota.put(("j"):rep(900000)) end
		left = 0
		for _, o in ipairs(core.list "objects") do
			if old[o.id] and o.where ~= "disk" then left = left + 1 end
		end
		for i = 1, 60 do junk[i] = nil end
		T.collect()
		if left == 0 then return end
	end
	error(left .. " objects stay in the arena")
end

local make = rota.task(function(c, n) return c:rep(n) end)
local more = rota.task(function(s, c) return s .. c:rep(200000) end)
local runs = rota.task(function() return 1 end)

local a = make("a", 500000)
is(#rota.get(a), 500000, "made")
push_out()
ok(damage() >= 1, "the files of the node were damaged")
is(rota.get(a, S) == ("a"):rep(500000), true, "made again by its task")

-- a chain: the ones between are gone, they are made again too
local b = make("b", 300000)
for _, c in ipairs { "c", "d", "e" } do b = more(b, c) end
is(#rota.get(b, S), 900000, "a chain")
T.collect()
push_out()
damage()
is(rota.get(b, S) == ("b"):rep(300000) .. ("c"):rep(200000) .. ("d"):rep(200000) .. ("e"):rep(200000), true, "a chain is made again from its begin")

-- a task reads what is lost
local d = make("d", 400000)
rota.get(d, S)
push_out()
damage()
is(rota.get(rota.task(function(s) return #s end)(d)), 400000, "made again for a task that wants it")
rota.get(d, S)
push_out()
damage()
is(rota.get(rota.task(function(t) return #rota.get(t[1], { as = "string" }) end)({ d })), 400000, "made again for a task that holds it")

-- what cannot be made again
local p = rota.put(("p"):rep(400000))
local q = more(p, "q")
local once = make:with { retries = 0 }("o", 400000)
rota.get({ q, once })
push_out()
damage()
local e = raises("was put", "an object that was put", rota.get, p, S)
ok(e and e.code == "lost", "its code", e and e.code)
has(e, "damaged", "and why it is lost")
raises("may not run again", "the result of a task without retries", rota.get, once, S)
raises("", "made from one that is lost: it fails with its argument", rota.get, q, S)
p = rota.put(("p"):rep(400000))
q = more(p, "q")
local id = p:id()
rota.get(q, S)
p = nil
T.collect()
push_out()
damage()
has(raises("cannot be made again", "made from one that was dropped", rota.get, q, S), id, "the ancestor is named")
T.done()
