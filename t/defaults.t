#!/bin/sh
# defaults.t - the variables that all programs know, what tasks find in theirs, and what holds where nothing is said
. "${0%/*}/lib.sh"
XDG_STATE_HOME=$TMP/state ROTA_STORE=64M
export XDG_STATE_HOME ROTA_STORE
trap 'test -z "$pid" || kill "$pid" 2>/dev/null; rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
umask 077
mkdir -p "$ROTA_DIR"
tree=$PWD
cd "$TMP" || exit 1
lua() { cat >x.lua; timeout 60 rlua x.lua >out 2>err || { cat out err; return 1; }; }

# --- ROTA_ADDRESS
own() { ROTA_ADDRESS=private rlua -l rota -e 'rota.init() print((io.popen("rota ls -o address"):read "a"))' >o && grep -q "/own-[0-9]*\.sock" o || { cat o; return 1; }; }
check 'private is an own node' own
check 'unix:PATH: the node behind a socket' sh -c 'rlua -l rota -e "rota.init() os.execute [[ROTA_ADDRESS=unix:\$ROTA_DIR/shared.sock rmap -e line ::: reached]]" | grep -qx reached'
pid_n() { ROTA_ADDRESS=private rlua -l rota -e 'rota.init() os.execute "unset ROTA_ADDRESS; rmap -A pid:$PPID -e line ::: reached"' >o; prints reached cat o; }
check 'pid:N: the private node of a process' pid_n
check 'local, and no lasting node runs: 125' exits 125 env ROTA_ADDRESS=local rmap true ::: a
rota up -q -c 3 >/dev/null
check 'local, and one runs' exits 0 env ROTA_ADDRESS=local rmap true ::: a
check 'nothing said: the lasting node, if it runs' prints 3.0 sh -c 'rmap -s "rstat nodes -o cpus; : {}" ::: a'
check 'and it is that which programs joined' prints 1 rlua -l rota -e 'rota.init() os.execute "rstat -A local nodes -o drivers"'
check 'a word that is no address' says "no cluster 'lab' is known here: use local, private, pid:N or unix:/path" env ROTA_ADDRESS=lab robj ls

# --- ROTA_KEY
check 'a key in place of its file' says 'robj: ROTA_KEY is the name of a file, not the key itself' env ROTA_KEY=0123abcd robj ls
check 'is 125' exits 125 env ROTA_KEY=0123abcd rmap true ::: a
check 'in rlua too' exits 125 env ROTA_KEY=0123abcd rlua -l rota -e 'rota.init()'
key() { lua <<'E' && prints 'nil	nil' cat out; }
local rota = require "rota"
print(rota.get(rota.task(function() return os.getenv "ROTA_KEY", io.popen("echo $ROTA_KEY"):read "l" ~= "" or nil end)()))
E
ROTA_KEY=/etc/passwd; export ROTA_KEY
check 'no task finds it, nor what a task starts' key
check 'nor a command of rmap' prints '[]' rmap -s 'echo "[$ROTA_KEY]"; : {}' ::: a
unset ROTA_KEY

# --- ROTA_DIR, ROTA_NAMESPACE, ROTA_STORE
check 'ROTA_DIR: XDG_RUNTIME_DIR/rota' prints "$TMP/run/rota" sh -c 'mkdir -m 700 $TMP/run; unset ROTA_DIR; export XDG_RUNTIME_DIR=$TMP/run; eval "$(rota env)"; echo $ROTA_DIR'
check 'made with mode 0700' prints drwx------ sh -c 'ls -ld $TMP/run/rota | cut -c 1-10'
check 'without a session: /tmp/rota-UID' prints "/tmp/rota-$(id -u)" sh -c 'e=0; test -e /tmp/rota-$(id -u) && e=1; unset ROTA_DIR XDG_RUNTIME_DIR; eval "$(rota env 2>/dev/null)"; test $e = 1 || rmdir /tmp/rota-$(id -u); echo $ROTA_DIR'
check 'ROTA_NAMESPACE' prints lab env ROTA_NAMESPACE=lab rlua -l rota -e 'rota.init() print(rota.context().namespace)'
check 'none: the job'"'"'s own number' prints true rlua -l rota -e 'rota.init() local c = rota.context() print(c.namespace == tostring(c.job))'
check 'ROTA_STORE is the size of the arena' prints 33554432 env ROTA_STORE=32M ROTA_ADDRESS=private rlua -l rota -e 'print(rota.nodes()[1].arena)'
third() {		# 30 % of the memory, or of what the cgroup allows
	env -u ROTA_STORE ROTA_ADDRESS=private rlua -l rota -e '
		local all = io.open "/proc/meminfo":read "a":match "MemTotal:%s*(%d+)" * 1024
		local f = io.open "/sys/fs/cgroup/memory.max" or io.open "/sys/fs/cgroup/memory/memory.limit_in_bytes"
		local most = f and tonumber(f:read "l") or math.huge
		local is, want = rota.nodes()[1].arena, 0.3 * math.min(all, most)
		print(is, want)
		os.exit(is > want * 0.9 and is < want * 1.1)'
}
check 'default: 30 % of the memory' third
check 'nothing has a name in /dev/shm' prints '' rlua -l rota -e 'rota.put(("x"):rep(1e6)) local p = io.popen "ls /dev/shm | grep -i rota" io.write(p:read "a")'
width() { command -v script >/dev/null || return 0; script -qec 'stty cols 200; COLUMNS=40 rstat nodes' /dev/null </dev/null | tr -d '\r' | awk 'length > 40 { print; bad = 1 } END { exit bad || NR < 2 }'; }
check 'COLUMNS is honoured on a terminal' width

# --- set for every task
check 'a command of rmap: ROTA_JOB ROTA_TASK ROTA_NODE ROTA_ATTEMPT' sh -c 'rmap -s "echo \$ROTA_JOB \$ROTA_TASK \$ROTA_NODE \$ROTA_ATTEMPT; : {}" ::: a | grep -qE "^[0-9]+ [0-9a-f]{32} $(uname -n) 1$"'
check '{#} is ROTA_SEQ, {%} is ROTA_SLOT' prints '1 1 1 1
2 2 1 1' sh -c 'rmap -k -j 1 -s "echo {#} \$ROTA_SEQ {%} \$ROTA_SLOT; : {}" ::: a b'
set_() { lua <<'E' && prints 'true	true	true	1' cat out; }
local rota = require "rota"
local ref = rota.task(function() return os.getenv "ROTA_JOB", os.getenv "ROTA_TASK", os.getenv "ROTA_NODE", os.getenv "ROTA_ATTEMPT" end)()
local job, task, node, attempt = rota.get(ref)
print(job == tostring(rota.context().job), task == ref:id(), node == rota.nodes()[1].name, attempt)
E
check 'a task in Lua finds them too' set_

# --- tasks cpus=1 retries=3 (crash only)
tasks() { lua <<'E' && prints '1.0	4	1' cat out; }
local rota = require "rota"
local cpus = rota.get(rota.task(function() return rota.context().resources.cpus end)())
local _, crash = rota.pget(rota.task(function() os.execute "kill -9 $PPID" end)())
local _, raised = rota.pget(rota.task(function() error "x" end)())
print(cpus + 0.0, crash.attempt, raised.attempt)
E
check 'a task takes 1 CPU, is tried 3 times more after a crash, and not after an error' tasks
actors() { lua <<'E' && prints '0.0	1	actor_died' cat out; }
local rota = require "rota"
local A = rota.actor{ new = function(self) self.now, self.most = 0, 0 end,
	cpus = function() return rota.context().resources.cpus end,
	call = function(self) self.now = self.now + 1 self.most = math.max(self.most, self.now) rota.sleep(0.01) self.now = self.now - 1 return self.most end,
	die = function() os.execute "kill -9 $PPID" end }
local a = A()
local cpus, most = rota.get(a:cpus()), 0
local refs = {} for i = 1, 10 do refs[i] = a:call() end
for _, n in ipairs(rota.get(refs)) do most = math.max(most, n) end
rota.pget(a:die())
local _, err = rota.pget(a:call())
print(cpus + 0.0, most, err.code)
E
check 'an actor takes none, runs one call after the other, is not started again' actors

# --- rmap
check 'rmap: one item a command' prints 'a
b' rmap -k echo ::: a b
check 'as many at once as there are CPUs' prints 3 sh -c 'mkfifo $TMP/b; seq 12 | rmap -s "sleep 0.05; echo {%}" | sort -un | tail -1'
check 'no further try of what failed' prints 1 sh -c 'rmap -s "echo x >>$TMP/tries; exit 1; : {}" ::: a 2>/dev/null; wc -l <$TMP/tries'
lost() {		# a lost worker: three times more, at least once that is
	rmap -s 'echo x >>'"$TMP"'/lost; kill -9 $PPID; sleep 1000; : {}' ::: a 2>err; [ $? -eq 1 ] && prints 4 sh -c 'wc -l <$TMP/lost'
}
check 'a lost worker: its command is tried 3 times more' lost
check 'which the page says' grep -q 'at least once' "$tree/man/rmap.1"
check 'rota down' rota down -q --force
check 'nothing is left' "$tree/t/leaks.sh" "$ROTA_DIR"
done_testing
