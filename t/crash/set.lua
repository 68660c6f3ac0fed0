-- set.lua [SEED] - members of sets, the zygote, the daemon and drivers are killed under load, while sets are resized and renewed;
-- membership is right afterwards
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init { store = "64M", cpus = 8, namespace = "sets" }
local here = arg[0]:match "^(.*/)"
local Act = rota.actor {
	add = function(self, x) return x + 1 end,
	nap = function(self, x) rota.sleep(0.001) return x + 1 end,
	pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
}:with { retries = -1 }
local bad, kills, sent, lost = 0, 0, 0, 0
local function fail(...) bad = bad + 1 print("# ", ...) end

local function pids(s)			-- of members that are up
	local got, out = rota.pget(s:all "pid", 60), {}
	for i = 1, got.n or 0 do out[#out + 1] = got[i] end
	return out
end

-- all are up, one a rank, and answer: false and what is wrong, if that does not come in a while (a renewal goes on, too)
local function whole(s, n)
	local till, info, ps = rota.now() + 60, nil, {}
	repeat
		info = s:info()
		if info.state == "dead" then return false, info.why end
		local right = info.up == n and #info.members == n
		for k, m in ipairs(info.members) do right = right and m.rank == k - 1 end
		if right then
			ps = pids(s)
			if #ps == n and #s:info().members == n then return true end
		end
		rota.sleep(0.005)
	until rota.now() > till
	return false, ("%d up of %d, %d members, %d answer: %s"):format(info.up, n, #info.members, #ps, info.why)
end

local function child_of(pid)
	local p = io.popen("cat /proc/" .. pid .. "/task/" .. pid .. "/children")
	local z = p:read "n"
	p:close()
	return z
end
local zygotes = -10			-- when one was killed: three deaths within a second each are the node's end

for round = 1, C.rounds(12, 400) do
	local gang, n, loose = math.random(4) == 1, math.random(4), false
	local health = math.random(3) == 1
	local s = rota.set(Act, { n = gang and n or ("%d:%d"):format(math.random(0, n), n), gang = gang, health = health and "50ms" or nil,
		patience = "2s", surge = math.random(0, 2), drain = "20s" })
	if not s:wait(60) then fail("round", round, "it does not start", s:info().why) break end
	local refs, N = {}, 150
	for i = 1, N do
		refs[i] = s:call(i % 3 == 0 and "nap" or "add", i)
		if i % 30 == 0 then
			local what = math.random(5)
			if what == 1 and not gang then
				n, loose = math.random(4), true
				s:resize(("%d:%d"):format(math.random(0, n), n))
			elseif what == 2 then
				s:renew()
				loose = true
			elseif what == 3 and rota.now() - zygotes > 1.2 then
				local z = child_of(rota.nodes()[1].pid)
				if z then C.kill(z) kills = kills + 1 end
				zygotes = rota.now()
			else
				local ps = pids(s)
				if #ps > 0 then
					os.execute(("kill -%s %d 2>/dev/null"):format(health and what == 4 and "STOP" or "KILL", ps[math.random(#ps)]))
					kills = kills + 1
				end
			end
		end
	end
	local vals, errs = rota.pget(refs, 60)
	sent = sent + N
	for i = 1, N do
		if vals[i] == nil and (loose or gang) and errs[i].code == "actor_died" then
			lost = lost + 1			-- its member went
		elseif vals[i] ~= i + 1 then
			fail("round", round, "call", i, vals[i], errs and tostring(errs[i]))
		end
	end
	local fine, why = whole(s, n)
	if not fine then fail("round", round, "membership", why) end
	if math.random(2) == 1 then s:kill() else s:stop() end
	if not s:join(60) then fail("round", round, "it does not end") end
	if bad > 0 then break end
end
T.ok(bad == 0, ("%d deaths, %d calls, %d lost with members that went"):format(kills, sent, lost))
T.is(#core.list "sets", 0, "no set is left")

-- drivers
for round = 1, C.rounds(4, 200) do
	local p = io.popen(("exec 2>/dev/null; echo $$; exec rlua %ssetvictim.lua"):format(here), "r")
	local pid = p:read "n"
	p:read "l"
	if p:read "l" ~= "made" then T.ok(false, "the victim did not come so far") break end
	if math.random(2) == 1 then p:read "l" end
	C.kill(pid)
	p:close()
	local till = rota.now() + 20
	repeat until #core.list "sets" == 0 or rota.now() > till or rota.sleep(0.01)
	if #core.list "sets" > 0 then T.ok(false, "round " .. round .. ": sets of a driver that is dead", core.list "sets"[1]) end
end
C.quiet "members and drivers killed"

-- the daemon: another one makes the sets whole again
for round = 1, C.rounds(3, 60) do
	local gang, n = math.random(3) == 1, 2
	local s <close> = rota.set(Act, { n = 2, name = "two", gang = gang, health = "1s" })
	s:wait(60)
	local refs = {}
	for i = 1, 50 do refs[i] = s:nap(i) end
	if not gang and math.random(2) == 1 then
		n = 3
		s:resize(n)
	end
	C.kill(rota.nodes()[1].pid)
	local vals, errs = rota.pget(refs, 60)
	for i = 1, 50 do if vals[i] ~= i + 1 and errs[i].code ~= "actor_died" then T.ok(false, "a call", vals[i], errs[i]) end end
	local fine, why = whole(s, n)
	T.ok(fine, "round " .. round .. ": the set is whole again", why)
	T.is(rota.pget(s:add(round), 60), round + 1, "and answers")
	T.ok(rota.set "two" == s, "by its name, too")
	s:kill()
	T.ok(s:join(60), "and ends")
end

-- members that leave finish what they were sent, by the next daemon too, and a renewal is not done again
do
	local s <close> = rota.set(Act, { n = "1:3" })
	rota.get(s:ready(3))
	local had, refs = {}, {}
	for _, m in ipairs(s:info().members) do had[m.actor] = true end
	for i = 1, 300 do refs[i] = s:nap(i) end
	s:resize(1)
	for info in s:watch() do if #info.members == 1 then break end end
	C.kill(rota.nodes()[1].pid)
	local vals, errs = rota.pget(refs, 60)
	local wrong
	for i = 1, 300 do if vals[i] ~= i + 1 then wrong = wrong or errs[i] end end
	T.ok(not wrong, "members that were leaving answered", wrong)
	local fine, why = whole(s, 1)
	T.ok(fine, "and are gone", why)
	s:renew()
	C.kill(rota.nodes()[1].pid)
	fine, why = whole(s, 1)
	T.ok(fine, "a renewal, and the daemon dies", why)
	T.is(rota.pget(s:add(1), 60), 2, "who is there answers")
end
C.quiet "daemons killed"
T.done()
