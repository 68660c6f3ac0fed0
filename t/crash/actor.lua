-- actor.lua [SEED] - actors are killed at any moment: calls run once and in order, or fail and say that they may have run
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init { store = "256M" }

local Seq = rota.actor {
	new = function(self) self.n, self.log = 0, {} end,
	add = function(self, i, s) self.n = self.n + 1 self.log[self.n] = i return self.n, i, #s end,
	pid = function(self) local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
	all = function(self) return self.log end,
}
local pid = rota.nodes()[1].pid
local bad, died, ran, fds = 0, 0, 0, nil
local function fail(...) bad = bad + 1 print("# ", ...) end
for round = 1, C.rounds(15, 500) do
	local retry = round % 3 == 0
	local a = Seq:with { restarts = -1, retries = retry and -1 or 0 }()
	local p = rota.get(a:pid(), 30)
	local refs, N = {}, 60
	local at = math.random(N)
	for i = 1, N do
		refs[i] = a:add(i, ("s"):rep(i % 7 == 0 and 5000 or i))
		if i == at then
			if math.random(2) == 1 then rota.get(refs[i], 30) end
			C.kill(p)
		end
	end
	local last, inc = 0, 0
	for i = 1, N do
		local res = table.pack(pcall(rota.get, refs[i], 30))
		if res[1] then
			ran = ran + 1
			if res[3] ~= i then fail("round", round, "call", i, "got the result of", res[3]) end
			if res[2] <= last then inc = inc + 1 end	-- a new incarnation counts from 1
			last = res[2]
		else
			died = died + 1
			if res[2].code ~= "actor_died" or retry then fail("round", round, "call", i, tostring(res[2])) end
		end
	end
	if inc > 1 then fail("round", round, "more than one new start", inc) end
	local log = rota.get(a:all(), 30)
	for i = 2, #log do if log[i] <= log[i - 1] then fail("round", round, "order", log[i - 1], log[i]) end end
	if bad > 0 then break end
	if round == 5 then a, refs = nil T.collect() fds = C.fds(pid) end
end
T.ok(bad == 0, ("%d calls ran, %d failed with their actor: each once and in order"):format(ran, died))
-- several callers of one that dies again and again
local Pot = rota.actor { new = function(self) self.n = 0 end, add = function(self) self.n = self.n + 1 return self.n end,
	pid = function(self) local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end }
local pot = Pot:with { restarts = -1, retries = -1 }()
local caller = rota.task(function(h, n) local s = 0 for i = 1, n do s = s + (rota.get(h:add()) > 0 and 1 or 0) end return s end)
local callers = {}
for i = 1, 4 do callers[i] = caller(pot, 50) end
for i = 1, 3 do C.kill(rota.get(pot:pid(), 30)) end
local v, errs = rota.pget(callers, 60)
T.ok(not errs and v[1] == 50 and v[4] == 50, "four callers of an actor that is killed three times", errs and errs[1], errs and errs[2])
pot, callers, caller = nil, nil, nil
C.quiet "actors killed"
local now = C.fds(pid)
T.ok(not fds or now <= fds + 12, "descriptors of the node", fds, now)
T.done()
