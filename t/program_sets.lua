-- program_sets.lua - sets of programs: calls, deaths, checks, sizes, renewal, lines; and what is refused
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
T.needs_python()
rota.init { address = "private", cpus = 4, store = "64M" }
local get, pget = rota.get, rota.pget

local function has(e, text, name)
	return ok(tostring(e):find(text, 1, true), name, e)
end
local function until_(s, f)			-- its state at which f is true
	for info in s:watch() do if f(info) then return info end end
	return s:info()
end
local function raises(text, name, f, ...)
	local good, e = pcall(f, ...)
	return ok(not good and tostring(e):find(text, 1, true), name, e)
end

local words = { "python3", "-c", [[
import os, signal, time, rota_program
class C:
    def __init__(self): self.how = None
    def pid(self): return os.getpid()
    def rank(self): return int(os.environ["ROTA_RANK"])
    def double(self, x): return 2 * x
    def nap(self, s): time.sleep(s); return "napped"
    def wait_for(self, path):
        while not os.path.exists(path): time.sleep(0.01)
    def status(self): return "mine"
    def end(self): os._exit(3)
    def stop(self): os.kill(os.getpid(), signal.SIGSTOP)
    def count(self, n):
        for i in range(n): yield i + 1
    def spoil(self, how): self.how = how
    def well(self):
        if self.how == "raise": raise ValueError("a broken heart")
        return self.how != "false"
rota_program.serve(C())
]] }
local py = rota.cmd(words)
local path = os.tmpname()
os.remove(path)

-- calls
local s = rota.set(py, { n = 3, mode = "frames" })
is(s:wait(30), true, "a set of programs")
get(s:ready(3), 30)
is(get(s:double(21), 30), 42, "a method of one of them")
is(get(s:call("double", 4), 30), 8, "by its name")
is(get(s:call("status"), 30), "mine", "names of ours are free for its methods")
is(get(s:all "rank", 30), { 0, 1, 2, n = 3 }, "all of them, in order of rank, which the program knows")
is(s:map("double", { 1, 2, 3, 4, 5 }), { 2, 4, 6, 8, 10, n = 5 }, "map")
local v, e = pget(s.nap:with { timeout = 0.05 } (0.3), 30)
is(e and e.code, "timeout", "a method with options")
is(get(s.call:with { timeout = 30 } ("double", 7), 30), 14, "call with options")
local got = {}
for _, i in s.count:with { stream = true } (3):each() do got[#got + 1] = i end
is(got, { 1, 2, 3 }, "a stream")
is(get(rota.task(function(t) return rota.get(t:double(5)) end) (s), 30), 10, "a set of programs travels")
local busy, seen = { s:wait_for(path), s:wait_for(path) }, {}
for i = 1, 4 do seen[get(s:pid(), 30)] = true end
ok(next(seen) and not next(seen, next(seen)), "calls go to who has least to do")
io.open(path, "w"):close()
get(busy, 30)
ok(tostring(s):find "program python3, frames", "its name", tostring(s))

-- deaths
local function pids(t, n)
	until_(t, function(i) return i.up == n end)
	local all = get(t:all "pid", 30)
	local set = {}
	for i = 1, all.n do set[all[i]] = true end
	return all, set
end
local before, was = pids(s, 3)
v, e = pget(s:call "end", 30)
is(tostring(e), "'python3' ended with status 3", "one ends in a call: its error says how")
local info = until_(s, function(i) return i.up == 3 and i.why end)
has(info.why, "'python3' ended with status 3", "the set says what befell it")
before = pids(s, 3)
os.execute("kill -9 " .. before[2])
info = until_(s, function(i) return i.up == 3 and i.why and i.why:find "KILL" end)
has(info.why, "rank 1, worker", "one that is killed while it has no call is made again")
local after = pids(s, 3)
ok(after[1] == before[1] and after[2] ~= before[2] and after[3] == before[3], "the others are the same", before, after)

-- sizes, renewal, the end
s:resize(1)
until_(s, function(i) return #i.members == 1 and i.up == 1 end)
is(get(s:pid(), 30), after[1], "made smaller: the first stays")
s:resize "2:3"
info = until_(s, function(i) return i.up == 3 end)
is({ info.min, info.max }, { 2, 3 }, "made larger")
before, was = pids(s, 3)
local slow = s:nap(0.3)
s:renew()
until_(s, function(i)
	if i.up ~= 3 then return false end
	for _, m in ipairs(i.members) do if was[get(m.actor:call "pid", 30)] then return false end end
	return true
end)
is(get(slow, 30), "napped", "renewed: all are new, calls under way are finished")
slow = s:nap(0.3)
s:stop()
is(s:join(30), true, "stopped")
is(get(slow, 30), "napped", "after the calls already sent")
raises("the set is dead", "no more calls", s.double, s, 1)

-- health: the program is asked
local h = rota.set(py, { n = 2, mode = "frames", health = "20ms", patience = "300ms" })
get(h:ready(2), 30)
v, e = pget(h:call "stop", 30)
is(e and e.code, "actor_died", "one that is stopped: its call fails")
has(e, "did not answer", "with the reason")
info = until_(h, function(i) return i.up == 2 and i.why and i.why:find "did not answer" end)
has(info.why, "rank ", "it is made again")
h:kill()

-- a check: a method of the program
h = rota.set(py, { n = 2, mode = "frames", health = "10ms", patience = "20s", check = "well" })
get(h:ready(2), 30)
is(get(h:double(2), 30), 4, "checked by a method")
for how, text in pairs { raise = "'well': ValueError: a broken heart", ["false"] = "'well': it returned false" } do
	get(h:spoil(how), 30)
	info = until_(h, function(i) return i.up == 2 and i.why and i.why:find(text, 1, true) end)
	has(info.why, "is not well: " .. text, text)
end
h:kill()

-- a gang; a name; lines
local g = rota.set(py:with { cpus = 1 }, { n = 2, mode = "frames", gang = true, name = "twins" })
get(g:ready(2), 30)
before = get(g:all "pid", 30)
os.execute("kill -9 " .. before[1])
until_(g, function(i) return i.generation == 2 and i.up == 2 end)
after = get(g:all "pid", 30)
ok(after[1] ~= before[1] and after[2] ~= before[2], "a gang starts again as a whole")
is(get(rota.set "twins":double(3), 30), 6, "found by its name")
g:kill()
local l <close> = rota.set(rota.cmd { "sh", "-c", "while read x; do echo $((x * 2)); done" }, { n = 2 })
is(get(l:call "21", 30), "42", "programs that speak lines")
is(l:map { "1", "2", "3" }, { "2", "4", "6", n = 3 }, "map")
l:wait(30)
is(get(l.call:with { timeout = 30 } "4", 30), "8", "with options")
raises("has no method 'double'", "they have no methods", function() return l:double(1) end)

-- what is refused
raises("'lines' or 'frames' expected", "another mode", rota.set, py, { mode = "words" })
raises("no option 'concurrency'", "concurrency", rota.set, py:with { cpus = 1 }, { concurrency = 2 })
raises("gets no arguments", "arguments", rota.set, py, { n = 1 }, 5)
raises("has no methods", "a check of lines", rota.set, py, { check = "x" })
raises("no option 'timeout'", "options of tasks", rota.set, py:with { timeout = 1 }, {})
local bad = rota.set(rota.cmd { "no-such-program" }, { n = 1 })
local good, why = bad:wait(30)
ok(not good and tostring(why):find "cannot run 'no%-such%-program'", "a program that is not there", why)
os.remove(path)
T.done()
