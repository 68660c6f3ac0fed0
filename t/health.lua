-- health.lua - programs that speak frames and are asked how they are: PING, silence, deaths and restarts
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is = T.ok, T.is
T.needs_python()
rota.init { address = "private", cpus = 4, store = "64M" }
local get, pget = rota.get, rota.pget

local function program(text, options)
	options = options or {}
	options.mode = "frames"
	return rota.cmd { "python3", "-c", text }:actor(options)
end
local function has(e, text, name)
	return ok(tostring(e):find(text, 1, true), name, e)
end

local good = [[
import os, signal, threading, time, rota_program
pongs, send = 0, rota_program._send
def counted(sock, kind, *more, **fds):
    global pongs
    pongs += kind == rota_program.PONG
    send(sock, kind, *more, **fds)
rota_program._send = counted
class C:
    def pid(self): return os.getpid()
    def until_asked(self, pause):
        n, end = pongs, time.monotonic() + 20
        while pongs == n and time.monotonic() < end: pause and time.sleep(pause)
        return pongs - n
    def stop(self): os.kill(os.getpid(), signal.SIGSTOP); return "went on"
    def stream(self, n, s):
        for i in range(n): time.sleep(s); yield i
    def echo(self, x): return x
    def threads(self): return threading.active_count()
rota_program.serve(C())
]]

-- one that is well is left alone
local p = program(good, { health = "20ms", patience = "2s" })
ok(get(p:call("until_asked", 0), 30) > 0, "one that computes answers PING")
ok(get(p:call("until_asked", 0.01), 30) > 0, "one that waits")
local pid = get(p:call "pid", 30)
for _ = 1, 10 do rota.sleep(0.03) get(p:call("echo", ("x"):rep(100000)), 30) end
is(get(p:call "pid", 30), pid, "one that has calls now and then")
local n = 0
for i in p.call:with { stream = true, backlog = 1 } ("stream", 10, 0.01):each() do n = n + 1 rota.sleep(0.03) end
is(n, 10, "one that streams to a consumer that is slow")
is(get(p:call "pid", 30), pid, "it is the same one")
is(get(p:call "threads", 30), 2, "a thread answers while a method runs")
is(get(program(good):call "threads", 30), 1, "without a health period there is none")

-- silence: in a call, between calls; restarts; retries
local patience = { health = "20ms", patience = "300ms" }
p = program(good, patience)
local v, e = pget(p:call "stop", 30)
has(e, "'python3' did not answer PING within 0.3 s and was killed", "one that is stopped in a call")
is(e and e.code, "actor_died", "its call fails as of a dead actor")
v, e = pget(p:call "pid", 30)
is(e and e.code, "actor_died", "and so do later ones")
p = program(good, { health = "20ms", patience = "300ms", restarts = -1 })
pid = get(p:call "pid", 30)
os.execute("kill -STOP " .. pid)
local again
repeat again = pget(p:call "pid", 30) until again and again ~= pid
ok(again, "one that is stopped between calls is started again")
local refs = { p:call "stop", p:call("echo", 1), p:call("echo", 2) }
v, e = pget(refs[1], 30)
is(e and e.code, "actor_died", "the call that it was stopped in is lost")
is({ (pget(refs[2], 30)), (pget(refs[3], 30)) }, { 1, 2 }, "those behind it are made of the next one")
local long = os.getenv "ROTA_LONG"		-- each python is a tenth of a second, on a machine with nothing else to do
if long then
	local flag = os.tmpname()
	p = rota.cmd { "python3", "-c", [[
import os, signal, rota_program
class C:
    def once(self, flag):
        if os.path.exists(flag): os.unlink(flag); os.kill(os.getpid(), signal.SIGSTOP)
        return "done"
rota_program.serve(C())
]] }:actor { mode = "frames", health = "20ms", patience = "300ms", restarts = -1, retries = 5 }
	is(get(p:call("once", flag), 30), "done", "retries: the call is made again")
	os.remove(flag)
end

-- programs that do not answer at all
if long then
	v, e = pget(program("import time; time.sleep(1000)", patience):call "x", 60)
	has(e, "'python3' did not begin with START (rota-program(7)); 'python3' was killed by signal KILL", "one that does not begin, within 30 s")
end
local raw = [[
import os, socket, time, rota_program as r
sock = socket.socket(fileno=3)
r._send(sock, r.START, 0, 1, 1, "raw", 0)
]]
if long then
	v, e = pget(program(raw .. "time.sleep(1000)", patience):call("x", ("y"):rep(1 << 20)), 30)
	has(e, "did not answer PING within 0.3 s", "one that reads nothing, of a call that does not fit the socket")
end
v, e = pget(program(raw .. [[
frames = r._Frames(sock)
while True:
    m = frames.next()
    if m is None: break
    if m[0] == r.PING: r._send(sock, r.PONG, m[1], 0)
    else: late = m; n = 0
    if m[0] == r.PING and "late" in globals():
        n += 1
        if n == 20: r._send(sock, r.REPLY, late[1], b"\x91\x07")
]], patience):call "x", 30)
is(v, 7, "PONG is an answer for as long as the call takes")
p = program(raw .. [[
r._send(sock, r.REPLY, 7, b"\x91\x07")
time.sleep(1000)
]], { health = "10ms", patience = "20s" })
v, e = pget(p:call "x", 30)
ok(tostring(e):find "without being asked" or tostring(e):find "not under way", "an answer to no call breaks the protocol", e)

-- what is refused
for _, bad in ipairs { { { health = 1 }, "only programs of mode 'frames'" }, { { mode = "frames", health = "soon" }, "'health' is a time" },
	{ { mode = "frames", health = 1, patience = {} }, "'patience' is a time" }, { { mode = "frames", check = "x" }, "in a set" } } do
	local good, e = pcall(function() return rota.cmd { "cat" }:actor(bad[1]) end)
	has(e, bad[2], bad[2])
end
T.done()
