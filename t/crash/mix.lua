-- mix.lua - a mixed load for the crash loops: tasks that depend on others, nested ones, objects of all sizes, actors
local rota = require "rota"
local M = {}

local plain = rota.task(function(x) return x * 2 end)
local big = rota.task(function(x, n) return ("%d"):format(x % 10):rep(n) end)
local sum = rota.task(function(a, b, c) return a + b + c end)
local len = rota.task(function(s, t) return #s + #rota.get(t[1], { as = "string" }) end)
local slow = rota.task(function(x) rota.sleep(0.002) return x end)
local nest
nest = rota.task(function(n) if n == 0 then return 0 end return 1 + rota.get(nest(n - 1)) end)
local two = rota.task(function(x) return x, x + 1 end):with { returns = 2 }
M.Pot = rota.actor {
	new = function(self) self.n = 0 end,
	add = function(self, k, s) self.n = self.n + k return self.n, #s end,
	pid = function(self) local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end,
}

-- refs, what they are to be, and an actor that has a part in it (opts: of the tasks; actor: one to use)
function M.load(size, opts, actor)
	local plain, big, sum, len, slow, nest, two = plain, big, sum, len, slow, nest, two
	if opts then
		plain, big, sum, len, slow, nest = plain:with(opts), big:with(opts), sum:with(opts), len:with(opts), slow:with(opts), nest:with(opts)
		two = two:with(opts)
	end
	local refs, want, total = {}, {}, 0
	local a = actor or M.Pot()
	local base = rota.get(a:add(0, ""))
	local function add(r, w) refs[#refs + 1], want[#want + 1] = r, w end
	for i = 1, size or 6 do
		local n = math.random(3) == 1 and math.random(100000, 400000) or math.random(100, 20000)
		add(plain(i), i * 2)
		add(sum(plain(i), slow(i), 1), 3 * i + 1)
		add(len(big(i, n), { rota.put(("p"):rep(n)) }), 2 * n)
		add(slow(i), i)
		add(nest(2), 2)
		local x, y = two(i)
		add(x, i) add(sum(y, 1, 1), i + 3)
		total = total + i
		add(a:add(i, ("s"):rep(i % 3 * 1000)), base + total)
	end
	return refs, want, a
end

-- gets all of them: how many are wrong; each wrong one is told
function M.check(refs, want, what, limit)
	local vals, errs = rota.pget(refs, limit or 60)
	local wrong = 0
	for i = 1, #refs do
		if vals[i] ~= want[i] then
			wrong = wrong + 1
			local e = errs and errs[i]
			if wrong < 6 then print(("# %s, ref %d: %s, wanted %s"):format(what, i, e and "error " .. tostring(e.code) .. ": " .. tostring(e) or tostring(vals[i]), want[i])) end
		end
	end
	return wrong
end

return M
