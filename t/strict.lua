-- strict.lua - ROTA_STRICT=1: a task that writes a global raises, with its name
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
if os.getenv "ROTA_STRICT" ~= "1" then		-- workers have the environment that their driver was started with
	os.exit(os.execute(("ROTA_STRICT=1 exec rlua '%s'"):format(arg[0])) and 0 or 1)
end
local rota = require "rota"
local T = require "tap"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
rota.init { address = "private", cpus = 2 }

function helper(x) return x + 1 end		-- a global of the driver, which may do as it likes
count = 0
local function try(f, ...) return rota.pget(rota.task(f)(...)) end

local _, err = try(function() leak = 1 end)
has(err, "strict.lua:15: task writes the global 'leak' (ROTA_STRICT)", "a new global: where, and its name")
_, err = try(function() print = nil end)
has(err, "the global 'print'", "a standard one")
_, err = try(function() local c = count; count = c + 1 end)
has(err, "the global 'count'", "one of the driver's that was read before")
_, err = try(function() _G.leak = 1 end)
has(err, "the global 'leak'", "through _G")
_, err = try(function() _ENV.leak = 1 end)
has(err, "the global 'leak'", "through _ENV")
_, err = try(function() setmetatable(_G, nil) end)
ok(err, "the guard cannot be taken away", err)
is(try(function() return helper(1), print ~= nil, _G.helper(2) end), 2, "reading is as ever, the driver's globals too")
is(try(function(f) return f(1) end, helper), 2, "functions as arguments")
_, err = try(function(f) f() end, function() leak = 2 end)
has(err, "the global 'leak'", "they are watched too")
is(try(function() local n = 0 for k in pairs(_G) do if k == "string" or k == "print" then n = n + 1 end end return n end), 2, "pairs(_G)")
is(try(function() return type(require "strict_module_not_there" and 1) end), nil, "require looks as ever")
is(rota.get(rota.task(function() return rota.get(rota.task(function() return helper(2) end)()) end)()), 3, "tasks of tasks")
_, err = try(function() return rota.get(rota.task(function() deep = 1 end)()) end)
has(err, "the global 'deep'", "and theirs")
local a = rota.actor { set = function(self, v) self.v = v return v end, leak = function() leak = 1 end }()
is(rota.get(a:set(3)), 3, "actors keep state in self")
_, err = rota.pget(a:leak())
has(err, "the global 'leak'", "their methods write no globals either")
is(leak, nil, "nothing came out")
T.done()
