-- frames.lua - long values of programs that speak frames travel as descriptors of memory, both ways; and programs that lie about them
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
T.needs_python()
rota.init { address = "private", cpus = 2, store = "256M" }
local get, pget = rota.get, rota.pget
local here = arg[0]:match "^(.*/)" or "./"

local scripts = {}
local function program(text)
	local name = os.tmpname()
	local f = assert(io.open(name, "w"))
	f:write(("import os, sys\nsys.path.insert(0, %q)\n"):format(here .. "../contrib/program"), text)
	f:close()
	scripts[#scripts + 1] = name
	return rota.cmd { "python3", name }:actor { mode = "frames" }
end

local methods = [[
import array, rota_program
class C:
    def kind(self, *a): return " ".join(type(x).__name__ for x in a)
    def size(self, s): return len(s)
    def echo(self, *a): return a
    def total(self, v): return sum(v)
    def shape(self, v): return v.format, list(v.shape), v.readonly
    def text(self, n): return "x" * n
    def raw(self, n): return b"\xff" * n
    def doubles(self, n): return array.array("d", range(n))
    def many(self, n): return {"a": [b"%d" % i * 70000 for i in range(n)], "s": "short"}
    def keep(self, v): self.v = v; return len(v)
    def again(self): return len(self.v)
    def fds(self): return len(os.listdir("/proc/self/fd"))
    def first(self, v): return bytes(v[:4])
]]
local plain = program(methods .. "rota_program.serve(C())\n")
local views = program(methods .. "rota_program.serve(C(), views=True)\n")

local text = ("0123456789abcdef"):rep(1 << 18)			-- 4 MiB
local bytes = ("\xff\0"):rep(100000)
T.is(get(plain:call("kind", text, bytes, "short", ("y"):rep(5000))), "str bytes str str", "long values come as short ones do")
T.is(get(views:call("kind", text, bytes, "short")), "memoryview memoryview str", "or as views of the memory")
T.is(get(plain:call("size", text)), #text, "a string of 4 MiB")
T.is(get(views:call("size", rota.put(text))), #text, "an object of the store")
T.is(get(views:call("first", rota.put(("abcd"):rep(1 << 20))), { as = "string" }), "abcd", "is read where it lies")
for name, p in pairs { plain = plain, views = views } do
	local a, b, c = get(p:call("echo", text, bytes, "short"), { as = "string" })
	T.ok(a == text and b == bytes and c == "short", name .. ": there and back")
	T.is(get(p:call("echo", { deep = { bytes } })).deep[1], bytes, name .. ": in a table")
end
local long = get(plain:call("text", 3000000))
T.ok(#long == 3000000 and tostring(type(long) == "string" and long or long:string()) == ("x"):rep(3000000), "a long answer")
T.is(get(plain:call("raw", 70000), { as = "string" }), ("\xff"):rep(70000), "bytes")
local many = get(plain:call("many", 40))
local right = many.s == "short" and #many.a == 40
for i = 1, 40 do right = right and many.a[i] == tostring(i - 1):rep(70000) end
T.ok(right, "many of them in one answer")
local huge = get(views:call("size", rota.put(("z"):rep(100 << 20))))
T.is(huge, 100 << 20, "more than a frame holds")
T.is(#get(views:call("text", 80 << 20)), 80 << 20, "in an answer too")

-- arrays
local b = rota.buffer(1 << 16, "f64")
for i = 1, #b do b[i] = i end
T.is(get(plain:call("total", b)), (1 << 15) * ((1 << 16) + 1.0), "a buffer is a memoryview of numbers")
T.is(get(views:call("total", b)), (1 << 15) * ((1 << 16) + 1.0), "and a view")
local format, shape, readonly = get(views:call("shape", rota.buffer.zeros({ 300, 200 }, "i32")))
T.ok(format == "i" and shape[1] == 300 and shape[2] == 200 and readonly == true, "it has its shape, and cannot be written", format, shape)
format, shape = get(views:call("shape", rota.buffer.zeros({ 3, 2 }, "u16")))
T.ok(format == "H" and shape[1] == 3 and shape[2] == 2, "a small one too", format, shape)
local d = get(plain:call("doubles", 100000))
T.ok(d:dtype() == "f64" and #d == 100000 and d[100000] == 99999, "an array is a buffer", d)
local back = get(views:call("echo", b))
T.ok(back:dtype() == "f64" and #back == 1 << 16 and back[1 << 16] == 1 << 16, "there and back", back)

-- what is looked at after the call is no more there
T.is(get(views:call("keep", text)), #text, "a view")
local v, e = pget(views:call "again")
T.ok(tostring(e):match "ValueError", "ends with the call", e)
local before = get(plain:call "fds")
for i = 1, 50 do get(plain:call("echo", text)) end
T.is(get(plain:call "fds"), before, "no descriptor is left in the program")
-- programs that lie
local raw = [[
import array, fcntl, socket, struct, rota_program as r
sock = socket.socket(fileno=3)
r._send(sock, r.START, 0, 1, 1, "liar", 1)
def memory(n, seal=True):
    fd = os.memfd_create("m", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, n)
    if seal: fcntl.fcntl(fd, 1033, 7)
    return fd
def reply(req, entries, fds, index=0, n=70000, named=None):
    values = bytearray(b"\x91") + struct.pack("<BBBIQB", 0xC7, 13, 15, index, n, 0)
    out = bytearray(32)
    r.pack([bytes(values), entries], out)
    r.HEAD.pack_into(out, 0, len(out) - 32, r.REPLY, 1, 0, req, 0, 0, len(fds) if named is None else named, 0)
    sock.sendmsg([out], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
    for fd in fds: os.close(fd)
E = r.LENT.pack
def answer(what, req):
    if what == "fds": r._send(sock, r.REPLY, req, b"\x91" + bytes([len(os.listdir("/proc/%d/fd" % os.getppid()))]))
    elif what == "good": reply(req, E(0, 0, 70000), [memory(70000)])
    elif what == "offset": reply(req, E(0, 8, 70000), [memory(70000)])
    elif what == "length": reply(req, E(0, 0, 70001), [memory(70000)], n=70001)
    elif what == "wraps": reply(req, E(0, 2**64 - 8, 70000), [memory(70000)])
    elif what == "huge": reply(req, E(0, 1, 2**64 - 1), [memory(70000)])
    elif what == "which": reply(req, E(1, 0, 70000), [memory(70000)])
    elif what == "nothing": reply(req, E(0, 0, 70000), [])
    elif what == "cut": reply(req, E(0, 0, 70000)[:19], [memory(70000)])
    elif what == "index": reply(req, E(0, 0, 70000), [memory(70000)], index=1)
    elif what == "short": reply(req, E(0, 0, 69999), [memory(70000)])
    elif what == "unsealed": reply(req, E(0, 0, 70000), [memory(70000, False)])
    elif what == "empty": reply(req, E(0, 0, 70000), [memory(0)])
    elif what == "file": reply(req, E(0, 0, 70000), [os.open("/proc/self/exe", os.O_RDONLY)])
    elif what == "pipe": a, b = os.pipe(); os.close(b); reply(req, E(0, 0, 70000), [a])
    elif what == "extra": reply(req, E(0, 0, 70000), [memory(70000), memory(5), memory(1 << 30)])
    elif what == "unnamed": reply(req, E(0, 0, 70000), [memory(70000)], named=0)
    elif what == "fewer": reply(req, E(0, 0, 70000), [memory(70000)], named=2)
    elif what == "flood":
        fds = [memory(10) for i in range(200)]
        sock.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
frames = r._Frames(sock)
while True:
    m = frames.next()
    if m is None: break
    for fd in m[3]: os.close(fd)
    answer(m[2][0], m[1])
]]
local liar = program(raw)
local zeros = ("\0"):rep(70000)
T.ok(get(liar:call "good") == zeros, "what is right goes through")
local fds = get(liar:call "fds")
for what, says in pairs {
	offset = "buffer 1 of 1 does not lie in a descriptor that it sent", length = "does not lie in", wraps = "does not lie in",
	huge = "does not lie in", which = "does not lie in", nothing = "does not lie in", cut = "list of buffers is cut short",
	index = "outside of its object", short = "outside of its object",
	unsealed = "descriptor 1 of 1 is no memory of a sealed size", empty = "no memory of a sealed size",
	file = "no memory of a sealed size", pipe = "no memory of a sealed size",
} do
	v, e = pget(liar:call(what))
	T.ok(tostring(e):find("the program's reply: ", 1, true) and tostring(e):find(says, 1, true), what .. " is refused", e)
	T.ok(get(liar:call "good") == zeros, "and it goes on")
end
T.ok(get(liar:call "extra") == zeros, "more descriptors than the list names are closed")
T.ok(get(liar:call "good") == zeros, "each frame has its own")
T.is(get(liar:call "fds"), fds, "none is left with the worker")
v, e = pget(liar:call "unnamed")
T.ok(tostring(e):find("does not lie in", 1, true), "a descriptor that its frame does not name is not there", e)
v, e = pget(program(raw):call "fewer")
T.is(tostring(e), "the program sent fewer descriptors than its frame names", "a frame without its descriptors")
local flood = program(raw)
v, e = pget(flood:call "flood")
T.is(tostring(e), "the program sent more descriptors than go with a frame", "descriptors without a frame")
v, e = pget(flood:call "good")
T.is(tostring(e), "'python3' was killed by signal KILL", "who breaks the protocol is ended")

-- a program that knows nothing of descriptors gets bytes
local old = program [[
import socket, rota_program as r
sock = socket.socket(fileno=3)
r._send(sock, r.START, 0, 1, 1, "old")
frames = r._Frames(sock)
while True:
    m = frames.next()
    if m is None: break
    r._send(sock, r.REPLY, m[1], b"\x92\xce" + len(r.unpack(m[2][1])[0][0]).to_bytes(4, "big") + b"\xce" + len(m[3]).to_bytes(4, "big"))
]]
local n, came = get(old:call("x", text))
T.ok(n == #text and came == 0, "who does not take descriptors gets bytes", n, came)
n = get(old:call("x", b))
T.is(n, #b * 8, "of buffers too")

-- streams: what a generator yields; it is closed when nobody wants more
local streams = program [[
import time, rota_program
class Streams:
    def __init__(self): self.closed = 0
    def count(self, n):
        for i in range(n): yield i + 1, "x" * i
        return "done"
    def forever(self):
        i = 0
        try:
            while True:
                i += 1
                yield i
        finally: self.closed += 1
    def big(self, n):
        for i in range(n): yield bytes([65 + i]) * 100000
    def bad(self):
        yield 1
        raise ValueError("half")
    def ends(self): return self.closed
    def nap(self, s, x): time.sleep(s); return len(x)
rota_program.serve(Streams())
]]
local stream, got = streams.call:with { stream = true }, {}
local s = stream("count", 3)
for i, a, b in s:each() do got[i] = a .. b end
T.is(got, { "1", "2x", "3xx" }, "a generator streams: its items")
T.is(get(s:result(), 30), "done", "and its value")
for i in streams.call:with { stream = true, backlog = 10 }("forever"):each() do if i == 1000 then break end end
T.is(get(streams:call "ends", 30), 1, "left early: the generator is closed, and the program answers")
got = {}
for i, v in stream("big", 3):each() do got[i] = v:sub(1, 1) .. #v end
T.is(got, { "A100000", "B100000", "C100000" }, "long items")
got = {}
v, e = pcall(function() for _, x in stream("bad"):each() do got[#got + 1] = x end end)
T.ok(got[1] == 1 and tostring(e) == "ValueError: half", "an exception comes behind the items", got[1], e)
v, e = pget(streams:call("count", 2), 30)
T.ok(tostring(e):find("stream=true", 1, true), "items without a stream", e)
T.is(get(streams:call("nap", 0, "abc"), 30), 3, "and it goes on")

-- calls that are given up: the next one has its own answer, and its own arguments in place
for i = 1, 3 do
	v, e = pget(streams.call:with { timeout = 0.05 }("nap", 0.15, ("x"):rep(60000 + i)), 30)
	T.is(e and e.code, "timeout", "a call that takes too long")
end
T.is(get(streams:call("nap", 0, text), 60), #text, "the next one gets its own answer")
for _, name in ipairs(scripts) do os.remove(name) end
T.done()
