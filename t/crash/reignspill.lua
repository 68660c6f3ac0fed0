-- reignspill.lua [SEED] - the daemon is killed while objects go to the disk and come back: each is there, with its bytes; nothing stays
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota = C.T, C.rota
rota.init { cpus = 2, store = "16M" }

local function daemon() return rota.nodes()[1].pid end
local function keeper() return tonumber((io.open("/proc/" .. daemon() .. "/stat"):read "a":match "^%d+ %b() %a (%d+)")) end
local function spilled(pid)		-- files without a name that it holds, in the directory for such
	local p = io.popen(("find /proc/%d/fd -lname '*/spill/*' 2>/dev/null | wc -l"):format(pid))
	local n = p:read "n"
	p:close()
	return n
end
local function text(i, n) return ("%012d%012d"):format(i, n) .. string.char(97 + i % 26):rep(n - 24) end
local function right(s, i, n) return s == text(i, n) end
local make = rota.task(function(i, n) return ("%012d%012d"):format(i, n) .. string.char(97 + i % 26):rep(n - 24) end):with { retries = 0 }
local look = rota.task(function(s, n) return #s == n end)

local refs, sizes, last, bytes = {}, {}, 0, 0
local function add()
	last = last + 1
	local n = math.random(5) == 1 and math.random(1 << 20, 3 << 20) or math.random(5000, 300000)
	refs[last], sizes[last] = rota.put(text(last, n)), n
	bytes = bytes + n
end
local function pget(ref)
	local v, e = rota.pget(ref, 30)
	return v and type(v) ~= "string" and v:string() or v, e
end
local function drop(i)
	bytes = bytes - sizes[i]
	refs[i]:free()
	refs[i], sizes[i] = nil, nil
end
local function any()			-- a random one
	local i
	repeat i = math.random(last) until refs[i]
	return i
end

local names = {}
for i = 1, 3 do			-- kept by the node, their owner gone
	names[i] = "n" .. i
	local p = io.popen(("robj put -q --name %s >/dev/null"):format(names[i]), "w")
	p:write(text(i, 400000 + i))
	p:close()
end
local held = keeper()
local most = 0
for round = 1, C.rounds(6, 60) do
	while bytes < 45 << 20 do add() end
	for _ = 1, 30 do drop(any()) end
	for _ = 1, 4 do		-- the disk is busy when it dies, with writing and reading
		local some = {}
		for k = 1, 20 do local i = any() some[k] = look(refs[i], sizes[i]) end
		add()
		if math.random(4) == 1 then some = nil end
	end
	if round % 3 == 0 then rota.sleep(math.random() * 0.05) end
	most = math.max(most, spilled(held))
	C.kill(daemon())
	local bad, why = 0, nil
	for i = 1, last do
		if refs[i] and (round % 2 == 0 or math.random(4) == 1) then
			local v, e = pget(refs[i])
			if not right(v, i, sizes[i]) then bad, why = bad + 1, e or "other bytes" end
		end
	end
	T.ok(bad == 0, ("round %d: objects of %d MB are there"):format(round, bytes // 1000000), bad, why)
	for i, name in ipairs(names) do
		local v, e = pget(rota.lookup(name))
		if not right(v, i, 400000 + i) then T.ok(false, "the kept one " .. name, e) end
	end
end
T.ok(most > 0, "the keeper had files", most)
for i = 1, last do if refs[i] then drop(i) end end
for _, name in ipairs(names) do os.execute("robj rm " .. name) end
C.quiet("at the end")
local t0, left = rota.now(), nil
repeat left = spilled(held) + spilled(daemon()) until left == 0 or rota.now() - t0 > 5
T.is(left, 0, "no file is left in the keeper or the daemon")
T.done()
