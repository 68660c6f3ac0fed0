#!/usr/bin/env rlua
-- named.lua [NAME] - an actor with a name, used from two programs; started without NAME it starts the second one itself
-- Programs of one user share a node, but a job's names are its own unless both join one namespace.
local rota = require "rota"
rota.init{ namespace = "named-example" }

local name = arg[1]
if name then					-- the second program: finds the actor, calls it
	local board, why = rota.find(name)
	if not board then error(why) end
	rota.get(board:post("from the second program"))
	return
end

local Board = rota.actor{
	new = function(self) self.lines = {} end,
	post = function(self, line) self.lines[#self.lines + 1] = line end,
	all = function(self) return self.lines end,
}
local board = Board:with{ name = "board" }()
rota.get(board:post("from the first program"))
assert(os.execute(("rlua '%s' board"):format(arg[0])))
for i, line in ipairs(rota.get(board:all())) do print(i, line) end
--> 1	from the first program
--> 2	from the second program
print(rota.find "nobody")
--> nil	no actor 'nobody' in namespace 'named-example'
