-- replay.lua - what is called again after an actor's death, and what is not: kill -9 at random moments, a file as witness
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has = T.ok, T.is, T.has
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "128M" }
local seed = tonumber(arg[1]) or os.time()
math.randomseed(seed)
print("# seed " .. seed)

local Witness = rota.actor {
	new = function(self, path, also)
		self.f = assert(io.open(path, "a"))
		self.f:setvbuf "no"
		if also then also = assert(io.open(also, "a")) also:write "x" also:close() end
	end,
	saw = function(self, i) self.f:write(i .. "\n") end,		-- one write(2): a kill between two would join lines, a reader see half of one
	run = function(self, i) self:saw(i) return i end,
	long = function(self, i) self:saw(i) rota.sleep(0.02) return i end,
	die = function(self, i) self:saw(i) os.exit(9) end,
	once = function(self, i, path)		-- dies the first time
		self:saw(i)
		if not io.open(path) then io.open(path, "w"):close() os.exit(9) end
		return i
	end,
	fail = function(self, i) self:saw(i) error "no" end,
	hold = function(self, i, path) self:saw(i) while not io.open(path) do rota.sleep(0.002) end return i end,
	tell = function(self, i) self:saw(i) return i, rota.context().incarnation end,
	pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
}
local made = 0
local function path() made = made + 1 return ("%s/w%d"):format(dir, made) end
local function lines(p)
	local out, count = {}, {}
	local f <close> = io.open(p)
	if not f then return out, count end
	for l in f:lines() do out[#out + 1] = tonumber(l) count[tonumber(l)] = (count[tonumber(l)] or 0) + 1 end
	return out, count
end
local function till(p, n)			-- so many lines are there
	local t0 = rota.now()
	while #lines(p) < n do
		if rota.now() - t0 > 30 then error("waited in vain for " .. n .. " lines") end
		rota.sleep(0.001)
	end
end
local function kill(pid) os.execute("kill -9 " .. pid .. " 2>/dev/null") end
local function rising(list)
	for i = 2, #list do if list[i] <= list[i - 1] then return false end end
	return true
end

-- a storm: n calls in a row of an actor that is killed as they go on; what each one's fate was, and what the witness saw
local function storm(options, method, n, kills)
	local p = path()
	io.open(p, "w"):close()
	local a = Witness:with(options)(p)
	local refs, at = {}, {}
	for _ = 1, kills do at[math.random(n)] = true end
	local done, shot = 0, 0
	for i = 1, n do
		refs[i] = a[method](a, i)
		if at[i] then
			local wait = math.random(0, i)		-- how many of them it may have run by then
			if math.random(2) == 1 and wait > 0 then rota.wait({ refs[wait] }, 30) end
			local pid = rota.pget(a.pid:with { retries = -1 }(), 30)
			if pid then kill(pid) shot = shot + 1 end
		end
	end
	local values, failed = {}, {}
	for i = 1, n do
		local v, e = rota.pget(refs[i], 60)
		if v then values[i] = v else failed[#failed + 1] = { i, e } end
	end
	local list, count = lines(p)
	return { values = values, failed = failed, list = list, count = count, kills = shot, actor = a }
end

-- rule 1: by default a call runs once at most, in order; only what had begun fails, and says so
local bad, ran, lost = nil, 0, 0
for round = 1, 12 do
	local s = storm({ restarts = -1 }, round % 3 == 0 and "long" or "run", round % 3 == 0 and 20 or 200, math.random(4))
	for i, k in pairs(s.count) do if k > 1 then bad = { round, "ran twice", i } end end
	for i in pairs(s.values) do ran = ran + 1 if s.count[i] ~= 1 then bad = { round, "a value of a call that did not run", i } end end
	for _, f in ipairs(s.failed) do
		lost = lost + 1
		if f[2].code ~= "actor_died" or not f[2]:find("may have had its effect", 1, true) then bad = { round, f[1], tostring(f[2]) } end
	end
	if #s.failed > s.kills then bad = { round, "more calls failed than had begun", #s.failed, s.kills } end
	if not rising(s.list) then bad = { round, "order", s.list } end
	if bad then break end
end
ok(not bad, ("without retries: %d calls ran once and in order, %d failed and say that they may have run"):format(ran, lost), bad)

-- rule 2: with retries what had begun is called again, before what came after it
bad, ran, lost = nil, 0, 0
for round = 1, 12 do
	local s = storm({ restarts = -1, retries = -1 }, round % 3 == 0 and "long" or "run", round % 3 == 0 and 20 or 200, math.random(4))
	local again, seen, first = 0, {}, {}
	for _, i in ipairs(s.list) do if not seen[i] then seen[i] = true first[#first + 1] = i else again = again + 1 end end
	for k = 2, #s.list do		-- a second time comes right after the first one
		if s.list[k] < s.list[k - 1] then bad = { round, "order", s.list[k - 1], s.list[k] } end
	end
	if #s.failed > 0 then bad = { round, s.failed[1][1], tostring(s.failed[1][2]) } end
	if again > s.kills then bad = { round, "called again without need", again, s.kills } end
	if not rising(first) then bad = { round, "first times", first } end
	ran, lost = ran + #first, lost + again
	if bad then break end
end
ok(not bad, ("with retries: %d calls all ran, in order, %d of them twice"):format(ran, lost), bad)

-- rule 3: so many retries and no more, each of them charged
for k = 0, 3 do
	local p = path()
	local a = Witness:with { restarts = -1, retries = k }(p)
	local v, e = rota.pget(a:die(1), 60)
	is(#lines(p), k + 1, ("retries=%d: a call that kills its actor runs %d times"):format(k, k + 1))
	has(e, "may have had its effect", "and fails")
	is(e.attempt, k + 1, "at that attempt")
	is(rota.get(a:run(2), 60), 2, "the next call runs")
end
local p = path()
local a = Witness:with { restarts = -1 }(p)
is(rota.get(a.once:with { retries = 1 }(1, dir .. "/once"), 30), 1, "retries of one call")
is(#lines(p), 2, "ran twice")
local Declared = rota.actor {
	once = rota.method(function(_, mark) if not io.open(mark) then io.open(mark, "w"):close() os.exit(9) end return "there" end, { retries = 1 }),
}
is(rota.get(Declared:with { restarts = 1 }():once(dir .. "/once2"), 30), "there", "retries declared with the method")

-- rule 4: what had not begun is not charged, however often the actor dies before it comes to it
p = path()
a = Witness:with { restarts = -1 }(p)
local refs = {}
for i = 1, 6 do refs[i] = i < 6 and a:die(i) or a:run(6) end
is(rota.get(refs[6], 60), 6, "the sixth call sees five deaths without retries, and runs")
is(lines(p), { 1, 2, 3, 4, 5, 6 }, "each ran once, in order")

-- rule 5: what had ended counts, though nobody had taken its value yet
p = path()
a = Witness:with { restarts = -1 }(p)
local pid = rota.get(a:pid(), 30)
refs = { a:run(1), a:run(2), a:hold(3, dir .. "/never"), a:run(4) }
till(p, 3)
kill(pid)
local v, e = rota.pget(refs, 60)
ok(v[1] == 1 and v[2] == 2 and v[4] == 4 and e[3] and e[3].code == "actor_died", "two had ended, one had begun, one had not", v, e)
is(lines(p), { 1, 2, 3, 4 }, "each ran once, in order")

-- rule 6: without a restart left what had not begun fails too, and says that it did not run
p = path()
a = Witness:with { restarts = 1 }(p)
refs = { a:die(1), a:die(2), a:run(3), a:run(4) }
v, e = rota.pget(refs, 60)
ok(e[1] and e[2] and e[3] and e[4], "two deaths, one restart: all fail", v)
for i = 1, 4 do is(e[i].code, "actor_died", "with the code, " .. i) end
for i = 1, 2 do has(e[i], "may have had its effect", "this one had begun, " .. i) end
for i = 3, 4 do
	has(e[i], "this call had not begun", "this one had not, " .. i)
	ok(not e[i]:find("may have", 1, true), "and says no other thing", e[i])
end
is(lines(p), { 1, 2 }, "the witness says the same")
e = select(2, rota.pget(a:run(5), 30))
has(e, "exit(9)", "later calls say how it died")
p = path()
a = Witness:with { restarts = 1, retries = 5 }(p)
v, e = rota.pget({ a:die(1), a:run(2) }, 60)
has(e[1], "may have had its effect", "a call that was to be called again by an actor that is not: it may have run")
has(e[2], "had not begun", "the one behind it had not")
is(lines(p), { 1, 1 }, "it had, twice")

-- rule 7: an error is a result
p = path()
a = Witness:with { restarts = -1, retries = -1 }(p)
e = select(2, rota.pget(a:fail(1), 30))
is({ e.code, #lines(p) }, { "error", 1 }, "a call that raises is not made again")

-- rule 8: several at once: all that had begun share the fate
p = path()
a = Witness:with { restarts = -1, concurrency = 4 }(p)
pid = rota.get(a:pid(), 30)
refs = {}
for i = 1, 10 do refs[i] = a:hold(i, dir .. "/go") end
till(p, 4)
io.open(dir .. "/go", "w"):close()
kill(pid)
v, e = rota.pget(refs, 60)
local list, count = lines(p)
local fates = true
for i = 1, 10 do fates = fates and count[i] == 1 and (v[i] == i or e[i].code == "actor_died") end
ok(fates, "of ten calls each ran once: it ended or failed", v, e, list)
p = path()
a = Witness:with { restarts = -1, concurrency = 4, retries = 1 }(p)
pid = rota.get(a:pid(), 30)
refs = {}
os.remove(dir .. "/go")
for i = 1, 10 do refs[i] = a:hold(i, dir .. "/go") end
till(p, 4)
kill(pid)
till(p, 8)
list = lines(p)
is(table.move(list, 5, 8, 1, {}), { 1, 2, 3, 4 }, "with retries the four that had begun begin again, in order")
io.open(dir .. "/go", "w"):close()
is(#rota.get(refs, 60), 10, "and all end")

-- rule 9: each caller's calls keep their own order
p = path()
a = Witness:with { restarts = -1, retries = -1 }(p)
local caller = rota.task(function(h, who)
	local r = {}
	for i = 1, 40 do r[i] = h:run(who * 100 + i) end
	for i = 1, 40 do if rota.get(r[i]) ~= who * 100 + i then return i end end
	return 0
end):with { cpus = 0 }
local callers = {}
for who = 1, 4 do callers[who] = caller(a, who) end
for _ = 1, 3 do kill(rota.get(a:pid(), 60)) end
is(rota.get(callers, 60), { 0, 0, 0, 0, n = 4 }, "four callers of one that is killed three times get their values")
local last, twice, good = {}, 0, true
for _, x in ipairs(lines(p)) do
	local who = x // 100
	if x == last[who] then twice = twice + 1 elseif x ~= (last[who] or who * 100) + 1 then good = false end
	last[who] = x
end
ok(good and twice <= 12, "each in order, again only what had begun", twice)

-- rule 10: a time limit ends it; arguments that are references come with it again
p = path()
a = Witness:with { restarts = -1, retries = -1 }(p)
pid = rota.get(a:pid(), 30)
local timed = a.hold:with { timeout = 0.15 }(1, dir .. "/nowhere")
till(p, 1)
kill(pid)
e = select(2, rota.pget(timed, 30))
is(e.code, "timeout", "what is called again keeps its time limit")
local big = rota.put(("b"):rep(3 << 20))
local Big = rota.actor { size = function(_, s, mark) if not io.open(mark) then io.open(mark, "w"):close() os.exit(1) end return #s end }
v = Big:with { restarts = 1, retries = 1 }():size(big, dir .. "/once3")
big = nil
T.collect()
is(rota.get(v, 30), 3 << 20, "an object of 3 MiB that nobody else holds")

-- rule 11: kill and stop of this program, and restart
p = path()
a = Witness:with { restarts = -1, retries = -1 }(p)
rota.get(a:run(1), 30)
local running, waiting = a:hold(2, dir .. "/never"), a:run(3)
till(p, 2)
rota.kill(a)
v, e = rota.pget({ running, waiting }, 30)
ok(e[1] and e[2], "rota.kill: retries do not bring it back")
has(e[1], "may have had its effect", "the one that ran")
has(e[2], "had not begun", "the one that waited")
p = path()
a = Witness:with { restarts = 1 }(p)
running, waiting = a:hold(1, dir .. "/never"), a:tell(2)
till(p, 1)
rota.kill(a, { restart = true })
has(select(2, rota.pget(running, 30)), "may have had its effect", "rota.kill with restart: what ran fails")
is({ rota.get(waiting, 30) }, { 2, 2 }, "what had not begun is run by the next incarnation")

-- rule 12: retries belong to the actor: a handle that was found, or has travelled, knows them
p = path()
a = Witness:with { restarts = -1, retries = 1, name = "again" }(p)
is(rota.get(rota.task(function(mark) return rota.get(rota.find "again":once(7, mark)) end):with { cpus = 0 }(dir .. "/once4"), 30), 7, "found by name")
is(rota.get(rota.task(function(h, mark) return rota.get(h:once(8, mark)) end):with { cpus = 0 }(a, dir .. "/once5"), 30), 8, "as an argument")
is(lines(p), { 7, 7, 8, 8 }, "each ran twice")

-- rule 13: a stream that is called again goes on after the items that had come
local Stream = rota.actor {
	count = function(_, n, mark)
		for i = 1, n do
			coroutine.yield(i)
			if i == n // 2 and not io.open(mark) then io.open(mark, "w"):close() os.exit(3) end
		end
	end,
}
local function taken(options, mark)
	local s, got = Stream:with(options)().count:with { stream = true, backlog = 4 }(20, dir .. mark), {}
	local fine, why = pcall(function() for _, v in s:each() do got[#got + 1] = v end end)
	return #got == got[#got] and #got, fine or why
end
is({ taken({ restarts = 1, retries = 1 }, "/s1") }, { 20, true }, "each item once, in order")
local got, why = taken({ restarts = 1 }, "/s2")
ok(got == 10, "without retries: those that had come", got)
has(why, "may have had its effect", "and then the error")
T.done()
