-- load.lua KIND SEED SECONDS - one driver of the chaos run: a kind of load for some seconds, every result is checked.
-- Ends with 0 if all was as it should be; 1 and why if not; 3 and the word of the error if its own node was lost, which the run
-- (chaos.lua) knows to be so or not.  Without a kind: lists them.
local rota = require "rota"
local kind, seed, seconds = arg[1], tonumber(arg[2]), tonumber(arg[3])
local random, till, figures = math.random, nil, { results = 0 }
local TMP = os.getenv "TMP"
io.stdout:setvbuf "line"

local function show()
	local t = {}
	for k, v in pairs(figures) do t[#t + 1] = k .. " " .. v end
	table.sort(t)
	print("figures: " .. table.concat(t, " "))
end
local function wrong(...)
	local t = table.pack(...)
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print("wrong: " .. kind .. " " .. seed .. ": " .. table.concat(t, " "))
	show()
	os.exit(1)
end
local function must(good, ...) if not good then wrong(...) end end
local function code(e) return type(e) == "table" and e.code or "raised" end
local function lost(e)			-- our own node is no more: nothing more can be had
	if code(e) ~= "no_cluster" then return end
	print("lost: " .. tostring(e))
	show()
	os.exit(3)
end

local load = {}

-- --- tasks ---

local free = { retries = -1 }
local double = rota.task(function(x) return x * 2 end):with(free)
local sum = rota.task(function(a, b, c) return a + b + c end):with(free)
local text = rota.task(function(s, n) return s:rep(n) end):with(free)
local slow = rota.task(function(x, t) rota.sleep(t) return x end):with(free)
local none = rota.task(function() end):with(free)
local bad = rota.task(function(x) error("no " .. x) end):with(free)
local dies = rota.task(function(x, k) if rota.context().attempt <= k then os.exit(3) end return x end):with(free)
local nest
nest = rota.task(function(n) if n == 0 then return 0 end return 1 + rota.get(nest(n - 1)) end):with(free)
local many = rota.task(function(n)
	local r, s = {}, 0
	for i = 1, n do r[i] = double(i) end
	for _, v in ipairs(rota.get(r)) do s = s + v end
	return s
end):with(free)
local two = rota.task(function(x) return x, x + 1 end):with { retries = -1, returns = 2 }

local LIMIT = 90			-- longer than anything may last that is done to a host

-- takes all of them in the order of their completion: each once, each what it must be; want[i] of an error is { text }
local function take(refs, want, what)
	local left, index, n = {}, {}, #refs
	for i, r in ipairs(refs) do left[i] = r index[r:id()] = i end
	local t0 = rota.now()
	while n > 0 do
		local done, rest = rota.wait(left, { timeout = LIMIT })
		if #done == 0 then
			local f = io.open(TMP .. "/stuck", "w")	-- the run looks at all hosts
			f:write(left[1]:id(), "\n")
			f:close()
			rota.sleep(15)
			wrong(what, "waits in vain for", n, "of", #refs, "results, one is number", index[left[1]:id()], left[1]:id())
		end
		for _, r in ipairs(done) do
			local i = index[r:id()]
			must(i, what, "gave a result that nobody waits for, or one twice")
			index[r:id()] = nil
			local v, e = rota.pget(r)
			if e then lost(e) end
			if type(want[i]) == "table" then
				must(e and code(e) == "error" and tostring(e):find(want[i][1], 1, true), what, "number", i, "gave", v, code(e), e)
			else must(not e and v == want[i], what, "number", i, "gave", v, e and code(e), e, "not", want[i]) end
			n, figures.results = n - 1, figures.results + 1
		end
		left = rest
	end
	must(rota.now() - t0 < LIMIT, what, "took", rota.now() - t0, "s")
end
local function batch(size)
	local refs, want = {}, {}
	local function add(r, w) local n = #refs + 1 refs[n], want[n] = r, w end
	for i = 1, size do
		local d = random(10)
		if d <= 3 then add(double(i), 2 * i)
		elseif d == 4 then add(sum(double(i), slow(i, random() * 0.02), 1), 3 * i + 1)
		elseif d == 5 then local n = random(900) add(text("t", n), ("t"):rep(n))
		elseif d == 6 then add(bad(i), { "no " .. i })
		elseif d == 7 then add(none(), nil)
		elseif d == 8 then local x, y = two(i) add(x, i) add(sum(y, 1, 1), i + 3)
		elseif d == 9 then add(slow(i, random() * 0.05), i)
		else add(double(double(double(i))), 8 * i) end
	end
	return refs, want
end
function load.tasks() repeat local refs, want = batch(random(300)) take(refs, want, "tasks") until rota.now() > till end
function load.nested()
	repeat
		local refs, want = {}, {}
		for i = 1, random(6) do
			local n = random(4)
			refs[#refs + 1], want[#want + 1] = nest(n), n
			n = random(30)
			refs[#refs + 1], want[#want + 1] = many(n), n * (n + 1)
		end
		take(refs, want, "nested")
	until rota.now() > till
end
function load.retries()			-- workers that die by themselves
	repeat
		local refs, want = {}, {}
		for i = 1, random(20) do
			refs[#refs + 1], want[#want + 1] = dies(i, random(4) == 1 and 1 or 0), i
			refs[#refs + 1], want[#want + 1] = slow(i, random() * 0.3), i
		end
		take(refs, want, "retries")
	until rota.now() > till
end
function load.cancelled()
	repeat
		local refs, kept, want = {}, {}, {}
		for i = 1, random(20) do refs[i] = slow(i, 5) kept[i], want[i] = double(i), 2 * i end
		rota.sleep(random() * 0.2)
		for i, r in ipairs(refs) do rota.cancel(r, { force = i % 2 == 0 }) end
		take(kept, want, "beside cancelled ones")
		for i, r in ipairs(refs) do
			local v, e = rota.pget(r, LIMIT)
			if e then lost(e) end
			must(e and code(e) == "cancelled" or not e and v == i, "a cancelled task", i, "gave", v, code(e), e)
		end
	until rota.now() > till
end
function load.late()			-- a time limit holds
	repeat
		local refs = {}
		for i = 1, random(6) do refs[i] = slow:with { timeout = 0.3 } (i, 20) end
		for i, r in ipairs(refs) do
			local t0 = rota.now()
			local v, e = rota.pget(r, LIMIT)
			if e then lost(e) end
			must(e and code(e) == "timeout" and rota.now() - t0 < LIMIT, "a task with a time limit", i, "gave", v, e and code(e), e)
		end
	until rota.now() > till
end

-- --- objects: a driver that lives keeps what it put; small ones ---

local read = rota.task(function(t, k) return (rota.get(t[k])) end):with(free)
local len = rota.task(function(s) return #s end):with(free)
function load.objects()
	local refs, is = {}, {}
	repeat
		local got, want = {}, {}
		for _ = 1, random(20) do
			local i = random(30)
			if not refs[i] or random(3) == 1 then
				is[i] = ("%d "):format(random(1000)):rep(random(100))
				refs[i] = rota.put(is[i])
			end
			got[#got + 1], want[#want + 1] = read({ refs[i] }, 1), is[i]
			got[#got + 1], want[#want + 1] = len(refs[i]), #is[i]
		end
		take(got, want, "objects")
		for i = 1, 30 do
			if refs[i] and random(8) == 1 then rota.free(refs[i]) refs[i] = nil end
		end
	until rota.now() > till
end

-- --- larger ones: fetched from node to node; what a task made is made again if its node is lost ---

local make = rota.task(function(n, c) return string.char(c):rep(n) end):with(free)
local function str(s) return type(s) == "string" and s or s:string() end	-- a long one is read in place
local join = rota.task(function(a, b) return str(a) .. str(b) end):with(free)
local last = rota.task(function(s) return #s * 256 + str(s):byte(-1) end):with(free)
local inside = rota.task(function(t) local s = rota.get(t.ref, { as = "string" }) return #s * 256 + s:byte(-1) end):with(free)
local bytes = rota.task(function(b) return #b * 256 + b[#b] end):with(free)
local function size() return random(4) == 1 and random(2000000) or random(60000) end
function load.large()
	repeat
		local refs, want = {}, {}
		local function add(r, w) local n = #refs + 1 refs[n], want[n] = r, w end
		for _ = 1, random(6) do
			local n, m, c = size(), size(), random(97, 122)
			add(last(make(n, c)), n * 256 + c)
			add(last(join(make(n, 65), make(m, c))), (n + m) * 256 + c)
			add(last(rota.put(string.char(c):rep(n))), n * 256 + c)
			add(inside({ ref = make(m, c) }), m * 256 + c)
			local b = rota.buffer(n, "u8")
			b:fill(c)
			add(bytes(b), n * 256 + c)
		end
		local n, c = size(), random(97, 122)
		local whole = make(n, c)
		take(refs, want, "large")
		local s, e = rota.pget(whole, { timeout = LIMIT, as = "string" })
		if e then lost(e) end
		must(s == string.char(c):rep(n), "large: a text of", n, "came as", s and #s, e and code(e), e)
	until rota.now() > till
end

-- --- actors: a call that ended counts, one that had begun may fail with actor_died ---

local Counter = rota.actor {
	new = function(self, from) self.n = from end,
	add = function(self, k, s) self.n = self.n + k return self.n, #s end,
	die = function() os.exit(3) end,
}
function load.actors()
	repeat
		local a <close> = Counter:with { restarts = random(3) - 1, retries = 0 } (100)
		local before, dead = 100, false
		for i = 1, random(100) do
			local s = ("s"):rep(random(2000))
			local n, e = rota.pget(a:add(1, s), LIMIT)
			if e then
				lost(e)
				must(code(e) == "actor_died", "a call of an actor gave", code(e), e)
			else
				must(n == before + 1 or n == 101, "the counter went from", before, "to", n)
				before, figures.results = n, figures.results + 1
			end
			if random(60) == 1 then rota.pget(a:die(), LIMIT) end
		end
	until rota.now() > till
end

-- --- keys: what was acknowledged is there at the end; tried may be ---

function load.watched()			-- each change of keys comes once, in order
	local kv, me, w, at = rota.kv, ("watched/%d/"):format(seed), nil, 0
	local n = 0
	repeat
		w = w or kv:watch(me)
		n = n + 1
		local ok, e = pcall(function()
			local rev = kv:put(me .. random(3), n, { session = true })
			local ev = assert(w:next(LIMIT), "nothing came")
			must(ev.revision == rev and ev.value == n, "a watch gave revision", ev.revision, ev.value, "not", rev, n)
			figures.results = figures.results + 1
		end)
		if not ok then
			lost(e)
			must(code(e) == "closed" or code(e) == "compacted", "a watch fails with", code(e), e)
			w:close()
			w = nil
		end
	until rota.now() > till
end
function load.keys()
	local kv, log = rota.kv, assert(io.open(("%s/keys-%d.acked"):format(TMP, seed), "a"))
	log:setvbuf "no"
	local value, rev = {}, {}
	local t = 0
	repeat
		t = t + 1
		local key = ("chaos/%d/%d"):format(seed, random(5))
		log:write(("try %s %d\n"):format(key, t))
		local ok, r = pcall(kv.put, kv, key, t)
		if ok then
			log:write(("did %s %d\n"):format(key, t))
			must(r > (rev[key] or 0), "key", key, "has revision", r, "after", rev[key])
			value[key], rev[key], figures.results = t, r, figures.results + 1
			local got, v, at = pcall(kv.get, kv, key)
			if got then must(v == t and at == r, "key", key, "is", v, at, "not", t, r)
			else lost(v) end
		else
			lost(r)
			must(code(r) == "closed", "key", key, "fails with", code(r), r)
		end
		rota.sleep(random() * 0.1)
	until rota.now() > till
	log:close()
end

if not kind then
	for k in pairs(load) do print(k) end
	return
end
math.randomseed(seed)
local ok, e = pcall(rota.init)
if not ok then
	lost(e)
	wrong("cannot join:", e)
end
print("job " .. rota.context().job)
till = rota.now() + seconds
ok, e = pcall(load[kind])
if not ok then
	lost(e)
	wrong(code(e), e)
end
show()
