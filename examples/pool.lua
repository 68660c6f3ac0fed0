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
local pool = {}
for i = 1, 3 do pool[i] = Checker(words) end

local lines = { "A call costs a microsecond", "The values are quick", "One call goes everywhere", "and that costs" }
local refs = {}
for i, line in ipairs(lines) do refs[i] = pool[i % #pool + 1]:unknown(line) end	-- calls return at once
local found = rota.get(refs)
for i = 1, #refs do print(i, found[i]) end
--> 1	
--> 2	quick
--> 3	everywhere
--> 4	

for _, c in ipairs(pool) do rota.stop(c) end	-- or when the handle is collected, or the program ends
