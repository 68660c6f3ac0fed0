-- hostile.lua - programs that break the protocol of frames: they are ended, with a reason, and nobody else is harmed
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
T.needs_python()
rota.init { address = "private", cpus = 4, store = "64M" }
local get, pget = rota.get, rota.pget

local prelude = [[
import array, fcntl, os, socket, struct, sys, time, rota_program as r
sock = socket.socket(fileno=3)
r._send(sock, r.START, 0, 1, 1, "hostile", 1)
frames = r._Frames(sock)
def head(n, kind, req=0, version=1, flags=0, nbuf=0, nfd=0): return r.HEAD.pack(n, kind, version, flags, req, 0, nbuf, nfd, 0)
def body(*fields):
    out = bytearray()
    r.pack(list(fields), out)
    return bytes(out)
def send(kind, req, b): sock.sendall(head(len(b), kind, req) + b)
def reply(req, values): send(r.REPLY, req, body(bytes(values), b""))
def memory(n, seal=True):
    fd = os.memfd_create("m", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, n)
    fcntl.fcntl(fd, 1033, 7)
    return fd
def lend(req, n, lent, more=b""):
    values = b"\x91" + struct.pack("<BBBIQB", 0xC7, 13, 15, 0, lent, 0)
    b = body(values, r.LENT.pack(0, 0, lent))
    fd = memory(n)
    sock.sendmsg([head(len(b), r.REPLY, req, nfd=1) + b + more], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
def calls():
    while True:
        m = frames.next()
        if m is None: return
        if m[0] == r.CALL: yield m
for m in calls():
    req = m[1]
]]
local function program(text)
	return rota.cmd { "python3", "-c", prelude .. "    " .. text:gsub("\n", "\n    ") }:actor { mode = "frames" }
end

-- what is sent in answer to a call -> the error of the call; then the program is dead
for what, case in pairs {
	["a frame that is cut short"] = { "sock.sendall(head(100, r.REPLY, req) + b'x' * 50); sys.exit(0)", "ended with status 0" },
	["half a header"] = { "sock.sendall(head(0, r.REPLY, req)[:20]); os._exit(7)", "ended with status 7" },
	["a huge length"] = { "sock.sendall(head(0xffffffff, r.REPLY, req))", "what is no frame" },
	["one byte too many"] = { "sock.sendall(head((64 << 20) + 1, r.REPLY, req))", "what is no frame" },
	["another version"] = { "sock.sendall(head(0, r.REPLY, req, version=9))", "what is no frame" },
	["flags"] = { "sock.sendall(head(0, r.REPLY, req, flags=1))", "what is no frame" },
	["a frame with buffers in it"] = { "sock.sendall(head(0, r.REPLY, req, nbuf=1))", "what is no frame" },
	["an answer to another call"] = { "reply(req + 1, b'\\x90')", "answered a call that is not under way" },
	["to call 0"] = { "reply(0, b'\\x90')", "answered a call that is not under way" },
	["an error of another call"] = { "send(r.ERROR, req + 5, body('x', ''))", "answered a call that is not under way" },
	["an item of another call"] = { "send(r.ITEM, 99, body(b'\\x90', b''))", "answered a call that is not under way" },
	["text"] = { "sock.sendall(b'Traceback (most recent call last): this is not a frame at all')", "what is no frame" },
	["it closes descriptor 3 and goes on"] = { "sock.close(); os.close(3) if os.path.exists('/proc/self/fd/3') else 0; time.sleep(1000)",
		"closed its end and went on" },
} do
	local p = program(case[1])
	local v, e = pget(p:call("x", 1), 60)
	T.ok(tostring(e):find(case[2], 1, true), what, e)
	v, e = pget(p:call("x", 1), 60)
	T.ok(e and tostring(e):find "python3", "and it is dead", e)
end

-- what is wrong in one answer is that call's error, and the next one is answered
local sloppy = program [[
what = m[2][0]
if what == "good": reply(req, b"\x91\x07")
elif what == "kind": send(999, req, body(1)); reply(req, b"\x91\x07")
elif what == "fields": send(r.REPLY, req, b"\x90")
elif what == "nobody": send(r.REPLY, req, b"")
elif what == "values": reply(req, b"\x9a\x01")
elif what == "count": reply(req, b"\xdd\xff\xff\xff\xff")
elif what == "many": reply(req, b"\xdd\x00\x0f\xff\xff" + b"\x01" * 10)
elif what == "deep": reply(req, b"\x91" * 100000)
elif what == "string": reply(req, b"\x91\xdb\xff\xff\xff\xffx")
elif what == "map": reply(req, b"\x91\xdf\xff\xff\xff\xff\x01\x01")
elif what == "nan": reply(req, b"\x91\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01")
elif what == "ext": reply(req, b"\x91\xc7\x28\x01" + b"\xff" * 40)
elif what == "code": reply(req, b"\x91\xc7\x10\x03" + b"\xff" * 16)
elif what == "start": r._send(sock, r.START, 0, 5, 9, "x", 1); reply(req, b"\x91\x07")
elif what == "sparse": lend(req, 1 << 45, 1 << 45)
elif what == "error": send(r.ERROR, req, body("x" * (1 << 20), "y" * (1 << 20)))
]]
T.is(get(sloppy:call "good", 60), 7, "a program that answers")
for what, says in pairs { kind = "makes no sense", fields = "makes no sense", nobody = "makes no sense", values = "the program", count = "the program",
	many = "the program", deep = "the program", string = "the program", map = "the program", nan = "the program", ext = "the program",
	code = "the program", start = "speaks protocol 5 to 9", sparse = "", error = "the program" } do
	local v, e = pget(sloppy:call(what), 60)
	T.ok(e and tostring(e):find(says, 1, true), what, e and tostring(e):sub(1, 300))
	v, e = pget(sloppy:call "good", 60)
	T.is(v, 7, "and it goes on")
end

-- floods
local flood = program [[
what = m[2][0]
if what == "items":
    try:
        for i in range(1 << 40): send(r.ITEM, req, body(b"\x91\xda\x10\x00" + b"x" * 4096, b""))
    except OSError: os._exit(0)
elif what == "more":
    for i in range(300): send(r.ITEM, req, body(b"\x91\xda\x10\x00" + b"x" * 4096, b""))
    reply(req, b"\x90")
else: reply(req, b"\x91\x07")
]]
local n = 0
for _, x in flood.call:with { stream = true, backlog = 4 } "more":each() do n = n + #x end
T.is(n, 300 * 4096, "items as fast as they go, and a consumer who takes four")
local s = flood.call:with { stream = true, backlog = 4 } "items"
for i in s:each() do if i == 10 then break end end
local v, e = pget(flood.call:with { timeout = 0.5 } "good", 60)
T.is(e and e.code, "timeout", "one that does not stop: the next call has its time limit")

-- the program ends while its values are read, or before
local gone = program [[
lend(req, 8 << 20, 8 << 20)
os._exit(9)
]]
v, e = pget(gone:call "x", 60)
T.ok(e == nil and #v == 8 << 20, "long values of one that ended right after them are there", e)
v, e = pget(gone:call "x", 60)
T.ok(tostring(e):find "ended with status 9", "then it is dead", e)

-- one that writes before it reads: neither waits for the other for ever
local rude = rota.cmd { "python3", "-c", [[
import socket, rota_program as r
sock = socket.socket(fileno=3)
r._send(sock, r.START, 0, 1, 1, "rude", 0)
frames = r._Frames(sock)
frames._more(frames._recv(0))
for i in range(3000): r._send(sock, r.PONG, 0, b"x" * 1000)
while True:
    m = frames.next()
    if m is None: break
    r._send(sock, r.REPLY, m[1], b"\x91\x07", b"")
]] }:actor { mode = "frames" }
v, e = pget(rude:call("x", ("y"):rep(4 << 20)), 60)
T.is(v, 7, "a long call and a long talk at once")
T.is(get(rude:call "x", 60), 7, "and it goes on")
T.is(rota.get(rota.task(function() return 1 end)(), 30), 1, "all else is well")
T.done()
