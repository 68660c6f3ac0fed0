-- ahead.lua - memory for objects is got ahead of the next ones, as much again as is lent; losing who does that changes nothing else
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
rota.init { address = "private", cpus = 1, store = "256M" }

local function lines(command)
	local list = {}
	for l in io.popen(command):lines() do list[#list + 1] = l end
	return list
end
local small = rota.put(("s"):rep(2 << 20))
local store = small:path()
local function allocated() return tonumber(lines("stat -Lc %b " .. store)[1]) * 512 end
local rlet = rota.nodes()[1].pid
local function helpers()			-- children of rlet that are rlet
	local list = {}
	for _, pid in ipairs(lines("cat /proc/" .. rlet .. "/task/*/children | tr ' ' '\n'")) do
		if pid ~= "" and (lines("readlink /proc/" .. pid .. "/exe")[1] or ""):find "/rlet$" then list[#list + 1] = pid end
	end
	return list
end
is(#helpers(), 0, "nothing is done before there is work")
ok(allocated() < 8 << 20, "nor is memory taken", allocated())

local refs = {}
for i = 1, 16 do refs[i] = rota.put(("b"):rep(1 << 20)) end
local till = rota.now() + 100
while allocated() < 30 << 20 and rota.now() < till do rota.sleep(0.02) end
ok(allocated() >= 30 << 20, "17 MiB are lent: there is room for as much again", allocated())
ok(allocated() < 80 << 20, "and not much more", allocated())
is(#helpers(), 1, "it is a process of rlet's that does it")
is(rota.get(refs[16], { as = "string" }) == ("b"):rep(1 << 20), true, "objects are as they were")

local pid = helpers()[1]
os.execute("kill -KILL " .. pid)
for i = 17, 120 do refs[i] = rota.put(("c"):rep(1 << 20)) end
local good = 0
for i = 17, 120 do good = good + (rota.get(refs[i], { as = "string" }) == ("c"):rep(1 << 20) and 1 or 0) end
is(good, 104, "it is killed: objects are made as before")
till = rota.now() + 100
while #helpers() > 0 and rota.now() < till do rota.sleep(0.02) end
is(#helpers(), 0, "and it is not left as a zombie")
T.done()
