#!/usr/bin/env rlua
-- sets.lua - four like workers behind one name: calls go to who has least to do, and who dies is replaced
local rota = require "rota"

local Translator = rota.actor{
	new = function(self, words)		-- what is dear to set up is set up once in each member
		self.words = words
	end,
	say = function(self, text)
		return (text:gsub("%a+", self.words))
	end,
	crash = function() os.exit(1) end,
}
local s <close> = rota.set(Translator, { n = 4 }, { one = "eins", two = "zwei", three = "drei" })
print(s:wait(20), #s)
--> true	4

print(table.concat(s:map("say", { "one", "two and two", "three" }), ", "))
--> eins, zwei and zwei, drei

rota.pget(s:crash())				-- one of them is gone
local seen_less
for info in s:watch() do			-- its changes, as they happen
	seen_less = seen_less or info.up < 4
	if seen_less and info.up == 4 then print("four again") break end
end
--> four again

s:resize "1:2"					-- two are wanted, one will do
for info in s:watch() do if #info.members == 2 then print(info.state, info.min, info.max) break end end
--> alive	1	2
