-- slice.lua - ref:slice: parts of stored strings and buffers, read in place, in tasks and actors, as long as the part is held
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local S = { as = "string" }
rota.init { address = "private", cpus = 2, store = "64M" }

local function text(n) local t = {} for i = 1, n // 10 + 1 do t[i] = ("%09d,"):format(i) end return table.concat(t):sub(1, n) end

-- as string.sub, of strings of every kind of place
for _, n in ipairs { 20, 3000, 100000, 3000000 } do
	local s = text(n)
	local ref, bad = rota.put(s), 0
	local ends = { { 1, 5 }, { 3 }, { -7 }, { -7, -3 }, { 2, 1 }, { 0, 2 }, { n, n + 5 }, { n + 1, n + 9 }, { -n - 5, 4 }, { 5, -n }, { 1, -1 },
		{ math.mininteger, math.maxinteger }, { n // 3, n // 2 } }
	for _, e in ipairs(ends) do
		if rota.get(ref:slice(e[1], e[2]), S) ~= s:sub(e[1], e[2] or -1) then bad = bad + 1 print("#", n, e[1], e[2]) end
	end
	is(bad, 0, "parts of a string of " .. n)
end
local long = rota.put(text(3000000))
local v = rota.get(long:slice(1000001, 2500000))
is(type(v), "userdata", "of a long string without copying: a buffer")
is(#v, 1500000, "its length")
is(v:string(), text(3000000):sub(1000001, 2500000), "its bytes")
raises("read-only", "it is read-only", function() v[1] = 1 end)

-- buffers are cut along their first axis
local b = rota.buffer.zeros({ 1000, 500 }, "f64")
for i = 1, 1000 do for k = 1, 500, 100 do b:set(i, k, i * 1000 + k) end end
local rb = rota.put(b)
local rows = rota.get(rb:slice(10, 19))
is(("%d %d"):format(rows:shape()), "10 500", "rows of a buffer")
is(rows:at(1, 101), 10101.0, "its first")
is(rows:at(10, 401), 19401.0, "its last")
is(rota.get(rb:slice(-1)):at(1, 1), 1000001.0, "the last row")
local small = rota.put(rota.buffer({ 1, 2, 3, 4, 5 }, "i32"))
is(rota.get(small:slice(2, 4)):sum(), 9, "of a small buffer")
is(rota.get(small:slice(2, 4):slice(2)):sum(), 7, "a slice of a slice")

-- as arguments, at top level and inside, to who passes it on
local len = rota.task(function(x) return #x, type(x) == "string" and x or x:string() end)
local n, s = rota.get(len(long:slice(11, 20)))
is(n, 10, "an argument is the part")
is(s, "000000002,", "its bytes")
is(rota.get(rota.task(function(t) return #rota.get(t[1]), #rota.get(t.whole) end)({ long:slice(1, 7), whole = long })), 7, "inside a table it is a ref")
local pass = rota.task(function(t) return { t[1] } end)
is(rota.get(rota.get(pass { long:slice(21, 29) })[1], S), "000000003", "it comes back")
local cut = rota.task(function(t) return t[1]:slice(31, 39) end)
local r = rota.get(cut { long })
is(rota.get(r, S), "000000004", "cut by a task that borrows the whole")
local made = rota.task(function() return rota.put(("z"):rep(3000000)):slice(5, 2000004) end)
local of_worker = rota.get(made())
is(#rota.get(of_worker), 2000000, "of what the task itself has put")

local Keeper = rota.actor {
	take = function(self, t) self.ref = t[1] return true end,
	see = function(self) local x = rota.get(self.ref) return #x, x:sub(1, 9):string() end,
}
local k = Keeper()
do
	local whole = rota.put(text(5000000))
	rota.get(k:take { whole:slice(1000001, 4000000) })
end
v, rows = nil, nil
T.collect()
local junk = {}
for i = 1, 60 do junk[i] = rota.put(("j"):rep(2000000)) end		-- twice the store
local n, head = rota.get(k:see())
is(n, 3000000, "the part keeps the whole alive")
is(head, "000100001", "wherever that has gone meanwhile")
junk = nil

-- bytes that other programs open
local function outside(ref)
	local path, off, n = ref:path()
	local f = io.popen(("tail -c +%d %s | head -c %d | cksum"):format(off + 1, path, n))
	local sum = f:read "n"
	f:close()
	return sum
end
local function cksum(s)
	local name = os.tmpname()
	local f = io.open(name, "w")
	f:write(s)
	f:close()
	f = io.popen("cksum <" .. name)
	local sum = f:read "n"
	f:close()
	os.remove(name)
	return sum
end
is(outside(long), cksum(text(3000000)), "another program reads a string in the store")
is(outside(long:slice(7, 2000006)), cksum(text(3000000):sub(7, 2000006)), "a part of one")
is(outside(rota.put(text(20000))), cksum(text(20000)), "a shorter one")
is(outside(rota.put("abc")), cksum "abc", "one that is in no store")
local short = rota.put(text(20000))
ok(select(2, short:path()) > 0 and short:path() == long:path(), "what is in the store, short or long, is named where it lies")
is(rota.get(short), text(20000), "it is a string still")
is(outside(rota.put(rota.buffer({ 1, 2, 3 }, "u8"))), cksum "\1\2\3", "a buffer")
raises("only a string or a packed buffer has bytes", "a table has no bytes", function() rota.put({ 1 }):path() end)

-- the whole is not there yet, or never
local slow = rota.task(function() rota.sleep(0.05) return ("s"):rep(3000000) end)
local part = slow():slice(1, 2000000)
is(#rota.get(part), 2000000, "of what is still being made")
is(rota.get(len(slow():slice(1, 1500000))), 1500000, "the same as an argument")
raises("boom", "of a task that failed: its error", rota.get, rota.task(function() error "boom" end)():slice(1, 2))
raises("a slice of a table: only strings and buffers can be cut", "of a table", rota.get, rota.put({ 1, 2 }):slice(1, 1))
local v, e = rota.pget(rota.put({ 1, 2 }):slice(1, 1))
ok(v == nil and e.code == "value", "pget gives that error", e and e.code)
v, e = rota.pget { rota.put({ 1, 2 }):slice(1, 1), rota.put("abc"):slice(2) }
ok(v[1] == nil and v[2] == "bc" and e[1].code == "value" and not e[2], "in a list too")
raises("number expected", "no range", long.slice, long)
raises("number expected", "a range that is none", long.slice, long, "x")

-- nothing is left
part, r, of_worker, long, rb, small, short = nil
rota.kill(k)
k = nil
T.collect()
local core = require "rota.core"
local left = 1
for i = 1, 1000 do
	left = #core.list "objects"
	if left == 0 then break end
	T.collect()
	rota.get(len("x"))
end
is(left, 0, "at the end nothing is left in the store")
T.done()
