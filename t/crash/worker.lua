-- worker.lua [SEED] - workers are killed at any moment under load: every result is right, nothing stays behind
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init { store = "256M" }

local opts = { retries = -1 }
local plain = rota.task(function(x) return x * 2 end):with(opts)
local big = rota.task(function(x) return ("%d"):format(x % 10):rep(20000) end):with(opts)
local sum = rota.task(function(a, b, c) return a + b + c end):with(opts)
local len = rota.task(function(s, t) return #s + #rota.get(t[1]) end):with(opts)
local slow = rota.task(function(x) rota.sleep(0.002) return x end):with(opts)
local nest
nest = rota.task(function(n) if n == 0 then return 0 end return 1 + rota.get(nest(n - 1)) end):with(opts)
local two = rota.task(function(x) return x, x + 1 end):with { retries = -1, returns = 2 }
local gives = rota.task(function(x) return { plain(x), x } end):with(opts)

local function load()
	local refs, want = {}, {}
	local function add(r, w) refs[#refs + 1], want[#want + 1] = r, w end
	for i = 1, 12 do
		add(plain(i), i * 2)
		add(sum(plain(i), slow(i), 1), 3 * i + 1)
		add(len(big(i), { rota.put(("p"):rep(5000)) }), 25000)
		add(slow(i), i)
		add(nest(3), 3)
		local a, b = two(i)
		add(a, i) add(sum(b, 1, 1), i + 3)
	end
	return refs, want
end

rota.get((load()))			-- the first workers
local pid = rota.nodes()[1].pid
local wrong, kills, lost = 0, 0, 0
local fds
for round = 1, C.rounds(25, 1000) do
	local refs, want = load()
	local at, set = math.random(#refs), refs
	local ready, rest = rota.wait(refs, { n = at, timeout = 30 })
	if #ready < at then T.ok(false, "round " .. round .. ": hangs before the kill") break end
	local ws = C.workers(math.random(2) == 1 and "running" or nil)
	if #ws > 0 then C.kill(ws[math.random(#ws)].pid) kills = kills + 1 end
	local vals, errs = rota.pget(refs, 30)
	for i = 1, #refs do
		if vals[i] ~= want[i] then
			wrong = wrong + 1
			local e = errs and errs[i]
			print(("# round %d, task %d: %s, wanted %s"):format(round, i, e and "error " .. e.code .. ": " .. e or tostring(vals[i]), want[i]))
		end
	end
	if wrong > 0 then break end
	if round == 5 then refs, ready, rest, set, vals, errs = nil T.collect() fds = C.fds(pid) end
end
T.ok(wrong == 0, kills .. " workers killed: every result is right")
-- refs that a dead worker owned are lost, not wrong and not waited for
for round = 1, C.rounds(10, 200) do
	local r = rota.get(gives(round), 30)
	if math.random(2) == 1 then for _, w in ipairs(C.workers()) do C.kill(w.pid) end end
	local v, e = rota.pget(r[1], 30)
	if v ~= round * 2 and not (e and e.code == "lost") then T.ok(false, "an object of a killed worker", v, e) end
end
T.ok(true, "objects of killed workers are there or lost")
local node = C.quiet "workers killed"
local now = C.fds(pid)
T.ok(not fds or now <= fds + 12, "descriptors of the node", fds, now)
T.done()
