-- objects.lua - values that are too large for a message, between nodes: the driver's has next to no CPU (t/abroad.t)
package.path = arg[0]:match "^.*/" .. "../?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
rota.init { address = os.getenv "ROTA_ADDRESS" or "local" }

local function text(n, seed)			-- n bytes that differ from place to place
	local t = {}
	for i = 1, n // 10 + 1 do t[i] = ("%09d,"):format((i * 7919 + seed) % 1000000000) end
	return table.concat(t):sub(1, n)
end
local function str(s) return type(s) == "string" and s or s:string() end
local make = rota.task(function(n, seed)
	local t = {}
	for i = 1, n // 10 + 1 do t[i] = ("%09d,"):format((i * 7919 + seed) % 1000000000) end
	return table.concat(t):sub(1, n)
end)
local same = rota.task(function(s, n, seed)
	local t = {}
	for i = 1, n // 10 + 1 do t[i] = ("%09d,"):format((i * 7919 + seed) % 1000000000) end
	return (type(s) == "string" and s or s:string()) == table.concat(t):sub(1, n)
end)

for _, n in ipairs { 1000, 1025, 4000, 5000, 61440, 65536, 65537, 300000, 5000000 } do
	ok(str(rota.get(make(n, n))) == text(n, n), ("%d bytes from there"):format(n))
	ok(rota.get(same(text(n, n), n, n)), ("%d bytes there"):format(n))
end
local far = make(3000000, 1)
ok(rota.get(same(far, 3000000, 1)), "a value that lies there is an argument there")
ok(str(rota.get(far)) == text(3000000, 1), "and is fetched here")
local put = rota.put(text(2000000, 2))
ok(rota.get(same(put, 2000000, 2)), "what was put here is an argument there")
ok(str(rota.get(put)) == text(2000000, 2), "and is here still")
local inside = rota.task(function(t) return #rota.get(t[1]) + #rota.get(t.x) end)
is(rota.get(inside { put, x = far }), 5000000, "references within a table")
local refs, wrong = {}, 0
for i = 1, 60 do refs[i] = make(100000 + i, i) end
for i, v in ipairs(rota.get(refs)) do wrong = wrong + (v == text(100000 + i, i) and 0 or 1) end
is(wrong, 0, "60 at once")
local t = rota.get(rota.task(function(n) local r = { s = ("a"):rep(n), t = { ("b"):rep(n), 7 } } return r, n end)(100000))
ok(type(t) == "table" and #t.s == 100000 and #t.t[1] == 100000 and t.t[2] == 7, "a table of large strings")
local two = rota.task(function(n) return ("a"):rep(n), ("b"):rep(n) end):with { returns = 2 }
local a, b = two(200000)
ok(rota.get(b) == ("b"):rep(200000) and rota.get(a) == ("a"):rep(200000), "several returns")
local buffer = rota.buffer(100000)
for i = 1, 100000 do buffer[i] = i end
ok(rota.get(rota.task(function(x) local s = 0 for i = 1, #x do s = s + x[i] end return s end)(buffer)) == 100000 * 100001 // 2, "a buffer there")
local again = rota.get(rota.task(function(x) return x end)(buffer))
ok(again[99999] == 99999, "and back")
-- references within large values
local nest = rota.task(function(n) return { rota.put(("p"):rep(n)), ("q"):rep(n) } end)
local got = rota.get(nest(100000))
is(#rota.get(got[1]) + #got[2], 200000, "a large value with a reference to another one")
local held = rota.put { put, ("h"):rep(100000) }
is(rota.get(rota.task(function(x) return #rota.get(x[1]) + #x[2] end)(held)), 2100000, "the same, put here")
got, held, put, far, refs, a, b = nil, nil, nil, nil, nil, nil, nil
collectgarbage() collectgarbage()
T.done()
