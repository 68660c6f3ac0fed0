-- busy.lua - a driver that runs a mixed load again and again until its standard input ends; tells each round and whether it was right
package.path = arg[0]:match "^.*/" .. "?.lua;" .. arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local rota = require "rota"
local M = require "mix"
math.randomseed(tonumber(arg[1]) or 1)
local refs, want, a
while true do
	refs, want, a = M.load(3, nil, a)
	local wrong = M.check(refs, want, "busy", 60)
	io.write(wrong == 0 and "right\n" or "wrong " .. wrong .. "\n")
	io.stdout:flush()
	if not io.read "l" then break end
end
