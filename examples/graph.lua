#!/usr/bin/env rlua
-- graph.lua - a compiled graph: two actors in a row, several executions under way, an error with its origin
local rota = require "rota"
rota.init { address = "private" }

local Stage = rota.actor {
	new = function(self, k) self.k = k end,
	add = function(self, x) return x + self.k end,
	root = function(self, x) if x < 0 then error("no root of " .. x, 0) end return math.sqrt(x) end,
}
local a, b = Stage(1), Stage()
local g <close> = rota.dag(function(x) return b:root(a:add(x)) end):compile()

local futures = {}
for i, x in ipairs { 3, 8, -5, 15 } do futures[i] = g(x) end
for _, f in ipairs(futures) do
	local ok, v = pcall(f.get, f)
	print(v, ok or "in " .. v.task:match "[a-z]+$")
end
--> 2.0	true
--> 3.0	true
--> no root of -4	in root
--> 4.0	true
