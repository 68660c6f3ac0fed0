-- cmd.lua - programs as tasks and as actors: bytes in and out, statuses, environment, lines, frames, ends and deaths
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
rota.init { address = "private", cpus = 2, store = "256M" }
local get, pget = rota.get, rota.pget

--- once

local cat, upper = rota.cmd { "cat" }, rota.cmd { "tr", "a-z", "A-Z" }
T.is(get(upper "hello"), "HELLO", "bytes in, bytes out")
T.is(get(upper(upper "hello")), "HELLO", "a ref is an input")
T.is(get(cat()), "", "no input")
local all = {} for i = 0, 255 do all[#all + 1] = string.char(i) end
all = table.concat(all)
T.is(get(cat(all)), all, "any bytes")
local big = ("0123456789abcdef"):rep(1 << 18)
T.is(#get(cat(big)), #big, "4 MiB through a pipe of 64 KiB, both ways")
T.is(#get(cat(rota.put(big))), #big, "from the store")
T.is(get(cat(rota.buffer "bytes")), "bytes", "a buffer")
T.is(get(rota.cmd { "head", "-c", "3" } (big)), "012", "a program that does not read it all")
T.is(get(rota.cmd { "printf", "%s-%s" } (nil, "a b", "c'd")), "a b-c'd", "further arguments, never through a shell")
local v, e = pget(rota.cmd { "sh", "-c", "echo one >&2; echo two >&2; exit 3" } ())
T.is(tostring(e), "'sh' ended with status 3: one\ntwo", "a status raises with the end of stderr")
T.is(e.value and e.value.status or e.status, 3, "and has it as a number")
v, e = pget(rota.cmd { "sh", "-c", "kill -9 $$" } ())
T.is(tostring(e), "'sh' was killed by signal KILL", "a signal")
v, e = pget(rota.cmd { "no-such-program" } ())
T.is(tostring(e), "cannot run 'no-such-program': No such file or directory", "no program")
T.is(get(rota.cmd { "sh", "-c", "exit 1", ok = { 0, 1 } } ()), "", "statuses that are success")
T.is(get(rota.cmd { "sh", "-c", "echo $FOO; pwd", env = { FOO = "a b" }, dir = "/usr" } ()), "a b\n/usr\n", "env and dir")
T.is(get(rota.cmd { "sh", "-c", "echo $ROTA_MODE" } ()), "once\n", "ROTA_MODE")
v, e = pget(rota.cmd { "true", dir = "/no/where" } ())
T.ok(tostring(e):match "^cannot use directory '/no/where'", "no directory", e)
for _, bad in ipairs { {}, { {} }, { "a", dirr = "x" }, { "a\0b" } } do
	T.ok(not pcall(function() return get(rota.cmd(bad)()) end), "bad words are refused")
end
local slow = rota.cmd { "sleep", "1000" }
v, e = pget(slow:with { timeout = 0.2 } ())
T.is(e and e.code, "timeout", "a time limit", e)
local ref = slow()
rota.wait({ cat "x" }, { timeout = 30 })
rota.cancel(ref)
v, e = pget(ref, 30)
T.is(e and e.code, "cancelled", "cancelled", e)
for _ = 1, 30 do			-- also when the word comes just before the worker sleeps
	ref = slow()
	rota.wait({ cat "x" }, { timeout = 30 })
	rota.cancel(ref)
	v, e = pget(ref, 10)
	if e.code ~= "cancelled" then break end
end
T.is(e.code, "cancelled", "at any moment", e)
ref = rota.cmd { "sh", "-c", "exec >&- 2>&-; exec sleep 1000" } ()
rota.wait({ cat "x" }, { timeout = 30 })
rota.cancel(ref)
v, e = pget(ref, 10)
T.is(e and e.code, "cancelled", "also a program that writes nothing any more", e)
T.is(table.concat(get(rota.map(function(i) return rota.get(rota.cmd { "echo" } (nil, i)) end, { 1, 2, 3 }))), "1\n2\n3\n", "within tasks")

--- lines

local twice = rota.cmd { "sh", "-c", "while read -r x; do echo $((x * 2)); done" }:actor()
local refs = {}
for i = 1, 200 do refs[i] = twice:call(tostring(i)) end
local out, sum = get(refs, 30), 0
for i = 1, 200 do sum = sum + (tonumber(out[i]) == 2 * i and 1 or 0) end
T.is(sum, 200, "a kept-running program: a line in, a line out, in order")
T.is(get(twice:status()), true, "it runs")
v, e = pget(twice:call "two\nlines")
T.ok(tostring(e):match "is called with one line", "two lines are refused", e)
T.is(get(twice:close()), 0, "closed: it ends at the end of its input")
v, e = pget(twice:call "1")
T.is(tostring(e), "'sh' ended with status 0", "a call after the end")
local mortal = rota.cmd { "sh", "-c", "read x; echo $x; read x; exit 4" }:actor { restarts = 1 }
T.is(get(mortal:call "a"), "a", "one line")
v, e = pget(mortal:call "b")
T.is(tostring(e), "'sh' ended with status 4", "its death is the error of the call")
T.is(get(mortal:call "c"), "c", "restarts: it is started again")
pget(mortal:call "d")
v, e = pget(mortal:call "e")
T.is(tostring(e), "'sh' ended with status 4", "but not more often")
T.is({ get(mortal:status()) }, { false, "'sh' ended with status 4" }, "how it ended")
local idle = rota.cmd { "sh", "-c", "echo $$; while read x; do echo $$; done" }:actor { restarts = 1 }
local first = get(idle:call "", 30)
os.execute("kill -9 " .. first)
repeat local pid = pget(idle:call "", 30) until pid and pid ~= first
T.ok(true, "one that ends while no call is under way is started again, too")
local child = rota.cmd { "sh", "-c", "sleep 1000 & read x; exit 3" }:actor()
v, e = pget(child:call "x", 30)
T.is(tostring(e), "'sh' ended with status 3", "its end counts, not that of a child that has its output")
local deaf = rota.cmd { "sh", "-c", "read x; exec >&-; sleep 1000" }:actor()
v, e = pget(deaf:call "x", 30)
T.is(tostring(e), "'sh' closed its end and went on; 'sh' was killed by signal KILL", "one that closes its output and goes on")

-- a call that is given up: its answer is nobody's, also where its line had gone out only in part
local go = os.tmpname()			-- the slow ones wait until it is there
local function hold() os.remove(go) end
local function release() io.open(go, "w"):close() end
local slow = rota.cmd { "sh", "-c", "while read -r x; do case $x in slow*) until [ -e " .. go .. " ]; do sleep 0.01; done;; esac; echo ${#x} ${x%%,*}; done" }:actor()
hold()
v, e = pget(slow.call:with { timeout = 0.1 } "slow,1")
T.is(e and e.code, "timeout", "a call that takes too long")
release()
T.is(get(slow:call "next,2", 30), "6 next", "the next one gets its own answer")
hold()
local r = slow:call "slow,3"
T.ok(not r:wait(0.05) and rota.cancel(r), "a call is cancelled")
release()
T.is(get(slow:call "after", 30), "5 after", "the same")
hold()
for i = 1, 3 do v, e = pget(slow.call:with { timeout = 0.02 }("slow" .. (","):rep(200000))) end
T.is(e and e.code, "timeout", "long lines that the program does not read in time")
release()
T.is(get(slow:call "last", 60), "4 last", "the one after them")
hold()
v, e = pget(rota.cmd { "yes" }:actor():call(("x"):rep(200000)), 60)
T.is(tostring(e), "the program does not read the line, and wrote more than 67108864 bytes meanwhile", "one that writes without end and reads nothing")

local tr = rota.cmd { "tr", "a", "b" }:with { name = "tr" }
T.is(get(rota.task(function(x) return rota.get(tr(x)) end) "aa", 30), "bb", "a program travels as an upvalue")
T.is(get(rota.task(function(c, x) return rota.get(c(x)) end)(tr, "ca"), 30), "cb", "and as an argument")
T.ok(tostring(select(2, pcall(tr.actor, tr, { concurrency = 2 }))):find("one call after the other", 1, true), "but answers one call after the other")
T.is(rota.map(rota.cmd { "tr", "a", "b" }, { "aa", "ca" }, { batch = 2 }), { "bb", "cb", n = 2 }, "rota.map of a program")
T.is(get(rota.cmd { "tr", "a", "b" }:with { name = "tr" }:map { "aa", "ca" }), { "bb", "cb", n = 2 }, "its method map")

--- frames

if not os.execute "python3 -c 'import struct' 2>/dev/null" then
	print "# python3 is not here: frames are not tested"
	return T.done()
end
local script = os.tmpname()
local f = assert(io.open(script, "w"))
f:write [[
import os
import rota_program
class C:
    def __init__(self): self.n = 0
    def add(self, k): self.n += k; return self.n
    def echo(self, *a): return tuple(a)
    def boom(self): raise ValueError("bad")
    def end(self): os._exit(5)
    def mode(self): print("printed"); return os.environ["ROTA_MODE"], os.environ["ROTA_FD"]
    def _hidden(self): return 1
    def size(self, s): return len(s)
rota_program.serve(C())
]]
f:close()
local function start(options)
	options = options or {}
	options.mode = "frames"
	return rota.cmd { "python3", script }:actor(options)
end
local p = start()
T.is(get(p:call("add", 3)) + get(p:call("add", 4)), 10, "methods of an object that keeps its state")
local back = table.pack(get(p:call("echo", 1, -5, 2.5, "text", true, false, 1 << 62, math.mininteger, "\xff\xfe", nil)))
local want = table.pack(1, -5, 2.5, "text", true, false, 1 << 62, math.mininteger, "\xff\xfe", nil)
local same = back.n == want.n
for i = 1, want.n do same = same and rawequal(back[i], want[i]) and math.type(back[i]) == math.type(want[i]) end
T.ok(same, "values come back as they went", table.unpack(back, 1, back.n))
local t = get(p:call("echo", { a = { 1, 2, { x = "y" } }, b = ("z"):rep(100000), c = {} }))
T.ok(t.a[3].x == "y" and #t.b == 100000 and next(t.c) == nil, "tables")
T.is(get(p:call("size", big)), #big, "4 MiB")
v, e = pget(p:call "boom")
T.is(tostring(e), "ValueError: bad", "an exception is the call's error")
v, e = pget(p:call "nosuch")
T.is(tostring(e), "AttributeError: no method 'nosuch'", "no method")
T.ok(not pcall(get, p:call "_hidden"), "what begins with _ is nobody's business")
T.is(table.concat({ get(p:call "mode") }, " "), "frames 3", "its environment")
v, e = pget(p:call("add", print))
T.ok(tostring(e):match "function", "functions do not go to a program", e)
T.is(get(p:call("add", 0)), 7, "and it goes on")
v, e = pget(p:call "end")
T.is(tostring(e), ("'python3' ended with status 5"), "its end")
v, e = pget(rota.cmd { "sh", "-c", "printf '%064d' 7 >&3; sleep 100" }:actor { mode = "frames" }:call "x")
T.ok(e, "what is no frame", e)
v, e = pget(rota.cmd { "true" }:actor { mode = "frames" }:call "x")
T.ok(tostring(e):match "did not begin with START", "a program that knows nothing of frames", e)
os.remove(script)
T.done()
