-- tap.lua - TAP for the Lua tests: local T = require "tap"; run by itself it proves nothing
local T = { n = 0, bad = 0 }

local function show(v)
	if type(v) == "string" then return #v > 300 and ("%q… (%d bytes)"):format(v:sub(1, 300), #v) or ("%q"):format(v) end
	if type(v) ~= "table" or getmetatable(v) then return tostring(v) end
	local s = {}
	for k, x in pairs(v) do
		if #s == 20 then s[21] = "…" break end
		s[#s + 1] = "[" .. tostring(k) .. "]=" .. tostring(x)
	end
	return "{" .. table.concat(s, ", ") .. "}"
end

function T.ok(good, name, ...)		-- what follows the name is shown when it fails
	T.n = T.n + 1
	if not good then T.bad = T.bad + 1 end
	print((good and "ok " or "not ok ") .. T.n .. " - " .. tostring(name):gsub("[\n#]", " "))
	if not good then
		local at = debug.getinfo(2, "Sl")
		if at.short_src:match "tap%.lua$" then at = debug.getinfo(3, "Sl") end
		print(("# at %s:%d"):format(at.short_src, at.currentline))
		for i = 1, select("#", ...) do print("# " .. show((select(i, ...))):gsub("\n", "\n# ")) end
	end
	io.stdout:flush()
	return good
end

function T.same(a, b)			-- deep; 1 and 1.0 are not the same
	if type(a) ~= "table" or type(b) ~= "table" then
		return a == b and math.type(a) == math.type(b) or a ~= a and b ~= b
	end
	for k, v in pairs(a) do if not T.same(v, b[k]) then return false end end
	for k in pairs(b) do if a[k] == nil then return false end end
	return true
end

function T.is(got, want, name)
	return T.ok(T.same(got, want), name, "got:", got, "wanted:", want)
end

function T.has(got, text, name)		-- text is plain
	return T.ok(tostring(got):find(text, 1, true), name, "got:", got, "wanted in it:", text)
end

function T.raises(text, name, f, ...)	-- f(...) raises an error with the plain text in its message; returns the error
	local res = table.pack(pcall(f, ...))
	if res[1] then T.ok(false, name, "no error; returned:", res[2]) return nil end
	T.ok(tostring(res[2]):find(text, 1, true), name, "raised:", tostring(res[2]), "wanted in it:", text)
	return res[2]
end

local names = {}
for i = 1, 190 do names[i] = "x" .. i end
local scrub = load("local " .. table.concat(names, ", "))
function T.collect()			-- all garbage, also what only forgotten slots of the stack name
	scrub()
	collectgarbage()
	collectgarbage()
end

function T.tmp()			-- a fresh directory, removed by done()
	local p = io.popen("mktemp -d", "r")
	T.dir = p:read "l"
	p:close()
	return T.dir
end

function T.needs_python()			-- else the test is skipped
	if os.execute "python3 -c 'import struct' 2>/dev/null" then return end
	print "1..0 # SKIP python3 is not here"
	os.exit(0)
end

function T.no_objects(core)			-- within 20 s the node has none: nothing was leaked
	local t0, objects = core.now(), nil
	repeat
		T.collect()
		core.sleep(0.01)
		objects = core.list "objects"
	until #objects == 0 or core.now() - t0 > 20
	T.is(#objects, 0, "nothing is left")
end

function T.done()
	if T.dir then os.execute("rm -rf '" .. T.dir .. "'") end
	print("1.." .. T.n)
	os.exit(T.bad == 0 and 0 or 1, true)
end

if ... == nil then print "1..0 # SKIP the library of the other tests" end
return T
