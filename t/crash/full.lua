-- full.lua WHAT [SEED] - memory, the store and its disk, descriptors, processes or the disk of logs run out under load: a clear error or waiting, and then all is well again
table.insert(arg, 1, table.remove(arg, 2) or tostring(os.time()))	-- common.lua takes the seed first
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota = C.T, C.rota
local M = require "mix"
local what = arg[2]
rota.init {}
local node = rota.nodes()[1].pid
local again = { retries = -1 }
local bad = 0
local function wrong(...) bad = bad + 1 if bad < 8 then print("#", ...) end end
local function load(round)			-- all of it comes, whatever else is short
	local made, refs, want
	for _ = 1, 100 do		-- its actor may find no room while those before it are still ending
		made, refs, want = pcall(M.load, 3, again)
		if made then break end
		rota.sleep(0.1)
	end
	if not made then return wrong("load", refs) end
	bad = bad + M.check(refs, want, what .. ", round " .. round)
end
load(0)
T.collect()
local fds = C.fds(node)

local mode = {}

-- several tasks that together, or alone, want more memory than there is
function mode.memory(round)
	local fill = rota.task(function(mb, s)
		local t = {}
		for i = 1, mb do t[i] = ("x"):rep(1 << 20) end
		rota.sleep(s)
		return mb
	end)
	local hogs, size = {}, {}
	for i = 1, 4 do
		size[i] = i == 1 and 400 or math.random(10, 90)
		hogs[i] = (i % 2 == 1 and fill:with { retries = 0 } or fill)(size[i], math.random() * 0.2)
	end
	load(round)
	for i, r in ipairs(hogs) do
		local v, e = rota.pget(r, 60)
		if v ~= size[i] and not (e and e.code == "oom" and tostring(e):find "^worker %d+ was stopped to save memory: it used ") then wrong("hog", size[i], v, e and e.code, e) end
		if i == 1 and v then wrong("400 MiB in 150", v) end
	end
end

-- the store is full, and so is the disk behind it, or there is none
local function text(i, n) return ("%08d"):format(i) .. string.char(97 + i % 26):rep(n) end
local function store(round)
	local refs, sizes, full = {}, {}, nil
	local make = rota.task(text)
	for i = 1, 400 do
		sizes[i] = math.random(100000, 2000000)
		local ok, r
		if i % 4 == 0 then
			r = make(i, sizes[i])
			local ready = rota.wait({ r }, { timeout = 60 })
			local e = select(2, rota.pget(r, 0))
			ok = not e and #ready == 1
			if not ok then r = e end
		else
			ok, r = pcall(rota.put, text(i, sizes[i]))
		end
		if not ok then full = r break end
		refs[i] = r
	end
	if not full then wrong("it is never full") return end
	if full.code ~= "full" then wrong("the error is no 'full'", full.code, full) end
	if round == 1 then print("# " .. tostring(full)) end
	if what == "disk" then				-- what lies there comes back only into room, so some is made
		for i = 1, #refs, 2 do refs[i] = false end
		T.collect()
	end
	for i, r in ipairs(refs) do
		if r then
			local v, e = rota.pget(r, 30)
			v = type(v) == "userdata" and v:string() or v
			if v ~= text(i, sizes[i]) then wrong("object", i, "of", #refs, type(v), e and e.code, e) end
			v = nil
			if what == "disk" then r, refs[i] = nil, false T.collect() end
		end
	end
	refs, full = nil, nil
	T.collect()
	load(round)
end
mode.arena, mode.disk = store, store

-- many actors and programs at once: those that find no room wait, or say so
local function actors(round)
	local list, calls = {}, {}
	for i = 1, 60 do
		local ok, a = pcall(M.Pot)
		if ok then list[#list + 1] = a calls[#calls + 1] = a:add(i, "") elseif not a.code then wrong("an actor", a) end
	end
	local ready, rest = rota.wait(calls, { n = #calls, timeout = 0.5 })
	local good, told = 0, {}
	for _, r in ipairs(ready) do
		local v, e = rota.pget(r, 10)
		if v then good = good + 1 else told[e.code .. ": " .. tostring(e)] = true end
	end
	if round == 1 then
		print(("# %d of 60 actors answered, %d wait"):format(good, #rest))
		for e in pairs(told) do print("# " .. e) end
	end
	if good == 0 then wrong "no actor at all" end
	for e in pairs(told) do if not e:find "^actor_died: .+" then wrong(e) end end
	list, calls, ready, rest = nil, nil, nil, nil
	T.collect()
	load(round)
end
local function programs(round)
	local p = {}
	for i = 1, 25 do
		p[i] = io.popen(([[exec timeout 50 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x end):with{retries = -1}(%d)))' 2>&1]]):format(i))
	end
	local good = 0
	for i = 1, 25 do
		local out = p[i]:read "a"
		if out == i .. "\n" then good = good + 1 elseif not out:find "[Nn]o node is running\n*.*" and not out:find "does not answer" and not out:find "serves %d+ programs, and no more" then wrong("program", i, out) end
		p[i]:close()
	end
	if round == 1 then print(("# %d of 25 programs ran"):format(good)) end
	if good == 0 then wrong "no program at all" end
end
function mode.descriptors(round) actors(round) programs(round) load(round) end
mode.processes = actors

-- the disk of what tasks print: lines are lost, which is said, and nothing else; once there is room they come again
local noisy = rota.task(function(k, n)
	for i = 1, n do assert(io.write(k, " ", i, " ", ("x"):rep(100), "\n")) end
	return n
end)
function mode.logs(round)
	local filler = os.getenv "ROTA_DIR" .. "/filler"
	local fill = ("head -c 1000000 /dev/zero >'%s' 2>/dev/null"):format(filler)
	local empty = ("rm -f '%s'"):format(filler)
	local refs, sizes = {}, {}
	if math.random(2) == 1 then os.execute(fill) end
	local others = io.popen(("for i in 1 2 3; do sleep %.3f; %s; sleep %.3f; %s; done; echo"):format(math.random() * 0.05, fill, math.random() * 0.1, empty))
	for i = 1, 6 do
		sizes[i] = math.random(4000)
		refs[i] = noisy:with(again)("r" .. round .. "." .. i, sizes[i])
	end
	load(round)
	for i, r in ipairs(refs) do
		local v, e = rota.pget(r, 60)
		if v ~= sizes[i] then wrong("a task that prints", sizes[i], v, e and e.code, e) end
	end
	others:read "a"
	others:close()
	rota.get(noisy("again." .. round, 1))
end

for round = 1, C.rounds(store == mode[what] and 1 or what == "logs" and 4 or 2, 40) do
	mode[what](round)
	if bad > 0 then break end
end
T.ok(bad == 0, what .. ": every result is right or says what is missing")
C.quiet(what)
local now = C.fds(node)
T.ok(not fds or not now or now <= fds + 12, "descriptors of the node", fds, now)
T.ok(rota.nodes()[1].pid == node, "the node is the same")
T.done()
