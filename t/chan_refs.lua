-- chan_refs.lua - references and handles of actors through channels and compiled graphs: held on their way, let go of after it
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has = T.ok, T.is, T.has
rota.init { address = "private", cpus = 4, store = "256M" }

local function large(n) local b = rota.buffer(20000, "i64") b[1] = n return rota.put(b) end
local function objects(n, name)			-- so many lie in the store, soon
	local t0, k = rota.now(), nil
	repeat
		T.collect()
		k = #core.list "objects"
		if k ~= n then rota.sleep(0.005) end
	until k == n or rota.now() - t0 > 10
	is(k, n, name)
end
local function alive()
	local n = 0
	for _, a in ipairs(core.list "actors") do if a.state ~= "dead" then n = n + 1 end end
	return n
end
local function actors(n, name)
	local t0 = rota.now()
	repeat
		T.collect()
		if alive() ~= n then rota.sleep(0.005) end
	until alive() == n or rota.now() - t0 > 10
	is(alive(), n, name)
end

-- one process
local w, r = rota.channel()
w:send(rota.put(7), { rota.put "x" })
T.collect()
local a, b = r:recv()
is({ rota.get(a), rota.get(b[1]) }, { 7, "x" }, "references, within a process")
a, b = nil, nil

-- the channel holds them: who sent lets go at once, who receives comes late
for i = 1, 20 do w:send(i, large(i)) end
T.collect()
is(#core.list "objects", 20, "what is on its way is held")
local take = rota.task(function(from, n)
	local sum = 0
	for _ = 1, n do
		local i, ref = from:recv()
		sum = sum + (rota.get(ref)[1] == i and 1 or 0)
	end
	return from, sum
end)
local back, sum = rota.get(take(r, 10))
is(sum, 10, "a task reads the first ten")
objects(10, "which are let go of then")
back, sum = rota.get(take(back, 5))
is(sum, 5, "another one, which got the end with some unread, the next five")
objects(5, "and five are left")
local i, kept = back:recv()
back:close()
objects(1, "the reader closes with some unread: but the one that it keeps, none is left")
is(rota.get(kept)[1], i, "which is fine")
kept, back, w, r = nil, nil, nil, nil
objects(0, "none")

-- owners of a third process; pending ones; the writer closes with some unread
local make = rota.task(function(x) return rota.put(x), 1 end)
local produce = rota.task(function(to, n)
	for k = 1, n do
		local b = rota.buffer(20000, "i64")
		b[1] = k
		to:send(k, make(b), rota.put(b))
	end
	to:close()
	return true
end)
local w, r = rota.channel()
is(rota.get(produce(w, 8)), true, "a task sends references to tasks that have not ended, closes and ends")
local good = 0
for k, task, put in function() return r:recv() end do
	local inner = rota.get(task)
	good = good + (rota.get(inner)[1] == k and rota.get(put)[1] == k and 1 or 0)
end
is(good, 8, "all are good for the reader")
r:close()
w, r = nil, nil
objects(0, "nothing is left of them")

-- what the reader keeps is its own: neither the sender nor the channel need be there any more
local w, r = rota.channel()
produce(w, 3)
local all = {}
for k, task, put in function() return r:recv() end do all[k] = { task, put } end
r:close()
local whole = true
for k, v in ipairs(all) do whole = whole and rota.get(rota.get(v[1]))[1] == k and rota.get(v[2])[1] == k end
ok(whole, "three more, read after the channel is closed")
all, w, r = nil, nil, nil
objects(0, "nothing is left of these")

-- the writing end travels, with messages under way
local w, r = rota.channel()
w:send(1, large(1))
local go = rota.task(function(to, x) to:send(2, x) to:close() return true end)
rota.get(go(w, { large(2) }))
T.collect()
local _, one = r:recv()
local _, two = r:recv()
is({ rota.get(one)[1], rota.get(two[1])[1] }, { 1, 2 }, "of two writers, one after the other")
is({ r:recv() }, { nil, "closed" }, "and the end")
r:close()
one, two, w, r = nil, nil, nil, nil
objects(0, "let go of")

-- errors
local w, r = rota.channel()
w:close { code = "mine", ref = large(3) }
T.collect()
local e = select(2, pcall(r.recv, r))
is(rota.get(e.value.ref)[1], 3, "a reference in the error that a channel is closed with")
e = nil
r:close()
w, r = nil, nil
objects(0, "let go of with it")

-- handles of actors
local Count = rota.actor { new = function(self) self.n = 0 end, add = function(self, k) self.n = self.n + k return self.n end,
    id = function(_, ...) return ... end, put = function(_, x) return rota.put(x) end, get = function(_, ref) return rota.get(ref) end,
    err = function(_, ref) error { ref = ref } end, first = function(_, ref) return rota.get(ref)[1] end,
    make = function(_, n) local b = rota.buffer(20000, "i64") b[1] = n return rota.put(b) end }
local w, r = rota.channel()
w:send { Count() }
T.collect()
local use = rota.task(function(from) local c = from:recv()[1] rota.get(c:add(1)) return rota.get(c:add(2)), c end)
local three, c = rota.get(use(r))
is(three, 3, "the only handle of an actor is in a channel for a while")
is(rota.get(c:add(1)), 4, "and comes back")
w:close()
c, w, r = nil, nil, nil
actors(0, "and the actor ends with its last handle")
local w, r = rota.channel()
w:send(Count())
T.collect()
actors(1, "one that nobody received")
r:close()
actors(0, "ends with the channel")
w, r = nil, nil

-- compiled graphs: inputs, edges, outputs
local a, b = Count(), Count()
local g = rota.dag(function(x) return b:get(a:put(x)) end):compile()
local sum = 0
for i = 1, 50 do sum = sum + g({ i }):get()[1] end
is(sum, 1275, "an actor puts, the next one gets: the reference goes between them")
local h = rota.dag(function(ref) return b:first(a:id(ref)) end):compile()
for i = 1, 20 do sum = sum + h(large(i)):get() end
is(sum, 1485, "references as inputs, handed on")
local o = rota.dag(function(n) return a:make(n), b:make(n) end):compile()
local futures, good = {}, 0
for i = 1, 16 do futures[i] = o(i) end
for i = 1, 16 do
	local x, y = futures[i]:get()
	good = good + (rota.get(x)[1] == i and rota.get(y)[1] == i and 1 or 0)
end
is(good, 16, "references as results, of two actors")
local bad = rota.dag(function(ref) return b:id(a:err(ref)) end):compile()
local e = select(2, pcall(function() return bad(large(5)):get() end))
is(rota.get(e.value.ref)[1], 5, "and in an error, on its way through another actor")
has(e.task, "err", "which says where it comes from")
local hand = rota.dag(function(x) return a:id(b:id(x)) end):compile()
is(rota.get(hand(Count()):get():add(5)), 5, "a handle of an actor, through two others")
e, futures = nil, nil
for _, x in ipairs { g, h, o, bad, hand } do x:close() end
g, h, o, bad, hand = nil, nil, nil, nil, nil
objects(0, "nothing is left of all that")
actors(2, "nor any actor but the two")

-- as much as goes through, the store does not fill
local w, r = rota.channel { items = 4 }
local eat = rota.task(function(from) local n = 0 for ref in from do n = n + #rota.get(ref) end return n end)
local n = eat(r)
for _ = 1, 300 do w:send(rota.put(rota.buffer(1 << 18))) end
w:close()
is(rota.get(n), 300 << 18, "600 MB in references, through a store of 256")
n, w, r = nil, nil, nil
objects(0, "none left")
-- long messages lie in the store: values, strings and bytes come as they do through the ring
local w, r = rota.channel()
local function at(n) local b = rota.buffer(n, "i64") b[1] = n b[n] = -1 return b end
local echo = rota.task(function(from, to)
	for a, b in function() return from:recv() end do
		if type(a) == "string" then to:write(a) else to:send(a, b) end
	end
	to:close()
end)
local w2, r2 = rota.channel { bytes = 65536 }
echo(r, w2)
local good = 0
for _, n in ipairs { 131000, 131072, 1 << 18, 1 << 20 } do
	w:send(at(n), { n, rota.put(n) })
	local b, t = r2:recv()
	good = good + (#b == n and b[1] == n and b[n] == -1 and t[1] == n and rota.get(t[2]) == n and 1 or 0)
end
is(good, 4, "buffers of 1M to 8M to a task and back, with a reference")
T.collect()
local s = ("0123456789abcdef"):rep(1 << 17)
w:write(s)
ok(r2:recv() == s, "bytes")
w:send(s)
ok(r2:recv() == s, "a string")
w:write(s)
T.raises("does not fit", "bytes for a buffer that is too small", r2.read, r2, rota.buffer(100, "u8"))
local bytes = rota.buffer(#s, "u8")
is(r2:read(bytes), #s, "are still there, for one that is not")
ok(bytes[1] == 48 and bytes[#s] == 102, "and whole")
w:close()
is({ r2:recv() }, { nil, "closed" }, "the end")
r2:close()
w, r, w2, r2 = nil, nil, nil, nil
objects(0, "none of it is left")

local w, r = rota.channel()
w:send(at(1 << 17))
local first = #core.list "objects"
w:close()
local view = r:recv()
r:close()
T.collect()
is({ first, #core.list "objects", view[1] }, { 1, 1, 1 << 17 }, "a buffer is looked at where it is, also after both ends are closed")
view, w, r = nil, nil, nil
objects(0, "and let go of with it")
local g = rota.dag(function(x) return b:id(a:id(x)) end):compile { inflight = 4 }
local futures, good = {}, 0
for i = 1, 12 do
	futures[i] = g(at(131072 + i))
	if i > 3 then good = good + (#futures[i - 3]:get() == 131072 + i - 3 and 1 or 0) futures[i - 3] = nil end
end
for i = 10, 12 do good = good + (#futures[i]:get() == 131072 + i and 1 or 0) end
is(good, 12, "long values through a graph")
futures = nil
g:close()
g, a, b = nil, nil, nil
actors(0, "the actors end")
objects(0, "and with them what their collectors had not come to")
T.done()
