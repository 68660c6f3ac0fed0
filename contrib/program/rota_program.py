"""rota_program - a Python program as an actor of rota: frames on descriptor 3, see rota-program(7).  Standard library only.

    import rota_program

    class Counter:
        def __init__(self): self.n = 0
        def add(self, k): self.n += k; return self.n

    rota_program.serve(Counter())

A method gets the arguments of the call and returns its value; a tuple is several values.  An exception is the call's error.
A generator streams: each value that it yields is an item, what it returns is the value; it is closed if nobody wants more.
Strings that are UTF-8 come as str, others as bytes; tables come as list or dict; a rota.buffer, but of bytes, comes as a
memoryview of its elements, and a memoryview or an array.array becomes one (of bytes: a string).

Long values do not go through the socket but as descriptors of memory.  With serve(..., views=True) those that come are
read-only memoryviews of that memory, also where they are strings, and nothing is copied; they end with the call.

Whether the program is alive is asked with PING, if its actor has a health period: a thread answers that while a method runs.
"""
import array
import fcntl
import mmap
import os
import socket
import struct
import sys
import threading
import time
import traceback
import types

PROTO = 1
START, CALL, REPLY, ERROR, CANCEL, PING, PONG, ITEM = range(120, 128)
HEAD = struct.Struct("<IHBBQIHHQ")      # body bytes, type, version, flags, request, credit, buffers, descriptors, session
LIMIT = 64 << 20
SPACE = socket.CMSG_SPACE(16 * 4)      # for the descriptors of a message
TURNS = 16                              # that a wait lets others run before it sleeps
LENT = struct.Struct("<IQQ")            # a long value: which descriptor, offset, bytes
LONG = 64 << 10                         # bytes from which on a value that is returned is long
BUFFER, OOB = 6, 15                     # exts of rota-values(7)
FORMATS = {1: "B", 2: "b", 3: "H", 4: "h", 5: "I", 6: "i", 7: "Q", 8: "q", 9: "f", 10: "d", 13: "?"}
TYPES = {"u1": 1, "i1": 2, "u2": 3, "i2": 4, "u4": 5, "i4": 6, "u8": 7, "i8": 8, "f4": 9, "f8": 10, "f2": 11, "b1": 13}
KINDS = {f: k for k, all in (("u", "cBHILQ"), ("i", "bhilq"), ("f", "efd"), ("b", "?")) for f in all}

# --- msgpack, as much as rota speaks -----------------------------------------------------------------------------------

_float, _u16, _u32, _u64, _i64 = (struct.Struct(f) for f in (">d", ">H", ">I", ">Q", ">q"))


def pack(v, out, long=None):
    """appends v to the bytearray out; with a list, bytes that are long go there"""
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
        if len(b) < LONG or not _lend(b, out, long, 0):
            _head(out, len(b), 0xA0, 32, (0xD9, 0xDA, 0xDB))
            out += b
    elif isinstance(v, (bytes, bytearray)):
        _pack_bytes(v, out, long)
    elif isinstance(v, (memoryview, array.array)):
        _pack_view(memoryview(v), out, long)
    elif isinstance(v, (list, tuple)):
        _head(out, len(v), 0x90, 16, (None, 0xDC, 0xDD))
        for x in v:
            pack(x, out, long)
    elif isinstance(v, dict):
        _head(out, len(v), 0x80, 16, (None, 0xDE, 0xDF))
        for k, x in v.items():
            pack(k, out, long)
            pack(x, out, long)
    else:
        raise TypeError("a value of type %s cannot travel" % type(v).__name__)


def _pack_bytes(b, out, long):
    if len(b) < LONG or not _lend(b, out, long, 1):
        _head(out, len(b), 0, 0, (0xC4, 0xC5, 0xC6))
        out += b


def _pack_view(v, out, long):
    form = v.format.lstrip("@=<")
    dtype = TYPES.get("%s%d" % (KINDS.get(form, ""), v.itemsize))
    if dtype is None:
        raise TypeError("elements of format '%s' do not travel" % v.format)
    b = v.cast("B") if v.nbytes and v.c_contiguous and form == v.format.lstrip("@") else v.tobytes()
    if dtype == 1 and v.ndim == 1:
        _pack_bytes(b, out, long)
        return
    body = struct.pack("<BB%dQ" % v.ndim, dtype, v.ndim, *v.shape)
    if long is not None and len(b) >= LONG:
        long.append(b)
        body += struct.pack("<BI", 1, len(long) - 1)
    else:
        body += b"\0" + b
    _head(out, len(body), 0, 0, (0xC7, 0xC8, 0xC9))
    out.append(BUFFER)
    out += body


def _lend(b, out, long, raw):
    if long is None or len(b) < LONG:
        return False
    long.append(b)
    out += struct.pack("<BBBIQB", 0xC7, 13, OOB, len(long) - 1, len(b), raw)
    return True


def _head(out, n, fix, below, codes):
    if n < below:
        out.append(fix | n)
    elif n < 1 << 8 and codes[0] is not None:
        out.append(codes[0])
        out.append(n)
    elif n < 1 << 16:
        out.append(codes[1])
        out += _u16.pack(n)
    else:
        out.append(codes[2])
        out += _u32.pack(n)


def unpack(b, at=0, lent=()):
    """the value at b[at], and where the next one begins; lent: the bytes that lie elsewhere"""
    c = b[at]
    at += 1
    if c < 0x80:
        return c, at
    if c >= 0xE0:
        return c - 256, at
    if c < 0x90:
        return _map(b, at, c & 15, lent)
    if c < 0xA0:
        return _list(b, at, c & 15, lent)
    if c < 0xC0:
        return _text(b, at, c & 31, lent)
    if c in _simple:
        return _simple[c], at
    if c in _number:
        s = _number[c]
        return s.unpack_from(b, at)[0], at + s.size
    if c in _sized:
        size, what = _sized[c]
        return what(b, at + size, int.from_bytes(b[at:at + size], "big"), lent)
    raise ValueError("type 0x%02x does not go to a program" % c)


def _map(b, at, n, lent):
    d = {}
    for _ in range(n):
        k, at = unpack(b, at, lent)
        d[k], at = unpack(b, at, lent)
    return d, at


def _list(b, at, n, lent):
    v = []
    for _ in range(n):
        x, at = unpack(b, at, lent)
        v.append(x)
    return v, at


def _bytes(b, at, n, lent):
    v = b[at:at + n]
    if len(v) < n:
        raise ValueError("cut short")
    return v if type(v) is bytes else bytes(v), at + n


def _text(b, at, n, lent):
    v, at = _bytes(b, at, n, lent)
    return _str(v), at


def _str(v):
    if isinstance(v, memoryview):       # a view: it stays what it is
        return v
    try:
        return v.decode()
    except UnicodeDecodeError:
        return v


def _ext(b, at, n, lent):
    kind, at = b[at], at + 1
    body, at = _bytes(b, at, n, lent)
    if kind == OOB:
        return _str(lent[struct.unpack_from("<I", body)[0]]), at
    if kind != BUFFER:
        raise ValueError("ext %d does not go to a program" % kind)
    dtype, ndim = body[0], body[1]
    shape = struct.unpack_from("<%dQ" % ndim, body, 2)
    rest = body[2 + 8 * ndim:]
    v = lent[struct.unpack_from("<I", rest, 1)[0]] if rest[0] else rest[1:]
    if dtype == 1 and ndim == 1:
        return _str(v), at
    v = memoryview(v)
    return v.cast(FORMATS[dtype], shape) if v.nbytes and dtype in FORMATS else v, at


_simple = {0xC0: None, 0xC2: False, 0xC3: True}
_number = {c: struct.Struct(f) for c, f in ((0xCA, ">f"), (0xCB, ">d"), (0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"),
                                            (0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q"))}
_sized = {0xC4: (1, _bytes), 0xC5: (2, _bytes), 0xC6: (4, _bytes), 0xD9: (1, _text), 0xDA: (2, _text), 0xDB: (4, _text),
          0xC7: (1, _ext), 0xC8: (2, _ext), 0xC9: (4, _ext), 0xDC: (2, _list), 0xDD: (4, _list), 0xDE: (2, _map), 0xDF: (4, _map)}

# --- long values -------------------------------------------------------------------------------------------------------


class _Lent:
    """the long values of a call: mapped, or copied; closed when it has been answered"""

    def __init__(self, entries, fds, views):
        self.maps, self.values = [], []
        for at in range(0, len(entries), LENT.size):
            which, off, n = LENT.unpack_from(entries, at)
            skip = off % mmap.ALLOCATIONGRANULARITY
            m = mmap.mmap(fds[which], skip + n, access=mmap.ACCESS_READ, offset=off - skip)
            self.maps.append(m)
            with memoryview(m) as whole:
                v = whole[skip:skip + n]
            self.values.append(v if views else bytes(v))

    def close(self):
        for x in [v.release for v in self.values if isinstance(v, memoryview)] + [m.close for m in self.maps]:
            try:
                x()
            except BufferError:         # somebody still looks at it: it is unmapped with the last view
                pass


def _memory(parts):
    """a descriptor of memory with the parts in it, and the entries that say where"""
    fd, at, entries = os.memfd_create("rota-reply", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), 0, bytearray()
    for b in parts:
        entries += LENT.pack(0, at, len(b))
        left = memoryview(b)
        while left:
            left = left[os.write(fd, left):]
        at += len(b)
        at += os.write(fd, bytes(-at % 64))
    fcntl.fcntl(fd, getattr(fcntl, "F_ADD_SEALS", 1033), 7)     # no seals to come, it cannot shrink, it cannot grow
    return fd, bytes(entries)


# --- frames ------------------------------------------------------------------------------------------------------------


def _send(sock, kind, request, *fields, fds=()):
    out = bytearray(HEAD.size)
    _head(out, len(fields), 0x90, 16, ())
    for x in fields:
        pack(x, out)
    HEAD.pack_into(out, 0, len(out) - HEAD.size, kind, PROTO, 0, request, 0, 0, len(fds), 0)
    if fds:
        n = sock.sendmsg([out], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        out = memoryview(out)[n:]
    sock.sendall(out)


class _Nobody:
    """the lock of a program that is not asked how it is"""

    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


class _Frames:
    def __init__(self, sock):
        self.sock, self.got, self.at, self.fds, self.early, self.turns = sock, b"", 0, [], [], TURNS
        self.busy, self.lock = False, _Nobody()     # a method runs; whoever reads or writes meanwhile has the lock

    def send(self, *frame, fds=()):
        with self.lock:
            _send(self.sock, *frame, fds=fds)

    def asked(self, request, fields):
        """answers PING; from the first one on a thread does so while a method runs"""
        if type(self.lock) is _Nobody:
            self.lock = threading.Lock()
            pause = min(max(fields[0] / 4e9, 0.005), 60) if fields and fields[0] else 1
            threading.Thread(target=self._pulse, args=(pause,), name="rota", daemon=True).start()
        self.send(PONG, request, 0)

    def _pulse(self, pause):
        try:
            while True:
                time.sleep(pause)
                with self.lock:
                    if self.busy:
                        self._look()
        except OSError:                 # nobody asks any more: the main thread sees that too
            pass

    def _recv(self, flags):
        part, more, _, _ = self.sock.recvmsg(1 << 16, SPACE, flags | socket.MSG_CMSG_CLOEXEC)
        for _, _, data in more:
            self.fds += array.array("i", data)
        return part

    def _part(self):
        """what comes next: at once, mostly, when others are let run; more such turns after a hit, fewer after a miss"""
        for _ in range(self.turns):
            os.sched_yield()
            try:
                part = self._recv(socket.MSG_DONTWAIT)
                self.turns = min(2 * self.turns, TURNS)
                return part
            except BlockingIOError:
                pass
        start = time.monotonic()
        part = self._recv(0)
        self.turns = TURNS if time.monotonic() - start < 1e-4 else max(self.turns // 2, 1)
        return part

    def _whole(self):
        """the first frame in what was read: (type, request, fields, descriptors), or None"""
        at, left = self.at, len(self.got) - self.at
        if left < HEAD.size:
            return None
        n, kind, _, _, request, _, _, nfd, _ = HEAD.unpack_from(self.got, at)
        if n > LIMIT:
            raise ValueError("a frame of %d bytes" % n)
        if left < HEAD.size + n:
            return None
        fields, _ = unpack(self.got, at + HEAD.size)
        self.at = at + HEAD.size + n
        fds, self.fds = self.fds[:nfd], self.fds[nfd:]
        return kind, request, fields, fds

    def _more(self, part):
        at, left = self.at, len(self.got) - self.at
        if left == 0:
            self.got = part
        else:
            self.got = bytearray(self.got)[at:] if at or type(self.got) is bytes else self.got
            self.got += part
        self.at = 0

    def next(self):
        """(type, request, fields, descriptors) or None at the end"""
        with self.lock:
            self.busy = False           # from here on nobody else reads
        if self.early:
            return self.early.pop(0)
        while True:
            m = self._whole()
            if m:
                return m
            part = self._part()
            if not part:
                return None
            self._more(part)

    def _look(self):
        """what has come meanwhile; False at the end"""
        try:
            part = self._recv(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        if not part:
            return False
        self._more(part)
        for m in iter(self._whole, None):
            if m[0] == PING:
                _send(self.sock, PONG, m[1], 0)
            else:
                self.early.append(m)
        return True

    def cancelled(self, request):
        """has a word come, meanwhile, that nobody waits for the answer to this call?"""
        with self.lock:
            return not self._look() or any(m[0] == CANCEL and m[1] == request for m in self.early)


def serve(target, name=None, views=False):
    """answers calls with the methods of target, or with the functions of a dict, until nobody asks any more"""
    sock = socket.socket(fileno=int(os.environ.get("ROTA_FD", "3")))
    _send(sock, START, 0, PROTO, PROTO, name or os.path.basename(sys.argv[0]), 1)
    frames = _Frames(sock)
    while True:
        m = frames.next()
        if m is None:
            return
        kind, request, fields, fds = m
        if kind == PING:
            frames.asked(request, fields)
        elif kind == CALL:
            frames.busy = True
            _answer(frames, target, request, fields, fds, views)
        for fd in fds:
            os.close(fd)


def _give(frames, kind, request, v):
    values, long = bytearray(), []
    pack(list(v) if isinstance(v, tuple) else [v], values, long)
    if not long:
        frames.send(kind, request, bytes(values))
        return
    fd, entries = _memory(long)
    try:
        frames.send(kind, request, bytes(values), entries, fds=[fd])
    finally:
        os.close(fd)


def _stream(frames, request, items):
    """sends what the generator yields; what it returns"""
    while True:
        try:
            v = next(items)
        except StopIteration as end:
            return end.value
        _give(frames, ITEM, request, v)
        if frames.cancelled(request):
            items.close()
            return None


def _answer(frames, target, request, fields, fds, views):
    lent = v = args = None
    try:
        method = fields[0]
        if len(fields) > 2 and fields[2]:
            lent = _Lent(fields[2], fds, views)
        args = unpack(fields[1], 0, lent.values if lent else ())[0]
        f = target.get(method) if isinstance(target, dict) else None if method.startswith("_") else getattr(target, method, None)
        if f is None:
            raise AttributeError("no method '%s'" % method)
        v = f(*args)
        if isinstance(v, types.GeneratorType):
            v = _stream(frames, request, v)
        _give(frames, REPLY, request, v)
    except Exception as e:              # the call's, not ours
        frames.send(ERROR, request, "%s: %s" % (type(e).__name__, e), traceback.format_exc())
    finally:
        del args, v
        if lent:
            lent.close()
