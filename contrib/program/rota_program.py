"""rota_program - a Python program as an actor of rota: frames on descriptor 3, see rota-program(7).  Standard library only.

    import rota_program

    class Counter:
        def __init__(self): self.n = 0
        def add(self, k): self.n += k; return self.n

    rota_program.serve(Counter())

A method gets the arguments of the call and returns its value; a tuple is several values.  An exception is the call's error.
Strings that are UTF-8 come as str, others as bytes; tables come as list or dict.
"""
import os
import socket
import struct
import sys
import time
import traceback

PROTO = 1
START, CALL, REPLY, ERROR, CANCEL, PING, PONG = range(120, 127)
HEAD = struct.Struct("<IHBBQIHHQ")      # body bytes, type, version, flags, request, credit, buffers, descriptors, session
LIMIT = 64 << 20
TURNS = 16                              # that a wait lets others run before it sleeps

# --- msgpack, as much as rota speaks -----------------------------------------------------------------------------------

_float, _u16, _u32, _u64, _i64 = (struct.Struct(f) for f in (">d", ">H", ">I", ">Q", ">q"))


def pack(v, out):
    """appends v to the bytearray out"""
    if v is None:
        out.append(0xC0)
    elif v is True or v is False:
        out.append(0xC3 if v else 0xC2)
    elif isinstance(v, int):
        if 0 <= v < 128:
            out.append(v)
        elif -32 <= v < 0:
            out.append(v & 0xFF)
        elif -(1 << 63) <= v < 1 << 63:
            out.append(0xD3)
            out += _i64.pack(v)
        else:
            raise ValueError("an integer beyond 64 bits")
    elif isinstance(v, float):
        out.append(0xCB)
        out += _float.pack(v)
    elif isinstance(v, str):
        b = v.encode("utf-8", "surrogateescape")
        _head(out, len(b), 0xA0, 32, (0xD9, 0xDA, 0xDB))
        out += b
    elif isinstance(v, (bytes, bytearray, memoryview)):
        b = bytes(v)
        _head(out, len(b), 0, 0, (0xC4, 0xC5, 0xC6))
        out += b
    elif isinstance(v, (list, tuple)):
        _head(out, len(v), 0x90, 16, (None, 0xDC, 0xDD))
        for x in v:
            pack(x, out)
    elif isinstance(v, dict):
        _head(out, len(v), 0x80, 16, (None, 0xDE, 0xDF))
        for k, x in v.items():
            pack(k, out)
            pack(x, out)
    else:
        raise TypeError("a %s does not travel" % type(v).__name__)


def _head(out, n, fix, below, codes):
    if n < below:
        out.append(fix | n)
    elif codes[0] is not None and n < 1 << 8:
        out += bytes((codes[0], n))
    elif n < 1 << 16:
        out.append(codes[1])
        out += _u16.pack(n)
    else:
        out.append(codes[2])
        out += _u32.pack(n)


def unpack(b, at=0):
    """the value at b[at], and where the next one begins"""
    c = b[at]
    at += 1
    if c < 0x80:
        return c, at
    if c >= 0xE0:
        return c - 256, at
    if c < 0x90:
        return _map(b, at, c & 15)
    if c < 0xA0:
        return _list(b, at, c & 15)
    if c < 0xC0:
        return _text(b, at, c & 31)
    if c in _simple:
        return _simple[c], at
    if c in _number:
        s = _number[c]
        return s.unpack_from(b, at)[0], at + s.size
    if c in _sized:
        size, what = _sized[c]
        return what(b, at + size, int.from_bytes(b[at:at + size], "big"))
    raise ValueError("type 0x%02x does not go to a program" % c)


def _map(b, at, n):
    d = {}
    for _ in range(n):
        k, at = unpack(b, at)
        d[k], at = unpack(b, at)
    return d, at


def _list(b, at, n):
    v = []
    for _ in range(n):
        x, at = unpack(b, at)
        v.append(x)
    return v, at


def _bytes(b, at, n):
    if at + n > len(b):
        raise ValueError("cut short")
    return bytes(b[at:at + n]), at + n


def _text(b, at, n):
    v, at = _bytes(b, at, n)
    try:
        return v.decode(), at
    except UnicodeDecodeError:
        return v, at


_simple = {0xC0: None, 0xC2: False, 0xC3: True}
_number = {c: struct.Struct(f) for c, f in ((0xCA, ">f"), (0xCB, ">d"), (0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"),
                                            (0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q"))}
_sized = {0xC4: (1, _bytes), 0xC5: (2, _bytes), 0xC6: (4, _bytes), 0xD9: (1, _text), 0xDA: (2, _text), 0xDB: (4, _text),
          0xDC: (2, _list), 0xDD: (4, _list), 0xDE: (2, _map), 0xDF: (4, _map)}

# --- frames ------------------------------------------------------------------------------------------------------------


def _send(sock, kind, request, *fields):
    out = bytearray(HEAD.size)
    pack(list(fields), out)
    HEAD.pack_into(out, 0, len(out) - HEAD.size, kind, PROTO, 0, request, 0, 0, 0, 0)
    sock.sendall(out)


class _Frames:
    def __init__(self, sock):
        self.sock, self.got, self.turns = sock, bytearray(), TURNS

    def _part(self):
        """what comes next: at once, mostly, when others are let run; more such turns after a hit, fewer after a miss"""
        for _ in range(self.turns):
            os.sched_yield()
            try:
                part = self.sock.recv(1 << 16, socket.MSG_DONTWAIT)
                self.turns = min(2 * self.turns, TURNS)
                return part
            except BlockingIOError:
                pass
        start = time.monotonic()
        part = self.sock.recv(1 << 16)
        self.turns = TURNS if time.monotonic() - start < 1e-4 else max(self.turns // 2, 1)
        return part

    def next(self):
        """(type, request, fields) or None at the end"""
        while True:
            if len(self.got) >= HEAD.size:
                n, kind, _, _, request = HEAD.unpack_from(self.got)[:5]
                if n > LIMIT:
                    raise ValueError("a frame of %d bytes" % n)
                if len(self.got) >= HEAD.size + n:
                    fields, _ = unpack(self.got, HEAD.size)
                    del self.got[:HEAD.size + n]
                    return kind, request, fields
            part = self._part()
            if not part:
                return None
            self.got += part


def serve(target, name=None):
    """answers calls with the methods of target, or with the functions of a dict, until nobody asks any more"""
    sock = socket.socket(fileno=int(os.environ.get("ROTA_FD", "3")))
    _send(sock, START, 0, PROTO, PROTO, name or os.path.basename(sys.argv[0]))
    frames = _Frames(sock)
    while True:
        m = frames.next()
        if m is None:
            return
        kind, request, fields = m
        if kind == PING:
            _send(sock, PONG, request, 0)
        elif kind == CALL:
            _answer(sock, target, request, fields)


def _answer(sock, target, request, fields):
    try:
        method, args = fields[0], unpack(fields[1])[0]
        f = target.get(method) if isinstance(target, dict) else None if method.startswith("_") else getattr(target, method, None)
        if f is None:
            raise AttributeError("no method '%s'" % method)
        v = f(*args)
        values = bytearray()
        pack(list(v) if isinstance(v, tuple) else [v], values)
        _send(sock, REPLY, request, bytes(values))
    except Exception as e:              # the call's, not ours
        _send(sock, ERROR, request, "%s: %s" % (type(e).__name__, e), traceback.format_exc())
