-- stream.lua - tasks at another node that stream: order, backlog, errors, ends, workers that die (t/abroad_more.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has = T.ok, T.is, T.has
local dir = T.tmp()
rota.init { address = "local" }

local count = rota.task(function(n) for i = 1, n do coroutine.yield(i) end return "done", n end):with { stream = true }
local function list(s) local l = {} for _, v in s:each() do l[#l + 1] = v end return l end
local function upto(n) local l = {} for i = 1, n do l[i] = i end return l end

local l = {}
for ref in count(5) do l[#l + 1] = rota.get(ref) end
is(l, upto(5), "references, in order")
is(list(count(5)), upto(5), "values")
is(list(count(0)), {}, "no items")
local s = count(2)
is({ rota.get(s:result()) }, { "done", 2 }, "what the function returned")
is({ rota.get(s:next()), rota.get(s:next()) }, { 1, 2 }, "its items are still there")
is({ s:next() }, { nil, "end" }, "then the end")
is(list(count(20000)), upto(20000), "more than its backlog")
local odd = rota.task(function()
	coroutine.yield(nil)
	coroutine.yield(1, "two", nil, { 4 })
	coroutine.yield(("y"):rep(900))
	coroutine.yield(rota.put "put")
end):with { stream = true }
local got = {}
for i, a, b, c, d in odd():each() do got[i] = { a, b, c, d } end
ok(#got == 4 and got[1][1] == nil and got[2][2] == "two" and got[2][4][1] == 4 and got[3][1] == ("y"):rep(900), "values of several kinds", #got)
is(rota.get(got[4][1]), "put", "a reference")
local x3 = rota.task(function(x) return 3 * x end)
l = {}
for ref in count(10) do l[#l + 1] = x3(ref) end
is(rota.get(l)[10], 30, "items are arguments of tasks")

-- backlog: the producer is never further ahead
local slow = rota.task(function(path, n)
	for i = 1, n do
		coroutine.yield(i)
		local f <close> = io.open(path, "w")
		f:write(i)
	end
end)
for _, backlog in ipairs { 1, 20 } do
	local log, most = dir .. "/ahead" .. backlog, 0
	local function made() local f <close> = io.open(log) return f and f:read "n" or 0 end
	s = slow:with { stream = true, backlog = backlog } (log, 60)
	for i = 1, 40 do
		rota.get(s:next())
		most = math.max(most, made() - i)
	end
	ok(most <= backlog + 1, "backlog=" .. backlog .. ": so far ahead and no further", most)
	s:close()
end
local ones, sum = {}, 0
for i = 1, 8 do ones[i] = count:with { backlog = 1 } (20) end
for i = 20, 1, -1 do for k = 8, 1, -1 do sum = sum + rota.get(ones[k]:next()) end end
is(sum, 8 * 20 * 21 // 2, "eight streams on four CPUs, in turns")

-- errors, and a consumer that goes away
local bad = rota.task(function() coroutine.yield(1) coroutine.yield(2) error { code = "mine" } end):with { stream = true }
l = {}
local fine, e = pcall(function() for i, v in bad():each() do l[i] = v end end)
ok(not fine and e.value.code == "mine" and #l == 2, "an error comes after the items before it", e)
local endless = rota.task(function()
	local done <close> = setmetatable({}, { __close = function() rota.kv:put("stream/closed", true) end })
	for i = 1, math.huge do coroutine.yield(i) end
end):with { stream = true }
for i in endless():each() do if i == 10 then break end end
local closed
for change in rota.kv:watch("stream/closed", { from = 1, timeout = 20 }) do closed = change.value break end
ok(closed, "whoever takes no more ends it")

-- its worker dies in the middle: what had come does not come again
local dies = rota.task(function(path, n)
	local f = io.open(path)
	for i = 1, n do
		coroutine.yield(i)
		if i == n // 2 and not f then
			io.open(path, "w"):close()
			os.execute "kill -9 $PPID"
			rota.sleep(10)
		end
	end
end):with { stream = true }
is(list(dies(dir .. "/dead", 1000)), upto(1000), "after a death it goes on where it was")
T.done()
