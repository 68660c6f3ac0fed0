-- lazy.lua - a task that yields: its items come one by one while it runs, and no further ahead than is wanted
local rota = require "rota"

local primes = rota.task(function()
	local known = {}
	for n = 2, math.huge do
		local prime = true
		for _, p in ipairs(known) do
			if p * p > n then break end
			if n % p == 0 then prime = false break end
		end
		if prime then
			known[#known + 1] = n
			coroutine.yield(n)
		end
	end
end):with{ stream = true, backlog = 100 }

-- left early, the loop ends the task
for i, p in primes():each() do
	if p > 1000 then print("prime number " .. i .. " is the first above 1000: " .. p) break end
end
--> prime number 169 is the first above 1000: 1009

-- a stream of references: each goes to another task as any value does, before the next one is there
local words = rota.task(function(text) for w in text:gmatch "%a+" do coroutine.yield(w) end return "all read" end)
	:with{ stream = true }
local upper = rota.task(string.upper)
local stream, out = words "yield what you have", {}
for ref in stream do out[#out + 1] = upper(ref) end
print(table.concat(rota.get(out), " "), rota.get(stream:result()))
--> YIELD WHAT YOU HAVE	all read

-- the error of the task comes after what it had yielded
local half = rota.task(function() coroutine.yield "one" error("no more", 0) end):with{ stream = true }
print(pcall(function() for _, v in half():each() do print(v) end end))
--> one
--> false	no more
