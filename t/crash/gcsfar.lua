-- gcsfar.lua - work between two nodes, a set and watches of keys, while the control store is killed again and again ($ENOUGH: until then)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local kv = rota.kv
local function enough() local f = io.open(os.getenv "ENOUGH") return f and f:close() end

local double = rota.task(function(x) rota.sleep(0.001) return 2 * x end)
T.is(rota.get(double(1), 60), 2, "a task runs elsewhere")
kv:put("seen/0", "0")
local seen, changes, relisted = {}, kv:watch "seen/", 0
local function watch(timeout)		-- takes what has come, as rota-lua(7) says: who comes too late lists again
	while true do
		local ok, e = pcall(changes.next, changes, timeout)
		if ok and not e then return end
		if ok then
			seen[e.key] = e.value
		else
			assert(e.code == "compacted", e)
			relisted = relisted + 1
			local rows, rev = kv:list "seen/"
			for _, row in ipairs(rows) do seen[row.key] = row.value end
			changes = kv:watch("seen/", { from = rev + 1 })
		end
		if seen["seen/end"] then return end
	end
end
local set = rota.set(rota.actor { f = function(_, x) return x + 1 end }:with { cpus = 0 }, { n = 2 })
T.is(rota.get(set:f(1), 60), 2, "a set of actors")
local f = io.open(os.getenv "UP", "w")
f:write "go\n"
f:close()

local acked, tasks, wrong, unsure = {}, 0, {}, 0
local round = 0
while not enough() do
	round = round + 1
	local refs = {}
	for i = 1, 50 do refs[i] = double(i) end
	for i, v in ipairs(rota.get(refs, 60)) do if v ~= 2 * i then wrong[#wrong + 1] = i end end
	tasks = tasks + 50
	if rota.pget(set:f(round), 60) ~= round + 1 then wrong[#wrong + 1] = "set" end
	local key = "seen/" .. round
	if pcall(kv.put, kv, key, tostring(round)) then acked[key] = tostring(round) else unsure = unsure + 1 end
	watch(0)
end
kv:put("seen/end", "end")
T.ok(#wrong == 0, ("%d tasks of %d rounds ran elsewhere meanwhile, a set was called in each"):format(tasks, round), wrong)
watch(20)
local lost, unseen = {}, {}
for key, value in pairs(acked) do
	if kv:get(key) ~= value then lost[#lost + 1] = key end
	if seen[key] ~= value then unseen[#unseen + 1] = key end
end
T.is(table.concat(lost, " "), "", ("no key that was acknowledged is lost; %d had no answer"):format(unsure))
T.is(table.concat(unseen, " "), "", ("the watch has seen each, and began again %d times"):format(relisted))
T.done()
