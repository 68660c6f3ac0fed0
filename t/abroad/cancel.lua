-- cancel.lua - tasks at another node that are cancelled or late: waiting, running, with children, by force (t/abroad_more.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
rota.init { address = "local" }

local function say(k, v) rota.kv:put("cancel/" .. k, v or true) end
local function heard(k)				-- what was said, once it was
	for change in rota.kv:watch("cancel/" .. k, { from = 1, timeout = 20 }) do
		if change.key == "cancel/" .. k then return change.value end
	end
end
local function fails(ref, code, name, text)
	local _, e = rota.pget(ref, { timeout = 20 })
	ok(type(e) == "table" and e.code == code and tostring(e):find(text or "", 1, true), name, code, text, e)
end
local function failed(refs, code)		-- how many
	local _, errs = rota.pget(refs, { timeout = 20 })
	local n = 0
	for i = 1, #refs do if errs and errs[i] and errs[i].code == code then n = n + 1 end end
	return n
end

local spins = rota.task(function(k) say(k) while true do end end)
local sleeps = rota.task(function(k) say(k) rota.sleep(60) end)
local r = spins "loop"
heard "loop"
ok(rota.cancel(r), "cancel says that it had an effect")
fails(r, "cancelled", "a loop ends")
r = sleeps "sleep"
heard "sleep"
rota.cancel(r)
fails(r, "cancelled", "and a sleep")
local refs = {}
for i = 1, 60 do refs[i] = sleeps("q" .. i) end
heard "q1"
is(rota.cancel(refs), 60, "sixty, most of which wait here or there")
is(failed(refs, "cancelled"), 60, "all of them end")

fails(spins:with { timeout = 0.3 } "late", "timeout", "a loop whose time is up", "longer than its timeout")
fails(sleeps:with { timeout = 0.3 } "late2", "timeout", "a sleep whose time is up", "longer than its timeout")
for i = 1, 12 do refs[i] = sleeps:with { timeout = 0.3 } ("m" .. i) end
is(failed({ table.unpack(refs, 1, 12) }, "timeout"), 12, "twelve, some of which had no time to begin")

local deaf = rota.task(function(k)
	say(k)
	while true do pcall(function() while true do end end) end
end)
r = deaf "deaf"
heard "deaf"
rota.cancel(r)
fails(r, "cancelled", "one that catches errors")
r = rota.task(function(k) say(k) os.execute "exec sleep 60" end) "force"
heard "force"
rota.cancel(r, { force = true })
fails(r, "cancelled", "one that waits for a program: its worker is killed")

local parent = rota.task(function(k)
	local c = rota.task(function(name)
		local told <close> = setmetatable({}, { __close = function() say(name .. ".ends") end })
		say(name)
		while true do end
	end)(k .. ".child")
	rota.get(c)
end)
r = parent "family"
heard "family.child"
rota.cancel(r)
fails(r, "cancelled", "a task that waits for its child")
ok(heard "family.child.ends", "its child ends too")

-- a scope: what a task of it left behind ends with it
local leaves = rota.task(function(k)
	rota.task(function(name)
		local told <close> = setmetatable({}, { __close = function() say(name .. ".ends") end })
		say(name)
		while true do end
	end)(k .. ".left")
	heard(k .. ".left")
end)
local fine, e = pcall(rota.scope, function()
	rota.get(leaves "scope")
	error "enough"
end)
ok(not fine and tostring(e):find "enough", "a scope that raises", e)
ok(heard "scope.left.ends", "what its task had submitted, and not waited for, ends")
is(rota.get(rota.task(function() return "well" end)()), "well", "others run as ever")

-- a long task among short ones holds nobody up, also of those that were sent to its worker
local noop = rota.task(function(x) return x end)
for i = 1, 3000 do refs[i] = noop(i) end
rota.get(refs)
local dir = T.tmp()
local opens = rota.task(function(path) io.open(path, "w"):close() end)
local long = rota.task(function(path)		-- it computes
	local till = os.clock() + 10
	while os.clock() < till do
		local f <close> = io.open(path)
		if f then return "opened" end
	end
	return "late"
end)
local l, o = {}, {}
for i = 1, 3 do l[i], o[i] = long(dir .. "/door" .. i), opens(dir .. "/door" .. i) end
is({ rota.get(l[1]), rota.get(l[2]), rota.get(l[3]) }, { "opened", "opened", "opened" }, "tasks that wait for later ones")
T.done()
