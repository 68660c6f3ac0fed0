-- spill.lua - ten times the arena in objects of all sizes: put, made by tasks, read here and by tasks, workers killed meanwhile
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local seed = tonumber(arg[1]) or os.time()
math.randomseed(seed)
print("# seed " .. seed)
local store = 32 << 20
rota.init { address = "private", cpus = 2, store = "32M" }

-- a value tells by itself whether it is right: its number, its length, and the same byte throughout
local function text(i, n) return ("%08d%08d"):format(i, n) .. string.char(97 + i % 26):rep(n - 16) end
local function right(s, i, n) return s == text(i, n) end
local function size()
	local k = math.random(10)
	return k < 4 and math.random(5000, 20000) or k < 7 and math.random(20000, 250000) or k < 10 and math.random(250000, 1200000) or
		math.random(1200000, 3000000)
end

local make = rota.task(function(i, n) return ("%08d%08d"):format(i, n) .. string.char(97 + i % 26):rep(n - 16) end):with { retries = -1 }
local read = rota.task(function(s, i, n)
	if type(s) ~= "string" then s = s:string() end
	return #s == n and s:sub(1, 16) == ("%08d%08d"):format(i, n) and s:find("^" .. string.char(97 + i % 26) .. "*$", 17) ~= nil
end):with { retries = -1 }
local inside = rota.task(function(t, i, n)
	local s = rota.get(t.ref, { as = "string" })
	return #s == n and s:sub(1, 16) == ("%08d%08d"):format(i, n)
end):with { retries = -1 }

local refs, sizes, total = {}, {}, 0
local i = 0
while total < 10 * store do
	i = i + 1
	sizes[i] = size()
	total = total + sizes[i]
	if i % 3 == 0 then refs[i] = make(i, sizes[i]) else refs[i] = rota.put(text(i, sizes[i])) end
end
ok(true, i .. " objects of " .. total // 1000000 .. " MB in an arena of 32 MiB")

local wrong = 0
for k = 1, i do if not right(rota.get(refs[k], { as = "string" }), k, sizes[k]) then wrong = wrong + 1 end end
is(wrong, 0, "read in order, all are right")
local view = rota.get(refs[1])
for n = 1, i do
	local k = math.random(i)
	if not right(rota.get(refs[k], { as = "string" }), k, sizes[k]) then wrong = wrong + 1 end
end
is(wrong, 0, "read in any order")
ok(right(type(view) == "string" and view or view:string(), 1, sizes[1]), "what is looked at stays where it is")

local asked = {}
for n = 1, 200 do
	local k = math.random(i)
	asked[n] = math.random(2) == 1 and read(refs[k], k, sizes[k]) or inside({ ref = refs[k] }, k, sizes[k])
end
for n, v in ipairs(rota.get(asked)) do if v ~= true then wrong = wrong + 1 end end
is(wrong, 0, "read by tasks, as arguments and from inside")

-- two who want the same one at once
local pairs_of = {}
for n = 1, 40 do
	local k = math.random(i)
	pairs_of[2 * n - 1], pairs_of[2 * n] = read(refs[k], k, sizes[k]), read(refs[k], k, sizes[k])
end
for _, v in ipairs(rota.get(pairs_of)) do if v ~= true then wrong = wrong + 1 end end
is(wrong, 0, "by two at once")

-- an object of several values, tables, buffers
local t = {}
for n = 1, 60 do t[n] = rota.put({ n = n, s = text(n, 900000) }, n) end
for n = 1, 60 do
	local v, m = rota.get(t[n])
	if m ~= n or v.n ~= n or not right(v.s, n, 900000) then wrong = wrong + 1 end
end
is(wrong, 0, "tables, and objects of several values")
t = nil

-- what is dropped is gone from the disk too
refs, asked, pairs_of, view = nil, nil, nil, nil
T.collect()
rota.get(make(1, 20))
raises("does not fit the store", "an object larger than the arena", rota.put, ("x"):rep(40 << 20))
T.done()
