-- seed.lua - rota.init{seed=}: what tasks draw depends on the seed and on their number alone, in every run, on any worker
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local ok, is = T.ok, T.is
local dir = T.tmp()
local f = assert(io.open(dir .. "/draw.lua", "w"))
f:write [[
local rota = require "rota"
rota.init{ address = "private", cpus = tonumber(arg[2]), seed = tonumber(arg[1]) }
local draw = rota.task(function(x) return math.random(1 << 40), x end)
local refs = {}
for i = 1, 20 do refs[i] = draw(i) end
local got = rota.get(refs)
local again = rota.task(function() if os.getenv "ROTA_ATTEMPT" == "1" then os.execute "kill -9 $PPID" end return math.random(1 << 40) end)
print(table.concat(got, " "), rota.get(again()), tostring(draw), (select(2, rota.get(draw(7)))))
]]
f:close()
local function run(seed, cpus)
	local p <close> = io.popen(("timeout 60 rlua %s/draw.lua %s %d"):format(dir, seed, cpus))
	return p:read "a"
end
local one = run(1, 1)
is(run(1, 1), one, "the same seed, the same numbers")
is(run(1, 3), one, "on three workers too, and after a crash")
ok(run(2, 1):match "^%d+" ~= one:match "^%d+", "another seed, others")
local seen, n = {}, 0
for x in one:match "^[^\t]*":gmatch "%d+" do if not seen[x] then seen[x] = true n = n + 1 end end
is(n, 20, "each task its own")
ok(one:find("task .*draw%.lua:3\t7"), "a task is still named by its line, and gets its arguments", one)
ok(run("nil", 1) ~= run("nil", 1), "without a seed no two runs are alike")
T.done()
