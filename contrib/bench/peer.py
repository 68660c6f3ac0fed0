"""peer.py ROW... - the rows of bench that exist in Ray, as "name value" lines; one start of Ray for all of them.

Not there: what is about rmap or about spinning; a million queued tasks (minutes), 1,000 actors (a Python each: 60 GB).
"""
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import ray

ROWS = {}
NOW = time.perf_counter


def row(*names):
    def add(f):
        for name in names:
            ROWS[name] = f
        return f
    return add


def say(name, value):
    print(f"{name} {value:.6g}", flush=True)


def rate(name, f, n, seconds=1.0):
    """Operations a second of f(n), n at a time, once warm."""
    f(n)
    start, ops = NOW(), 0
    while True:
        f(n)
        ops += n
        took = NOW() - start
        if took >= seconds:
            return say(name, ops / took)


def median_ms(name, f, runs=3):
    f()
    times = []
    for _ in range(runs):
        start = NOW()
        f()
        times.append(NOW() - start)
    say(name, statistics.median(times) * 1e3)


@ray.remote
def noop():
    pass


@ray.remote
def inc(x):
    return x + 1


@ray.remote(num_cpus=0)
class Actor:
    def noop(self):
        pass

    def take(self, b):
        return len(b)


@row("sync", "sync-1core")
def sync():
    def f(n):
        for _ in range(n):
            ray.get(noop.remote())
    rate("sync", f, 100)
    if "sync-1core" in sys.argv:
        pids = [os.getpid()] + ray.get([worker_pid.remote() for _ in range(4)])
        old = os.sched_getaffinity(0)
        for pid in pids:
            os.sched_setaffinity(pid, {min(old)})
        rate("sync-1core", f, 50)
        for pid in pids:
            os.sched_setaffinity(pid, old)


@ray.remote
def worker_pid():
    time.sleep(0.1)
    return os.getpid()


@row("sync-busy")
def busy():
    stranger = subprocess.Popen(["sh", "-c", "while :; do :; done"])

    def f(n):
        for _ in range(n):
            ray.get(noop.remote())
    rate("sync-busy", f, 50)
    stranger.kill()
    stranger.wait()


@row("pipelined")
def pipelined():
    rate("pipelined", lambda n: ray.get([noop.remote() for _ in range(n)]), 5000)


@row("chain")
def chain():
    def f():
        ref = 0
        for _ in range(2000):
            ref = inc.remote(ref)
        assert ray.get(ref) == 2000
    median_ms("chain", f, 1)


@row("args")
def args():
    @ray.remote
    def count(*a):
        return len(a)
    refs = [ray.put(i) for i in range(10000)]
    median_ms("args", lambda: ray.get(count.remote(*refs)))


@row("get-refs")
def get_refs():
    times = []
    for _ in range(4):
        refs = [ray.put(i) for i in range(10000)]
        start = NOW()
        ray.get(refs)
        times.append(NOW() - start)
    say("get-refs", statistics.median(times[1:]) * 1e3)


@row("actor-sync", "actor-pipelined")
def actor():
    a = Actor.remote()

    def f(n):
        for _ in range(n):
            ray.get(a.noop.remote())
    rate("actor-sync", f, 100)
    rate("actor-pipelined", lambda n: ray.get([a.noop.remote() for _ in range(n)]), 5000)


@row("actors-buffer")
def actors_buffer():
    @ray.remote(num_cpus=0)
    class Driver:
        def run(self, takers, n):
            data = ray.put(np.zeros(100 * 1024, dtype=np.uint8))
            ray.get([takers[i % 2].take.remote(data) for i in range(n)])
            return n
    takers = [Actor.remote(), Actor.remote()]
    drivers = [Driver.remote(), Driver.remote()]
    rate("actors-buffer", lambda n: ray.get([d.run.remote(takers, n // 2) for d in drivers]), 2000)


@row("get-100K", "get-100B")
def get():
    for name, value in (("get-100K", np.zeros(100 * 1024, dtype=np.uint8)), ("get-100B", b"x" * 100)):
        ref = ray.put(value)

        def f(n):
            for _ in range(n):
                ray.get(ref)
        rate(name, f, 1000)


@row("put-100K", "put-100B")
def put():
    for name, value in (("put-100K", np.zeros(100 * 1024, dtype=np.uint8)), ("put-100B", b"x" * 100)):
        def f(n):
            for _ in range(n):
                ray.put(value)
        rate(name, f, 500)


@row("put-1G", "put-1G-speed", "put-1G-first")
def put_1g():
    data = np.ones(1 << 30, dtype=np.uint8)
    speed = []
    for _ in range(5):
        start = NOW()
        ref = ray.put(data)
        speed.append((1 << 30) / (NOW() - start) / 1e9)
        del ref
        time.sleep(0.5)
    later = statistics.median(speed[1:])
    say("put-1G-first", speed[0])
    say("put-1G-speed", later)
    memcpy = subprocess.run([os.path.join(os.environ.get("O", "build"), "contrib/bench/memcpy"), "1024"],
                            capture_output=True, text=True)
    if memcpy.returncode == 0:
        say("memcpy-1G", float(memcpy.stdout))
        say("put-1G", later / float(memcpy.stdout))


@row("wait-1000")
def wait():
    def f(n):
        for _ in range(n):
            refs = [noop.remote() for _ in range(1000)]
            for _ in range(1000):
                _, refs = ray.wait(refs)
    rate("wait-1000", f, 1)


@row("get-10000-inside")
def inside():
    @ray.remote
    def make():
        return [ray.put(i) for i in range(10000)]
    ref = make.remote()

    def f(n):
        for _ in range(n):
            ray.get(ref)
    rate("get-10000-inside", f, 2)


@row("idle-first")
def idle_first():
    times = []
    for _ in range(5):
        time.sleep(1)
        start = NOW()
        ray.get(noop.remote())
        times.append(NOW() - start)
    say("idle-first", statistics.median(times) * 1e6)


@row("idle-memory")
def idle_memory():
    """Resident pages that belong to no shared memory, of all of Ray's processes but the driver."""
    ray.get(noop.remote())
    time.sleep(2)
    total, pids = 0, [str(os.getpid())]
    while pids:
        pid = pids.pop()
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                pids += f.read().split()
            if int(pid) != os.getpid():
                with open(f"/proc/{pid}/status") as f:
                    total += sum(int(line.split()[1]) for line in f if line.startswith(("RssAnon", "RssFile")))
        except OSError:
            pass
    say("idle-memory", total * 1024 / 1e6)


def main():
    wanted = [name for name in sys.argv[1:] if name in ROWS]
    started = NOW()
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR", object_store_memory=4 << 30)
    ray.get(inc.remote(1))
    if "start" in sys.argv:
        say("start", NOW() - started)
    done = set()
    for name in wanted:
        f = ROWS[name]
        if f not in done:
            done.add(f)
            try:
                f()
            except Exception as e:  # a row that fails says so and leaves the others alone
                print(f"peer.py: {name}: {e}", file=sys.stderr)
    ray.shutdown()


if __name__ == "__main__":
    main()
