-- lru.lua - a full store moves to the disk what was used longest ago, whoever used it: reading counts, in the owner, in a task and by name
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
rota.init { address = "private", cpus = 1, store = "32M" }
local address = rota.nodes()[1].address

-- who is where: the objects of list, as "arena", "disk" or "both"
local function places(list)
	local where, at = {}, {}
	for l in io.popen("rstat -A " .. address .. " objects -o id,where"):lines() do
		local id, place = l:match "(%x+)\t(%a+)"
		where[id] = place
	end
	for i, ref in ipairs(list) do at[i] = where[ref:id()] or "?" end
	return at
end
local function text(i) return ("%04d"):format(i):rep(1 << 18) end
local function gone(list)		-- how many of them are only on the disk
	local n = 0
	for _, place in ipairs(places(list)) do n = n + (place == "disk" and 1 or 0) end
	return n
end
local function tick() rota.sleep(0.05) end	-- the clock of uses has 64 steps a second

local old, new = {}, {}
for i = 1, 12 do old[i] = rota.put(text(i)) end
rota.keep(old[3], { name = "three" })
tick()
local read = rota.task(function(s) return #s end)
is(rota.get(old[1], { as = "string" }) == text(1), true, "the oldest is read by its owner,")
is(rota.get(read(old[2])), 1 << 20, "the next one by a task,")
local p = io.popen("robj -A " .. address .. " cat three")
is(p:read "a" == text(3), true, "another one by a program that has ended when room is wanted")
p:close()
tick()
repeat new[#new + 1] = rota.put(text(100 + #new)) until gone(old) >= 4 or #new == 60
local at = places(old)
ok(gone(old) >= 4, "the store is full: some of the first twelve have left", #new, table.concat(at, " "))
local unread = 0			-- of them gone; many leave at once where the disk was slow for a while
for i = 4, 12 do unread = unread + (at[i] == "disk" and 1 or 0) end
ok(at[1] ~= "disk" and at[2] ~= "disk" and at[3] ~= "disk" or unread == 9, "those that were read not before all that were not", table.concat(at, " "))
ok(gone(new) == 0 or gone(old) == 12, "and none of those that came later before them", table.concat(at, " "), gone(new))
repeat new[#new + 1] = rota.put(text(100 + #new)) until gone(old) == 12 or #new == 60
ok(gone({ old[1], old[2], old[3] }) == 3 and gone(new) < #new - 10, "then they are the next", #new, table.concat(places(old), " "), gone(new))
for i = 1, 12 do if rota.get(old[i], { as = "string" }) ~= text(i) then ok(false, "object " .. i) end end
T.done()
