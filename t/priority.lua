-- priority.lua - queued tasks of a job by priority, children inherit it; leases between jobs by priority
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local rota = require "rota"
local T = require "tap"
local ok, is, has = T.ok, T.is, T.has
rota.init { address = "private", cpus = 1 }
local dir = T.tmp()
local function slurp(name)
	local f = io.open(dir .. "/" .. name)
	local s = f and f:read "a" or ""
	if f then f:close() end
	return s
end
local function touch(name) io.open(dir .. "/" .. name, "w"):close() end

local note = rota.task(function(s)
	local f = io.open(dir .. "/order", "a")
	f:write(s, " ")
	f:close()
end)
local hold = rota.task(function(name)		-- has the only worker until the file is there; does not suspend
	local f = io.open(dir .. "/held", "w")
	f:close()
	repeat f = io.open(dir .. "/" .. name) until f
	f:close()
end)
local function held()
	repeat rota.sleep(0.002) until io.open(dir .. "/held")
	os.remove(dir .. "/held")
end
local function order(fill, at_once)
	os.remove(dir .. "/order")
	local h = hold "go"
	if not at_once then held() end
	local refs = fill()
	if at_once then held() end
	local rows
	local function queued()
		rows = require "rota.core".list "tasks"
		for _, row in ipairs(rows) do
			if row.state == "queued" then return row.count end
		end
	end
	-- what lay before the worker already, which was expected to be faster, is taken back
	local t0 = rota.now()
	repeat rota.sleep(0.005) until queued() == #refs or rota.now() - t0 > 20
	if queued() ~= #refs then ok(false, "all are queued", #refs, table.unpack(rows)) end
	touch "go"
	rota.get(h)
	rota.get(refs)
	os.remove(dir .. "/go")
	return slurp "order"
end

local high, low = note:with { priority = 5 }, note:with { priority = -3 }
is(order(function()
	local refs = {}
	for i = 1, 4 do
		refs[#refs + 1] = note("n" .. i)
		refs[#refs + 1] = low("l" .. i)
		refs[#refs + 1] = high("h" .. i)
	end
	return refs
end), "h1 h2 h3 h4 n1 n2 n3 n4 l1 l2 l3 l4 ", "higher first, then in order")
is(order(function()
	local refs = {}
	for i = 1, 3 do refs[i] = note:with { priority = i * 10 }("p" .. i) end
	refs[4] = note "n"
	for i = 3, 1, -1 do refs[#refs + 1] = note:with { priority = i * 10 }("q" .. i) end
	return refs
end), "p3 q3 p2 q2 p1 q1 n ", "seven of four priorities")
local text = order(function()
	local refs = {}
	for i = 1, 1000 do refs[i] = (i % 7 == 0 and high or i % 5 == 0 and low or note)(i % 7 == 0 and "h" or i % 5 == 0 and "l" or "n") end
	return refs
end):gsub(" ", "")
ok(text:match "^h+n+l+$" and #text == 1000, "a thousand", #text, text:sub(1, 200))
-- a time-out takes one out of the middle
text = order(function()
	local refs = {}
	local gone = low:with { timeout = 0.02 } "gone"
	for i = 1, 3 do refs[i], refs[i + 3] = low("l" .. i), high("h" .. i) end
	ok(select(2, rota.pget(gone)).code == "timeout", "one expires while it is queued")
	return refs
end)
is(text, "h1 h2 h3 l1 l2 l3 ", "the others stay in order")
text = order(function()
	local gone, refs = low "gone", {}
	for i = 1, 2 do refs[i], refs[i + 2] = low("l" .. i), high("h" .. i) end	-- another number than before: the list is a moment behind
	rota.cancel(gone)
	return refs
end, true)
is(text, "h1 h2 l1 l2 ", "also what lay before the worker, where one was cancelled")

-- inherited
local mine = rota.task(function() return rota.context().priority end)
local both = rota.task(function() return rota.context().priority, rota.get(mine()), rota.get(mine:with { priority = 7 }()) end)
is({ rota.get(both()) }, { 0, 0, 7 }, "a child has its parent's priority, or its own")
is({ rota.get(both:with { priority = -2 }()) }, { -2, -2, 7 }, "down as well")

-- between jobs: what another program submits with a higher priority goes before ours
local pid = io.open "/proc/self/stat":read "n"
local function other(name, priority)		-- 60 tasks of another program
	local src = ([[
		local rota = require "rota"
		rota.init { address = "pid:%d" }
		local f = rota.task(function() local t = rota.now() + 0.002 repeat until rota.now() > t end):with { priority = %d }
		rota.get(f())
		io.open("%s/%s.start", "w"):close()
		rota.get(f:map((function() local l = {} for i = 1, 60 do l[i] = i end return l end)()))
		io.open("%s/%s.end", "w"):close()
	]]):format(pid, priority, dir, name, dir, name)
	local f = io.open(dir .. "/" .. name .. ".lua", "w")
	f:write(src)
	f:close()
	os.execute(("rlua '%s/%s.lua' &"):format(dir, name))
end
local tick = rota.task(function() local t = rota.now() + 0.002 repeat until rota.now() > t return rota.now() end)
	:with { retries = 0 }		-- a lease that is called back charges nothing
local function beside(name, priority)		-- how many of our tasks ran between its start and its end
	other(name, priority)
	local n, running, refs = 0, false, {}
	for i = 1, 20 do refs[i] = tick() end
	local till = rota.now() + 20
	while rota.now() < till do
		rota.get(table.remove(refs, 1))
		refs[#refs + 1] = tick()
		running = running or io.open(dir .. "/" .. name .. ".start")
		if io.open(dir .. "/" .. name .. ".end") then rota.get(refs) return n end
		if running then n = n + 1 end
	end
	return math.huge
end
local fair, above = beside("fair", 0), beside("above", 10)
ok(above < 30, "another job of higher priority: its 60 tasks before ours", above, fair)
ok(above < fair, "of the same priority: in turns", above, fair)
T.done()
