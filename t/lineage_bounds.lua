-- lineage_bounds.lua - how much is kept to make results again: 64 MiB of records and arguments, then the oldest goes
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
rota.init { address = "private", cpus = 1, store = "512M" }

local long = rota.task(function(s, i) return ("r"):rep(8000 + i) end)
local arg, refs = ("x"):rep(4 << 20), {}
local function make(i)
	refs[i] = long(arg, i)
	rota.get(refs[i])
end
local function kept()
	for _, m in ipairs(core.list "memory") do
		if m.lineage > 0 or m.lineage_dropped > 0 then return m.lineage, m.lineage_dropped end
	end
	return 0, 0
end
for i = 1, 15 do make(i) end
local bytes, dropped = kept()
T.ok(bytes > 60 << 20 and bytes <= 64 << 20, "all fit", bytes)
T.is(dropped, 0, "so nothing is dropped")
make(16)
bytes, dropped = kept()
T.ok(bytes > 60 << 20 and bytes <= 64 << 20, "one more does not", bytes)
T.is(dropped, 1, "the oldest goes")
local function mem(o)				-- of the first row of rstat mem
	local p = io.popen(("rstat -A %s mem %s 2>&1"):format(rota.nodes()[1].address, o))
	local line = p:read "l"
	p:close()
	return line
end
T.is(mem "-o lineage_dropped,where", "1\tarena", "rstat mem counts it")
T.has(mem "-J", ',"lineage_dropped":1}', "as JSON, too")
for i = 1, 16 do T.is(#rota.get(refs[i]), 8000 + i, "its value stays: " .. i) end
T.done()
