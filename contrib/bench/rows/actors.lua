-- actors-1000, -memory, -rings: 1,000 actors made and called once; the private memory of each; all rings, idle
-- Memory is the median of the private pages of the actors' processes; rings are what this driver has mapped of them.
local rota = require "rota"
local Actor = rota.actor{
	one = function() return 1 end,
	memory = function()
		local kb = 0
		for line in io.lines "/proc/self/smaps_rollup" do kb = kb + (line:match "^Private_%a+:%s*(%d+)" or 0) end
		return kb
	end,
}
rota.init()

local start, actors, refs = rota.now(), {}, {}
for i = 1, 1000 do
	actors[i] = Actor()
	refs[i] = actors[i]:one()
end
assert(rota.get(refs)[1000] == 1)
print(("actors-1000 %.3f"):format(rota.now() - start))

local kb, ring, rings = {}, nil, 0
for i = 1, 1000, 50 do kb[#kb + 1] = rota.get(actors[i]:memory()) end
table.sort(kb)
print(("actors-memory %.3f"):format(kb[#kb // 2] * 1024 / 1e6))
for line in io.lines "/proc/self/smaps" do
	if line:find "^%x+%-%x+ " then ring = line:find "rota%-ring" end
	if ring then rings = rings + (line:match "^Size:%s*(%d+)" or 0) end
end
print(("actors-rings %.1f"):format(rings * 1024 / 1e6))
