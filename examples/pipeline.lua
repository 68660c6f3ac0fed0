#!/usr/bin/env rlua
-- pipeline.lua - three actors in a row: one reads, one counts, one adds up, all at the same time
-- What a stage returns goes from its process to the next one's as a ref: the program here only says who calls whom.
local rota = require "rota"

local Reader = rota.actor{
	new = function(self, text) self.next = text:gmatch "[^\n]+" end,
	read = function(self, n)		-- the next n lines
		local lines = {}
		for i = 1, n do lines[i] = self.next() end
		return lines
	end,
}
local Counter = rota.actor{
	count = function(self, lines)		-- word -> how often
		local counts = {}
		for _, line in ipairs(lines) do
			for word in line:gmatch "%a+" do counts[word] = (counts[word] or 0) + 1 end
		end
		return counts
	end,
}
local Total = rota.actor{
	new = function(self) self.sum = {} end,	-- an actor keeps its state from call to call
	add = function(self, counts)
		for word, k in pairs(counts) do self.sum[word] = (self.sum[word] or 0) + k end
	end,
	get = function(self, word) return self.sum[word] end,
}

local text = ("the quick fox\nthe lazy dog\nthe end\n"):rep(1000)
local reader, counter, total = Reader(text), Counter(), Total()
for _ = 1, 30 do				-- 30 batches of 100 lines; nothing here waits
	total:add(counter:count(reader:read(100)))
end						-- calls from one program to one actor run in their order, so get comes last
print(rota.get { the = total:get "the", fox = total:get "fox" }.the, rota.get(total:get "fox"))
--> 3000	1000
