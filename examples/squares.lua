#!/usr/bin/env rlua
-- squares.lua - the shortest program that shows all three: tasks, an actor, references between them
local rota = require "rota"
local square  = rota.task(function(x) return x * x end)
local Counter = rota.actor{ new = function(self) self.n = 0 end,
                            add = function(self, k) self.n = self.n + k; return self.n end }
local c, total = Counter()
for x = 1, 1000 do total = c:add(square(x)) end   -- a ref goes wherever a value does
print(rota.get(total))
--> 333833500
