#!/usr/bin/env rlua
-- memory.lua - memory= is a claim on the node and a limit: what goes over it fails, says so, and harms nobody else
local rota = require "rota"

local function fill(mb)				-- makes and keeps so many MiB
	local t = {}
	for i = 1, mb do t[i] = ("x"):rep(1 << 20) end
	return #t
end
local small = rota.task(fill):with{ name = "fill", memory = "64M" }
print(rota.get(small(40)))
--> 40

-- over the limit: this task fails, and is not tried again, for it would fail again
local v, err = rota.pget(small(100))
print(v, err.code, err.task, err.attempt)
--> nil	oom	fill	1

-- the evidence is in the error; the last figure is what Lua had (here nearly all; a library's own memory is not in it)
print((tostring(err):gsub("%d%d%.%d MiB were", "… MiB were")))
--> not enough memory: its limit is 64.0 MiB (memory=), … MiB were in values of Lua

-- a single allocation that cannot be can be caught
local careful = rota.task(function(mb)
	local ok, text = pcall(string.rep, "x", mb << 20)
	return ok and "made it" or text
end):with{ memory = "64M" }
print(rota.get(careful(200)))
--> not enough memory

-- shared memory is nobody's own: a large object is read where it lies
local big = rota.put(rota.buffer(16 << 20, "f64"))
print(rota.get(rota.task(function(b) return #b end):with{ memory = "64M" }(big)))
--> 16777216

-- an actor that goes over its limit loses the call, and lives
local Hoard = rota.actor{
	new = function(self) self.t = {} end,
	grow = function(self, mb) for i = 1, mb do self.t[#self.t + 1] = ("x"):rep(1 << 20) end return #self.t end,
	drop = function(self) self.t = {} return "dropped" end,
}
local h = Hoard:with{ memory = "64M" }()
print(rota.get(h:grow(30)), select(2, rota.pget(h:grow(60))).code, rota.get(h:drop()), rota.get(h:grow(30)))
--> 30	oom	dropped	30
