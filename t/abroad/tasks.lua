-- tasks.lua - tasks of a driver whose node has next to no CPU: another node's workers run them (t/abroad.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has = T.ok, T.is, T.has
local dir = T.tmp()
rota.init { address = "local" }
local here = rota.nodes()[1].pid

-- a worker's name begins with its daemon's process id
local where = rota.task(function(...) return tonumber(os.getenv "ROTA_WORKER":match "^%d+"), ... end)
local pid, a, b = rota.get(where("x", nil))
ok(pid and pid ~= here, "it ran on the other node", pid, here)
is({ a, b }, { "x", nil }, "its values came back")

local inc = rota.task(function(x) return x + 1 end)
local refs, wrong = {}, 0
for i = 1, 5000 do refs[i] = inc(i) end
for i = 1, 5000 do if rota.get(refs[i]) ~= i + 1 then wrong = wrong + 1 end end
is(wrong, 0, "5,000 at once, each has its own value")
local text = ("s"):rep(900)
is(rota.get(rota.task(function(s) return s .. "!" end)(text)), text .. "!", "900 bytes there and back")

function outside(x) return x * 3 end		-- a global: asked of the driver
is(rota.get(rota.task(function(x) return outside(x) end)(5)), 15, "a global of the script")
local v, e = rota.pget(rota.task(function() error "no" end)())
ok(e and e.code == "error" and e:find("no", 1, true), "an error comes back", v, e)
is(rota.get(rota.task(function(n) local r = {} for i = 1, n do r[i] = inc(i) end local s = 0 for i = 1, n do s = s + rota.get(r[i]) end return s end)(20)),
	230, "tasks of a task there")
local held = rota.put { "kept", 1 }
is(rota.get(rota.task(function(t) return rota.get(t[1])[1] end)({ held })), "kept", "a reference in a table is asked of its owner")
is(rota.get(rota.get(rota.task(function() return { inc(41) } end)())[1]), 42, "a reference of a worker there")

-- a worker that dies there: retried, or told
local function tries(name) local n = 0 for _ in io.lines(dir .. "/" .. name) do n = n + 1 end return n end
local dies = rota.task(function(name, k)
	local f <close> = io.open(dir .. "/" .. name, "a")
	f:write "x\n"
	f:close()
	local n = 0
	for _ in io.lines(dir .. "/" .. name) do n = n + 1 end
	if n < k then os.execute "kill -9 $PPID" rota.sleep(10) end
	return n
end)
is(rota.get(dies("once", 2)), 2, "killed once: it runs again")
v, e = rota.pget(dies:with { retries = 1 } ("always", 99))
ok(e and e.code == "crashed" and e:find("SIGKILL", 1, true), "killed each time: it fails, and says by what", v, e)
is(tries "always", 2, "after two attempts")
refs = {}
for i = 1, 200 do refs[i] = i % 50 == 0 and dies("k" .. i, 2) or inc(i) end
local vals, errs = rota.pget(refs)
wrong = 0
for i = 1, 200 do if vals[i] ~= (i % 50 == 0 and 2 or i + 1) then wrong = wrong + 1 end end
ok(errs == nil and wrong == 0, "others beside those that die are not lost, nor run twice", wrong, errs)
T.done()
