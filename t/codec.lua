-- codec.lua - values come back as they went: kinds, keys, holes, sharing, cycles, classes, errors; and what cannot travel says where
local codec = require "rota.codec"
local n, bad = 0, 0
local function ok(x, name)
	if TAP_OK then TAP_OK(not not x, name) return end
	n = n + 1
	if not x then bad = bad + 1 end
	print((x and "ok " or "not ok ") .. n .. " - " .. name)
end

local function trip(...) return codec.decode(codec.encode(...)) end
local function fails(text, ...)
	local good, err = pcall(codec.encode, ...)
	ok(not good and err == text, "refused: " .. text)
	if good or err ~= text then print("# said: " .. tostring(err)) end
end
local function same(a, b)		-- deep, kinds of numbers included
	if type(a) ~= "table" or type(b) ~= "table" then
		return math.type(a) == math.type(b) and (a == b or a ~= a and b ~= b)
	end
	for k, v in pairs(a) do if not same(v, b[k]) then return false end end
	for k in pairs(b) do if a[k] == nil then return false end end
	return true
end

local values = { true, false, 0, 1, -1, 31, -32, -33, 127, 128, -128, -129, 255, 256, 65535, 65536, 2^31 | 0, -(2^31) | 0,
	1 << 32, math.maxinteger, math.mininteger, 0.0, 1.0, -0.5, 1 / 0, -1 / 0, 0 / 0, 1e308, 3, 3.0, "", "x", "\0\255",
	("y"):rep(31), ("y"):rep(32), ("y"):rep(255), ("y"):rep(256), ("y"):rep(70000) }
for i, v in ipairs(values) do
	ok(same(trip(v), v), "scalar " .. i .. " " .. tostring(v):sub(1, 20))
	ok(same(trip({ v }), { v }), "in an array")
	ok(same(trip({ k = v }), { k = v }), "in a map")
	if v == v then ok(same(trip({ [v] = i }), { [v] = i }), "as a key") end
end
ok(select("#", trip(nil, 1, nil)) == 3, "nils are counted")
ok(select("#", trip()) == 0, "no value at all")

local tables = {
	{}, { 1, 2, 3 }, { 1, nil, 3 }, { nil, nil, 3 }, { [3] = 1 }, { [2] = "b", [3] = "c" }, { [1 << 40] = 1 }, { [0] = 0, 1, 2 }, { [-1] = 1 },
	{ x = 1 }, { 1, 2, x = 3 }, { [1.5] = 1 }, { { {} } }, { a = { b = { c = {} } } }, { [true] = 1, [false] = 0 },
	table.pack(1, nil, nil, nil, nil, nil, 7), { 1, "a", 2.5, {}, false },
}
for i, t in ipairs(tables) do ok(same(trip(t), t), "table " .. i) end
local big, rec = {}, {}
for i = 1, 70000 do big[i] = i * 3 end
for i = 1, 300 do rec["k" .. i] = { i, tostring(i) } end
ok(same(trip(big), big), "an array of 70000")
ok(same(trip(rec), rec), "a map of 300 arrays")
local back = {}
for i = 2000, 1, -1 do back[i] = i end
ok(same(trip(back), back) and codec.encode(back):byte() == 0xdc, "an array that was filled from its end is an array")
for i = 1, 70000 do rec[i .. "x"] = i end
ok(same(trip(rec), rec), "a map of 70300")

ok(codec.encode({}) == "\x80" and codec.encode(codec.array {}) == "\x90", "{} is a map, rota.array{} an array")
ok(codec.encode(codec.map { 1 }) == "\x81\x01\x01", "rota.map{} forces a map")
ok(codec.encode(trip(codec.array {})) == "\x90", "an empty array stays one")
ok(codec.encode({ [2] = 1, [4] = 1 }):byte() == 0x94, "half of it holes: still an array")
ok(codec.encode({ [2] = 1, [5] = 1 }):byte() == 0x82, "more than half: a map")
ok(trip(codec.null) == codec.null and type(codec.null) == "userdata", "null stays null")

local t = { 1 }
local a, b = trip({ t, t }, t)
ok(a[1] == a[2] and a[1] == b, "the same table is the same afterwards, over all values")
t = {} t.self = t t.list = { t, { up = t } }
a = trip(t)
ok(a.self == a and a.list[1] == a and a.list[2].up == a, "cycles")
local e = { {}, {} }
a = trip(e)
ok(a[1] ~= a[2], "equal is not the same")
ok(codec.encode({ t = { 1 }, u = { 1 } }):find("\xd6\x0b") == nil, "nothing is marked shared that is not")
local chain = {}
for i = 1, 150 do chain = { chain } end
ok(same(trip(chain), chain), "150 deep")
for i = 1, 100 do chain = { chain } end
fails("argument 1: nested deeper than 200", chain)
local dag = { 1 }
for i = 1, 60 do dag = { dag, dag } end
ok(trip(dag)[1] ~= nil, "60 levels of twice the same are no 2^60 tables")
t = {}
t[t] = t
a = trip(t)
ok(next(a) == a and a[a] == a, "a table as a key of itself")

-- what cannot travel
local co = coroutine.create(print)
fails("argument 1: a coroutine cannot travel", co)
fails("argument 2.items[3].x: a coroutine cannot travel", 1, { items = { 1, 2, { x = co } } })
fails('argument 1["a b"][true][1.5]: a coroutine cannot travel', { ["a b"] = { [true] = { [1.5] = co } } })
fails("argument 1[2]: a C function cannot travel (it is in no module of package.loaded)", { 1, (string.gmatch("a", "a")) })
local Point = {}
Point.__index = Point
local items = { 1, 2, setmetatable({ x = 1 }, Point) }
fails('argument 1.items[3]: has a metatable; give the class a name with rota.class("point", Point)', { items = items })
Vector = {}
fails('argument 1: has a metatable; give the class a name with rota.class("vector", Vector)', setmetatable({}, Vector))
Vector = nil
package.loaded.mm = { obj = setmetatable({ 1 }, { __index = {} }), plain = { 2 } }
a = trip { package.loaded.mm.obj, package.loaded.mm, package.loaded.mm.plain }
ok(a[2] == package.loaded.mm and a[1] == a[2].obj and a[3] ~= a[2].plain, "an object with a metatable in a module goes by name, a plain table does not")
package.loaded.mm = nil
fails("argument 1.f: userdata (FILE*) cannot travel", { f = io.tmpfile() })

-- classes
function Point:len() return math.sqrt(self.x ^ 2 + self.y ^ 2) end
ok(codec.class("point", Point) == Point, "rota.class gives the class back")
local p = setmetatable({ x = 3, y = 4 }, Point)
a, b = trip(p, { p })
ok(getmetatable(a) == Point and a:len() == 5.0 and b[1] == a, "an instance keeps class and identity")
p.me = p
a = trip(p)
ok(a.me == a and a:len() == 5.0, "an instance within itself")
p.me = nil
a = trip(setmetatable({ x = 1 }, { __index = Point }))
ok(a.x == 1 and a.len == Point.len, "by its __index")
ok(trip(Point) == Point and trip({ Point })[1] == Point, "the class itself goes by name")
local Set = { packs = 0 }
Set.__index = Set
function Set.__pack(s) Set.packs = Set.packs + 1 local l = {} for k in pairs(s) do l[#l + 1] = k end table.sort(l) return l end
function Set.__unpack(l) local s = setmetatable({}, Set) for _, k in ipairs(l) do s[k] = true end return s end
codec.class("set", Set)
local s = setmetatable({ a = true, b = true }, Set)
a, b = trip(s, { s })
ok(a.a and a.b and getmetatable(a) == Set and b[1] == a and Set.packs == 1, "__pack, once, and __unpack")
function Set.__pack() error "no way" end
local good, err = pcall(codec.encode, s)
ok(not good and tostring(err):find "no way", "an error in __pack")
function Set.__pack() return "long" .. ("x"):rep(5000) end
Set.__unpack = function(x) return { got = x } end
ok(#trip(s).got == 5004, "__pack to a long string")
ok(select(2, codec.decode("\xc7\x09\x0d\xa7unknown\x80", 1)):find "class 'unknown' is not known here", "an unknown class")
ok(select(2, codec.decode("\xc7\x07\x0d\xa5point\x80", 1, true)):find "refused", "no class where no code is allowed")

-- modules and functions in them
a = trip { string, string.format, print, io.stderr, _G }
ok(a[1] == string and a[2] == string.format and a[3] == print and a[4] == io.stderr and a[5] == _G, "modules and what is in them go by name")
ok(select(2, codec.decode("\xd5\x08xx", 1)):find "module 'xx' is not installed", "a module that is not there")
ok(select(2, codec.decode("\xc7\x0a\x09string\0nix", 1)):find "has no 'nix'", "a function that is not there")

-- error objects
local E = debug.getregistry()["rota.error"]
local function mk(f) return setmetatable(f, E) end
err = mk { message = "sq.lua:2: bad", code = "error", value = { code = 7 }, task = "sq", attempt = 2, node = "n1", traceback = "tb",
	cause = mk { message = "inner", code = "crashed" } }
a = trip(err)
ok(getmetatable(a) == E and a.message == err.message and a.value.code == 7 and a.attempt == 2 and a.cause.message == "inner"
	and a.cause.code == "crashed" and a.task == "sq" and a.node == "n1" and a.traceback == "tb", "an error with all its fields")
ok(tostring(a) == "sq.lua:2: bad" and "failed: " .. a == "failed: sq.lua:2: bad" and a .. "!" == "sq.lua:2: bad!", "it reads as its message")
ok(a:match "bad" == "bad" and a:find("2", 1, true) == 8 and a:upper() == "SQ.LUA:2: BAD" and a:sub(1, 2) == "sq" and #a == 13,
	"methods of strings")
ok(a.nofield == nil and a.detached == nil, "other fields are nil")
a = trip(mk { message = "m", code = "error", value = co })
ok(a.message == "m" and a.value == nil, "a value that cannot travel does not hide the error")
local shared = {}
a, b = trip(mk { message = "m", code = "error", value = { shared, co } }, { shared, shared })
ok(a.message == "m" and a.value == nil and b[1] == b[2], "nor does it spoil what is shared with it")
err = mk { message = "m" }
err.cause = err
a = trip(err)
ok(a.cause == a and a.code == "error", "an error that is its own cause")

-- bytes that are no values
for _, s in ipairs { "", "\xc1", "\x92\x01", "\xd6\x0c\0\0\0\0", "\xd6\x0b\0\0\0\0", "\xd6\x0b\1\0\0\0\xc0", "\x81\xc0\x01", "\x81\xcb\x7f\xf8\0\0\0\0\0\0\1",
	"\xd4\x63\0", "\xcf" .. ("\xff"):rep(8), "\xdd\xff\xff\xff\xff", "\x01\x01", ("\x91"):rep(300) .. "\x01" } do
	local v, why = codec.decode(s, 1)
	ok(v == nil and type(why) == "string", "refused: " .. s:sub(1, 12):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end
if not TAP_OK then
	print("1.." .. n)
	os.exit(bad == 0)
end
