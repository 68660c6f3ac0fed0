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
-- every 5 s each is asked how it is; who is stuck and does not answer is replaced, too
local s <close> = rota.set(Translator, { n = 4, health = "5s" }, { one = "eins", two = "zwei", three = "drei" })
print(s:wait(20), #s)
--> true	4

print(table.concat(s:map("say", { "one", "two and two", "three" }), ", "))
--> eins, zwei and zwei, drei

rota.pget(s:crash())				-- one of them is gone, and made again
print(rota.get(s:ready(4)))			-- a ref that is ready once four are up
--> true

s:resize "1:2"					-- two are wanted, one will do
for info in s:watch() do if #info.members == 2 then print(info.state, info.min, info.max) break end end
--> alive	1	2
