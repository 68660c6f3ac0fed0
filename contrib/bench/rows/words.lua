-- words: what completion asks a program for, its options, of each of ours in turn; the time of one, of the best of 5 rounds
local now = require "rota".now

local progs, best = {}, math.huge
for p in assert(io.popen "ls $(dirname $(command -v rlua))"):lines() do progs[#progs + 1] = p end
for _ = 1, 5 do
	local start = now()
	for _, p in ipairs(progs) do assert(os.execute(p .. " --complete-words >/dev/null </dev/null")) end
	best = math.min(best, now() - start)
end
print(("words %.1f"):format(best / #progs * 1000))
