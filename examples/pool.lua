#!/usr/bin/env rlua
-- pool.lua - a pool of actors: each loads something once and then serves many calls
-- Tasks keep nothing between calls; what is dear to set up (a dictionary, a connection, a model) belongs in an actor.
local rota = require "rota"

local Checker = rota.actor{
	new = function(self, words)
		self.known = {}
		for word in words:gmatch "%a+" do self.known[word:lower()] = true end
	end,
	unknown = function(self, line)
		local list = {}
		for word in line:gmatch "%a+" do
			if not self.known[word:lower()] then list[#list + 1] = word end
		end
		return table.concat(list, " ")
	end,
}

local words = rota.put "a call that runs elsewhere costs one microsecond and goes where the values are"
local pool = Checker:pool(3, words)		-- each call goes to the one with the least to do; a dead one is made anew

local lines = { "A call costs a microsecond", "The values are quick", "One call goes everywhere", "and that costs" }
for i, list in ipairs(pool:map("unknown", lines)) do print(i, list) end
--> 1	
--> 2	quick
--> 3	everywhere
--> 4	

for _, line in ipairs(lines) do pool:submit("unknown", line) end	-- or one by one, taken in that order
while pool:pending() > 0 do io.write("[", pool:next(), "] ") end
print()
--> [] [quick] [everywhere] [] 
