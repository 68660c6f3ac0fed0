-- load.lua KIND SEED SECONDS - one driver of the soak: a kind of load for some seconds, every result is checked
-- Workers are killed meanwhile, by others; what may fail for that says so with its code.  Exit status 1: something was wrong.
local rota = require "rota"
local kind, seed, seconds = arg[1], tonumber(arg[2]), tonumber(arg[3])
local random, till = math.random, nil
local excused = { crashed = true, actor_died = true, lost = true, closed = true, compacted = true }

local function must(good, ...)
	if good then return end
	io.stderr:write(kind, " ", seed, ": ", table.concat({ ... }, " "), "\n")
	os.exit(1)
end
local function try(f, ...)			-- what a kill may have done is no fault
	local res = table.pack(pcall(f, ...))
	if res[1] then return true, table.unpack(res, 2, res.n) end
	local e = res[2]
	must(type(e) == "table" and excused[e.code], tostring(type(e) == "table" and e.code), tostring(e))
	return false
end

local load = {}

function load.tasks()
	local opts = { retries = -1 }
	local double = rota.task(function(x) return x * 2 end):with(opts)
	local sum = rota.task(function(a, b, c) return a + b + c end):with(opts)
	local text = rota.task(function(n) return ("t"):rep(n) end):with(opts)
	local bad = rota.task(function(x) error("no " .. x) end)
	local slow = rota.task(function() rota.sleep(10) end)
	local nest
	nest = rota.task(function(n) if n == 0 then return 0 end return 1 + rota.get(nest(n - 1)) end):with(opts)
	while rota.now() < till do
		local refs, want = {}, {}
		for i = 1, random(200) do
			refs[#refs + 1], want[#want + 1] = double(i), i * 2
			if i % 5 == 0 then refs[#refs + 1], want[#want + 1] = sum(double(i), i, 1), 3 * i + 1 end
		end
		refs[#refs + 1], want[#want + 1] = nest(random(3)), nil
		local vals = rota.get(refs, 60)
		for i = 1, #want do must(vals[i] == want[i], "task", i, "gave", tostring(vals[i])) end
		local n = random(100000)
		must(#tostring(rota.get(text(n), { as = "string", timeout = 60 })) == n, "a text of", n)
		local ok, e = pcall(rota.get, bad(3), 60)
		must(not ok and (e.code == "crashed" or tostring(e):find("no 3", 1, true)), "an error:", tostring(e))
		local s = slow()
		if random(2) == 1 then
			rota.cancel(s)
			ok, e = pcall(rota.get, s, 60)
			must(not ok and (e.code == "cancelled" or e.code == "crashed"), "cancelled:", tostring(e))
		else
			ok, e = pcall(rota.get, s, 0.01)
			must(not ok and (e.code == "timeout" or e.code == "crashed"), "timeout:", tostring(e))
			rota.cancel(s, { force = true })
			pcall(rota.get, s, 60)
		end
	end
end

function load.actors()
	local Counter = rota.actor {
		new = function(self, from) self.n, self.keep = from, {} end,
		add = function(self, k, s) self.n = self.n + k self.keep[self.n % 10] = s return self.n end,
		die = function() os.exit(3) end,
	}
	while rota.now() < till do
		local a = Counter:with { restarts = 1, retries = 0 }(100)
		local last = 0
		for i = 1, random(100) do
			local ok, n = try(rota.get, a:add(1, ("s"):rep(random(2000))), 60)
			if ok then
				must(n > last or n == 101, "the counter went from", last, "to", n)
				last = n
			end
		end
		if random(4) == 1 then pcall(rota.get, a:die(), 60) try(rota.get, a:add(1), 60) end
		if random(2) == 1 then rota.stop(a) elseif random(2) == 1 then rota.kill(a) end
		a = nil
		if random(5) == 1 then collectgarbage() end
	end
end

function load.objects()				-- more than the arena holds, so that they go to the disk and come back
	local read = rota.task(function(s, n) if type(s) ~= "string" then s = s:string() end return #s == n and s:byte(n) end):with { retries = -1 }
	local make = rota.task(function(n, c) return string.char(c):rep(n) end):with { retries = -1 }
	local refs, size, byte = {}, {}, {}
	while rota.now() < till do
		local i, n, c = random(40), random(3) == 1 and random(4000000) or random(200000), random(97, 122)
		if random(2) == 1 then refs[i] = rota.put(string.char(c):rep(n)) else refs[i] = make(n, c) end
		size[i], byte[i] = n, c
		local k = random(40)
		if refs[k] then
			if random(2) == 1 then
				local ok, b = try(rota.get, read(refs[k], size[k]), 60)
				must(not ok or b == byte[k], "object of", size[k], "gave", tostring(b))
			else
				local ok, s = try(rota.get, refs[k], { as = "string", timeout = 60 })
				must(not ok or (#s == size[k] and s:byte(#s) == byte[k]), "object of", size[k])
			end
		end
		if refs[k] and random(5) == 1 then rota.free(refs[k]) refs[k] = nil end
	end
end

function load.channels()
	local relay = rota.task(function(from, to)
		for a, b in function() return from:recv() end do to:send(a, b) end
		to:close()
	end):with { retries = -1 }
	while rota.now() < till do
		local w1, r1 = rota.channel { bytes = random(2) == 1 and "4K" or "256K" }
		local w2, r2 = rota.channel { items = 20 + random(20) }	-- more than are ever on their way: nobody waits in a circle
		local ref = relay(r1, w2)
		local n = random(300)
		local ok = try(function()
			local got = 0
			for i = 1, n do
				w1:send(i, ("x"):rep(random(random(2) == 1 and 20000 or 50)))
				local a = r2:recv(0)
				while a do
					got = got + 1
					must(a == got, "message", got, "is", a)
					a = r2:recv(0)
				end
				if i - got > 15 then
					local why
					a, why = r2:recv(20)	-- a relay that was killed with one end leaves the other on its way
					must(a or why ~= "timeout" or not pcall(rota.get, ref, 1), "waits for message", got + 1, "of", i)
					if not a then return end	-- the relay was killed
					got = got + 1
					must(a == got, "message", got, "is", a)
				end
			end
			w1:close()
			for a in function() return r2:recv(20) end do
				got = got + 1
				must(a == got, "message", got, "is", a)
			end
		end)
		if not ok then pcall(w1.close, w1) end
		pcall(r2.close, r2)
		pcall(rota.get, ref, 20)
	end
end

function load.keys()
	local kv, me = rota.kv, "soak/" .. seed .. "/"		-- bound to this process: killed, it leaves none
	local w
	while rota.now() < till do
		w = w or kv:watch(me)
		local ok = try(function()		-- the store may be killed in the middle of any of these
			local key = me .. random(20)
			local rev = kv:put(key, { seed, ("v"):rep(random(3000)) }, { session = true })
			local v, at = kv:get(key)
			must(v and v[1] == seed and at == rev, "key", key)
			must(kv:txn { if_rev = { [key] = at }, put = { [me .. "t"] = at }, session = true }, "a transaction")
			must(kv:del(key), "deleting", key)
			for _ = 1, 3 do must(w:next(60), "a change of", key) end
		end)
		if not ok then w:close() w = nil end
	end
	for _ = 1, 50 do
		if try(function() for _, row in ipairs(kv:list(me)) do kv:del(row.key) end return true end) then break end
	end
end

local function shell(command, want)
	local p = io.popen(command .. " 2>&1")
	local got = p:read "a"
	local ok, _, status = p:close()
	must(ok and got == want or status == 1, command, "ended with", status, got:sub(1, 500))
	-- 1: a worker was killed more often than is tried again
end

function load.rmap()
	while rota.now() < till do
		local n = random(60)
		local want = {}
		for i = 1, n do want[i] = i .. "\n" end
		shell(("seq %d | rmap -k -j 3 -- echo {}"):format(n), table.concat(want))
		for i = 1, n do want[i] = i * i .. "\n" end
		shell(("seq %d | rmap -k -e 'line * line // 1 | 0'"):format(n), table.concat(want))
		shell("seq 20000 | rmap --pipe=20K -k -- cat | tail -n 1", "20000\n")
	end
end

function load.kept()
	while rota.now() < till do
		local name = "soak-" .. seed
		shell(("seq %d | robj put -N soak --ttl 20s --name %s >/dev/null && robj cat %s | tail -n 1 && robj rm %s"):format(1000, name, name, name), "1000\n")
		local r = rota.put(("k"):rep(100000))
		rota.keep(r, { ttl = 0.5 })
	end
end

function load.guests()				-- programs that come and go
	while rota.now() < till do
		shell("rlua -e 'local rota = require \"rota\" rota.init() print(rota.get(rota.task(function(x) return x + 1 end):with{ retries = -1 }(1)))'", "2\n")
		shell("rstat nodes | wc -l", "1\n")
	end
end

if kind == "list" then
	for k in pairs(load) do print(k) end
	return
end
math.randomseed(seed)
rota.init()
till = rota.now() + seconds
load[kind]()
