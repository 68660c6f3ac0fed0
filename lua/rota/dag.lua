-- dag - rota.dag(f): f is called once with symbols; its method calls become nodes; compile() gives each actor its steps
local core = require "rota.core"
local blame = require "rota.blame"

local Symbol = { __name = "rota.dag symbol" }
local function refuse(what)
	return function() blame(what .. " of a symbol: only methods of actors can take what a graph's function is given") end
end
for name, what in pairs { add = "arithmetic", sub = "arithmetic", mul = "arithmetic", div = "arithmetic", mod = "arithmetic",
    pow = "arithmetic", unm = "arithmetic", idiv = "arithmetic", concat = "concatenation", len = "the length", lt = "comparison",
    le = "comparison", index = "a field", newindex = "a field", call = "a call" } do
	Symbol["__" .. name] = refuse(what)
end
function Symbol.__tostring() return "a symbol of rota.dag" end

local function is_symbol(x) return getmetatable(x) == Symbol end
local function symbol(t) return setmetatable(t, Symbol) end
local raw = rawget

local function scan(x, seen)			-- a symbol inside a table would travel as nothing
	if type(x) ~= "table" or seen[x] then return false end
	if is_symbol(x) then return true end
	seen[x] = true
	for k, v in next, x do if scan(k, seen) or scan(v, seen) then return true end end
	return false
end

local Dag = { __name = "rota.dag" }
Dag.__index = Dag

local function trace(f)
	local info = debug.getinfo(f, "u")
	if info.isvararg then blame("rota.dag: the function takes a fixed number of arguments, not '...'") end
	local dag = { params = info.nparams, calls = {}, name = {} }
	local inputs = {}
	for i = 1, info.nparams do inputs[i] = symbol { input = i } end
	core.trace(function(handle, method, returns, ...)
		local call = { actor = handle, method = method, args = table.pack(...), number = #dag.calls + 1 }
		if returns > 1 then blame("rota.dag: a method in a graph is called without 'returns'") end
		for i = 1, call.args.n do
			local a = call.args[i]
			if not is_symbol(a) and scan(a, {}) then
				blame(("rota.dag: argument %d of '%s' has a symbol inside a table; pass it by itself"):format(i, method))
			end
		end
		dag.calls[call.number] = call
		return symbol { call = call.number }
	end)
	local res = table.pack(pcall(f, table.unpack(inputs)))
	core.trace(nil)
	if not res[1] then error(res[2], 0) end
	dag.outs = table.move(res, 2, res.n, 1, { n = res.n - 1 })
	if dag.outs.n == 0 then blame("rota.dag: the function returns nothing; return what the graph is to give") end
	for i = 1, dag.outs.n do
		local o = dag.outs[i]
		if not is_symbol(o) or not raw(o, "call") then
			blame(("rota.dag: value %d that the function returns is not the result of a method"):format(i))
		end
	end
	return setmetatable(dag, Dag)
end

local function options(given)
	local o = { inflight = 16, bytes = 1 << 16 }
	for k, v in pairs(given or {}) do
		if k == "inflight" then
			o.inflight = math.tointeger(v)
			if not o.inflight or o.inflight < 1 or o.inflight > 65536 then
				blame("compile: 'inflight' is a whole number from 1 to 65536")
			end
		elseif k == "bytes" then
			o.bytes = (type(v) == "number" or type(v) == "string") and core.size(v)
			if not o.bytes or o.bytes < 1 or o.bytes > 1 << 30 then
				blame("compile: 'bytes' is a size from 1 to 1G, of each channel")
			end
		else
			blame(("compile: no option '%s' (it has inflight, bytes)"):format(tostring(k)))
		end
	end
	return o
end

-- the plans: per actor its inputs, outputs and steps; and the graph's own ends
local function plan(dag, o)
	local plans, order = {}, {}
	local graph = { ins = {}, outs = {}, members = {}, handles = {}, params = dag.params, inflight = o.inflight }
	local function of(handle)
		local name, number, class = core.actor_name(handle)
		local p = plans[number]
		if not p then
			p = { name = name, class = class, handle = handle, ins = {}, outs = {}, steps = {}, values = {}, var = 0, fixed = {}, fed = {} }
			plans[number], order[#order + 1] = p, p
			graph.members[#graph.members + 1] = { actor = handle, name = name }
			graph.handles[#graph.handles + 1] = handle
		end
		return p
	end
	local function var(p) p.var = p.var + 1 return p.var end
	local function channel() return core.channel(o.bytes // 1 | 0, 0) end
	-- arguments of the graph: each actor gets the run from the first to the last that it uses
	local use = {}
	for _, call in ipairs(dag.calls) do
		local p = of(call.actor)
		for i = 1, call.args.n do
			local k = is_symbol(call.args[i]) and raw(call.args[i], "input")
			if k then
				local u = use[p] or { k, k }
				use[p] = { math.min(u[1], k), math.max(u[2], k) }
			end
		end
	end
	local function feed(p)
		local u = use[p] or { 1, 0 }
		local w, r = channel()
		graph.ins[#graph.ins + 1] = { chan = w, first = u[1], n = u[2] - u[1] + 1, to = p.name }
		p.ins[#p.ins + 1] = { chan = r, slot = p.var + 1, n = u[2] - u[1] + 1, from = "the program" }
		for k = u[1], u[2] do p.fed[k] = var(p) end
		p.steps[#p.steps + 1] = { read = #p.ins }
	end
	for _, p in ipairs(order) do if use[p] then feed(p) end end
	-- calls, in the order in which they were traced: it is the same for all, so nobody waits in a circle
	for _, call in ipairs(dag.calls) do
		local p = of(call.actor)
		local step = { call = call.method, name = p.class .. ":" .. call.method, args = {}, outs = {}, slot = var(p), all = false }
		call.step, call.plan = step, p
		p.values[call.number] = step.slot
		for i = 1, call.args.n do
			local a = call.args[i]
			local from = is_symbol(a) and raw(a, "call")
			if is_symbol(a) and raw(a, "input") then
				step.args[i] = p.fed[raw(a, "input")]
			elseif from then
				if not p.values[from] then
					local q = dag.calls[from]
					local w, r = channel()
					q.plan.outs[#q.plan.outs + 1] = { chan = w, to = p.name }
					q.step.outs[#q.step.outs + 1] = #q.plan.outs
					p.values[from] = var(p)
					p.ins[#p.ins + 1] = { chan = r, slot = p.values[from], n = 1, from = q.plan.name }
					p.steps[#p.steps + 1] = { read = #p.ins }
				end
				step.args[i] = p.values[from]
			else
				p.fixed[#p.fixed + 1] = { step = step, i = i, value = a }
			end
		end
		if #p.steps == 0 then feed(p) end	-- only constants: something must start it
		p.steps[#p.steps + 1] = step
	end
	for i = 1, dag.outs.n do
		local call = dag.calls[raw(dag.outs[i], "call")]
		local w, r = channel()
		local all = dag.outs.n == 1 and #call.step.outs == 0
		call.plan.outs[#call.plan.outs + 1] = { chan = w, to = "the program" }
		call.step.outs[#call.step.outs + 1] = #call.plan.outs
		call.step.all = all
		graph.outs[i] = { chan = r, from = call.plan.name, all = all and 1 or 0 }
	end
	for _, p in ipairs(order) do
		p.slots, p.nvar, p.nslot = {}, p.var, p.var
		for _, c in ipairs(p.fixed) do
			p.nslot = p.nslot + 1
			p.slots[p.nslot] = c.value
			c.step.args[c.i] = p.nslot
		end
	end
	return graph, order
end

function Dag.compile(dag, given)
	local graph, order = plan(dag, options(given))
	local refs = {}
	for i, p in ipairs(order) do
		refs[i] = core.plan(p.handle, { ins = p.ins, outs = p.outs, steps = p.steps, slots = p.slots, nvar = p.nvar, nslot = p.nslot })
	end
	core.get(refs)
	return core.graph(graph)
end

-- dag(function(x, …) return b:g(a:f(x)) end)
return function(f)
	if type(f) ~= "function" then blame("rota.dag takes a function, as rota.dag(function(x) return b:g(a:f(x)) end)") end
	return trace(f)
end
