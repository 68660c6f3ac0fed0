-- buffer.lua - rota.buffer: elements of every type, views, limits, and its journey
local codec = require "rota.codec"
local buffer = codec.buffer
local n, bad = 0, 0
local function ok(x, name)
	if TAP_OK then TAP_OK(not not x, name) return end
	n = n + 1
	if not x then bad = bad + 1 end
	print((x and "ok " or "not ok ") .. n .. " - " .. name)
end
local function fails(text, f, ...)
	local good, err = pcall(f, ...)
	ok(not good and tostring(err):find(text, 1, true), "refused: " .. text)
	if good or not tostring(err):find(text, 1, true) then print("# said: " .. tostring(err)) end
end
local function trip(...) return codec.decode(codec.encode(...)) end

local b = buffer(4)
ok(#b == 4 and b:dtype() == "f64" and b:bytes() == 32 and b[1] == 0.0 and b[4] == 0.0, "n zeros, f64 by default")
b[1], b[4] = 1, -2.5
ok(b[1] == 1.0 and b[4] == -2.5 and b[0] == nil and b[5] == nil, "1-based, nil outside")
fails("outside", function() b[5] = 1 end)
fails("outside", function() b[0] = 1 end)
fails("number expected", function() b[1] = "x" end)
local types = { u8 = { 0, 255 }, i8 = { -128, 127 }, u16 = { 0, 65535 }, i16 = { -32768, 32767 }, u32 = { 0, 4294967295 },
	i32 = { -2147483648, 2147483647 }, i64 = { math.mininteger, math.maxinteger }, u64 = { 0, -1 } }
for t, lim in pairs(types) do
	b = buffer({ lim[1], 1, lim[2] }, t)
	ok(b[1] == lim[1] and b[2] == 1 and b[3] == lim[2] and math.type(b[1]) == "integer", t .. " keeps its limits")
	if t ~= "u64" and t ~= "i64" then
		fails("does not fit an element of type " .. t, function() b[1] = lim[2] + 1 end)
		fails("does not fit", function() b[1] = lim[1] - 1 end)
	end
end
b = buffer({ 1.5, 0.1 }, "f32")
ok(b[1] == 1.5 and b[2] ~= 0.1 and math.abs(b[2] - 0.1) < 1e-8, "f32")
b = buffer({ 1, 1.5, 65504, 1e9, -1 / 0, 6e-8, 0.333251953125, 2049, 2051, -0.0 }, "f16")
ok(b[1] == 1 and b[2] == 1.5 and b[3] == 65504 and b[4] == 1 / 0 and b[5] == -1 / 0 and b[6] == 2 ^ -24 and b[7] == 0.333251953125
	and b[8] == 2048 and b[9] == 2052 and 1 / b[10] == -1 / 0, "f16 rounds to even")
b = buffer({ 1, 3.140625, 1e38, 0 / 0 }, "bf16")
ok(b[1] == 1 and b[2] == 3.140625 and b[4] ~= b[4] and math.abs(b[3] / 1e38 - 1) < 0.01, "bf16")
fails("no type of elements 'f65'", buffer, 1, "f65")

b = buffer("hello")
ok(b:dtype() == "u8" and #b == 5 and b[1] == 104 and b:string() == "hello" and b:string(2, 3) == "el", "of a string")
fails("no whole number of elements", buffer, "hello", "u32")
fails("element 2 is a string", buffer, { 1, "x" })
fails("element 2 is a nil", buffer, setmetatable({ 1, nil, 3 }, { __len = nil }) and { 1, [3] = 3, [4] = 4, nil, 3 })

-- views
b = buffer { 1, 2, 3, 4, 5 }
local v = b:sub(2, 4)
ok(#v == 3 and v[1] == 2.0 and v[3] == 4.0, "sub is inclusive")
v[1] = 20
ok(b[2] == 20.0, "and shares")
ok(#b:sub(-2) == 2 and #b:sub(4, 2) == 0 and #b:sub(0) == 5 and #b:sub(2, 99) == 4 and #b:sub(-99, -4) == 2, "ends as string.sub has them")
local vv = v:sub(2):sub(2)
b, v = nil, nil
collectgarbage() collectgarbage()
ok(vv[1] == 4.0, "a view of a view keeps the owner")
b = buffer { 1, 2, 3, 4, 5, 6 }
v = b:reshape(2, 3)
ok(select("#", v:shape()) == 2 and v:shape() == 2 and tostring(v) == "buffer f64 [2x3]:\n[[1.0 2.0 3.0]\n [4.0 5.0 6.0]]", "reshape, tostring: " .. tostring(v))
ok(b ~= v and b == buffer { 1, 2, 3, 4, 5, 6 } and b ~= buffer { 1, 2, 3, 4, 5, 7 } and v:copy() == v, "== looks at type, shape and elements")
fails("no such shape", b.reshape, b, 4)
ok(b:fill(7)[6] == 7.0 and b:copy_from(buffer { 1, 2 }, 2)[3] == 2.0 and b[1] == 7.0, "fill, copy_from")
fails("do not fit", b.copy_from, b, ("x"):rep(49))
do
	local c <close> = b:sub(1, 2)
	v = c
end
ok(#v == 0 and #b == 6, "a closed view is empty")
fails("rota.buffer", getmetatable(b).__index, io.stderr, 1)
fails("rota.buffer", getmetatable(b).__len, {})

-- the journey
local function journey(x)
	local y = trip { x }[1]
	return y == x and y:readonly() and y:dtype() == x:dtype()
end
ok(journey(buffer { 1, 2, 3 }) and journey(buffer "abc") and journey(buffer(0)) and journey(buffer(100000, "i16")), "comes back the same, read-only")
ok(journey(v) and journey(b:reshape(3, 2)) and journey(b:sub(2, 3)), "empty, shaped, and views")
b = trip(buffer { 1, 2 })
fails("this buffer is read-only; b:copy() gives your own", function() b[1] = 1 end)
fails("read-only", b.fill, b, 1)
fails("read-only", function() b:sub(1, 1)[1] = 2 end)
local own = b:copy()
own[1] = 5
ok(own[1] == 5.0 and b[1] == 1.0, "a copy is one's own")
fails("not enough memory", buffer, 1 << 60)
if not TAP_OK then
	print("1.." .. n)
	os.exit(bad == 0)
end
