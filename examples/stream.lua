-- stream.lua - a channel: one task makes lines, another counts their words, and sends what it found back
local rota = require "rota"
rota.init { address = "private" }

local make = rota.task(function(to, n)
	for i = 1, n do to:send(i, ("word "):rep(i)) end
	to:close()
end)
local count = rota.task(function(from, to)
	for i, line in function() return from:recv() end do
		to:send(i, select(2, line:gsub("%a+", "")))
	end
	to:close()
end)

local w1, r1 = rota.channel { items = 10 }
local w2, r2 = rota.channel()
make(w1, 5)
count(r1, w2)
for i, words in function() return r2:recv() end do print("line " .. i, words .. " words") end
print(r2:recv())
--> line 1	1 words
--> line 2	2 words
--> line 3	3 words
--> line 4	4 words
--> line 5	5 words
--> nil	closed
