#!/bin/sh
# nodes.t - every node of a cluster knows all others; one that dies, is stopped or cut off ends its work before it is given up, and comes back as a new one
. "${0%/*}/lib.sh"
umask 077
key=$TMP/lab.key pids=''
trap 'test -z "$pids" || kill -CONT $pids 2>/dev/null; kill $pids 2>/dev/null; wait; rm -rf "$TMP"' EXIT

at() {			# at DIR CMD...: with the directories of that machine
	d=$TMP/$1; shift
	ROTA_DIR=$d/run XDG_STATE_HOME=$d/state ROTA_ADDRESS=local "$@"
}
start() {		# start DIR DAEMON...: until it is ready; $line is what it wrote then, its stderr is DIR/err, its pid DIR/pid
	dir=$1; shift
	mkdir -p "$TMP/$dir/run"
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	ROTA_DIR=$TMP/$dir/run XDG_STATE_HOME=$TMP/$dir/state "$@" --ready-fd 3 3>"$TMP/ready" 2>>"$TMP/$dir/err" &
	echo $! >"$TMP/$dir/pid"; pids="$pids $!"
	read -r line <"$TMP/ready"
}
pid_of() { cat "$TMP/$1/pid"; }
said() {		# said DIR TEXT: waits for a line of its stderr
	timeout 20 sh -c "tail -n +1 -f '$TMP/$1/err' | grep -qm1 -F -e '$2'" || { cat "$TMP/$1/err"; return 1; }
}
until_lists() {		# until_lists DIR TEXT COLS [FILTER ...]: rstat nodes there prints that, within 10 s
	dir=$1 text=$2 cols=$3; shift 3
	for _ in $(seq 200); do
		got=$(at "$dir" rstat nodes -o "$cols" "$@" 2>&1 | sort | tr '\t\n' ' ;')
		[ "$got" = "$text" ] && return
		sleep 0.05
	done
	echo "lists: $got"; echo "not: $text"; return 1
}
mkdir -p "$TMP/x/run"
node="rlet -l --store 32M --key $key"

check 'a label without a value' says "labels 'disk': expected '='" at x $node --label disk
check 'an empty value' says "labels 'disk=': expected " at x $node --label disk=
check 'the label node' says "'node' is the node's name" at x $node --label node=n7
check 'a label twice' says "the label 'disk' is given twice" at x $node --label disk=ssd --label disk=nvme
check 'is 2' exits 2 at x $node --label disk
check 'no address' says "cannot listen at '[::1': expected HOST" at x $node --listen '[::1'
check 'no key, no listener' says 'no key, no listener' at x rlet -l --listen :0
check 'a limit that is none' says "--dead-after" at x rgcs --dead-after soon

head() {			# in the directory of h, where a node joins without TCP
	[ ! -e "$TMP/h/pid" ] || mv "$TMP/h/pid" "$TMP/node"
	start h rgcs --no-restart --listen "${1-127.0.0.1:0}" --key "$key" --dead-after 2.1s
	mv "$TMP/h/pid" "$TMP/rgcs"
	[ ! -e "$TMP/node" ] || mv "$TMP/node" "$TMP/h/pid"
	[ -n "$line" ]
}
check 'rgcs listens' head
lab=$line
check 'a node' start a $node -c 2 --join "$lab" --listen :0 --label zone=eu --label disk=nvme -R ssd=2
check 'a second one' start b $node -c 3 --join "$lab" --listen localhost:0
check 'a third one, on the machine of rgcs' start h $node -c 4 --listen 127.0.0.1:0
host=$(uname -n)
all="2.0 alive disk=nvme,node=$host,zone=eu;3.0 alive node=$host;"
check 'the third knows the others' until_lists h "$all" cpus,state,labels 'cpus~[23]' state=alive
check 'the second knows the third' until_lists b '4.0 alive;' cpus,state cpus=4 state=alive
check 'where another one listens' until_lists b 'alive;' state cpus=2 state=alive 'address~^127\.0\.0\.1:[1-9][0-9]+$'
check 'one that named its host' until_lists h 'alive;' state cpus=3 state=alive 'address~^localhost:[1-9][0-9]+$'
check 'a node lists itself first' prints 3 at b rlua -e 'print((require "rota".nodes()[1].cpus))'
check 'labels and resources in Lua' prints 'nvme	9	2' at b rlua -e '
	local rota = require "rota"
	local disk
	for _, n in ipairs(rota.nodes()) do disk = disk or n.labels.disk end
	local r = rota.resources()
	print(disk, r.cpus, r.ssd)'

# --- load
mkfifo "$TMP/in"
holds() {		# a task of node a holds a CPU until it can read from the pipe
	at a rlua -e 'local rota = require "rota" rota.get(rota.task(function(f) io.open(f):read "a" end)(os.getenv "TMP" .. "/in"))' >"$TMP/out" 2>&1 & task=$!
	until_lists b '1.0 1;' cpus_free,workers cpus=2
}
check 'others see that a CPU is in use' holds
lets_go() { : >"$TMP/in"; wait "$task" || { cat "$TMP/out"; return 1; }; until_lists b '2.0;' cpus_free cpus=2; }
check 'and that it is free again' lets_go

# --- one is killed, one is stopped while its worker computes
daemon() { cat "/proc/$1/task/$1/children"; }
busy() {
	at a rlua -e 'local rota = require "rota"
		print(select(2, rota.pget(rota.task(function() while true do end end)())))' >"$TMP/out" 2>&1 & task=$!
	for _ in $(seq 200); do
		worker=$(at a rstat workers -o pid state=running) && [ -n "$worker" ] && return
		sleep 0.05
	done
	return 1
}
check 'a worker computes' busy
ends_alone() {
	b=$(pid_of b) a=$(pid_of a)
	# shellcheck disable=SC2046
	kill -9 "$b" $(daemon "$b"); kill -STOP "$a" $(daemon "$a")
	gone "$worker" && grep -q '^State:.T' "/proc/$(daemon "$a" | tr -d ' ')/status"
}
check 'workers of a stopped node end by themselves' ends_alone
dead='2.0 dead nothing was heard of it for 2.1 s;3.0 dead it was disconnected for 2.1 s;4.0 alive -;'
check 'both are dead' until_lists h "$dead" cpus,state,why
check 'rgcs says so' said h 'is dead: it was disconnected for 2.1 s'
check 'what they had is not counted' prints 4 at h rlua -e 'print(require "rota".resources().cpus)'
goes_on() {		# its programs hear why; it comes back as another node
	# shellcheck disable=SC2046
	kill -CONT "$a" $(daemon "$a")
	wait "$task"
	grep -q 'the node was given up by its cluster: ' "$TMP/out" || { cat "$TMP/out"; return 1; }
	said a "joined $lab as node " && until_lists h '2.0;' cpus state=alive cpus=2
}
check 'one that goes on is a new one' goes_on
run() { at "$1" rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'; }
check 'and works' prints 42 run a

leaves() { kill "$(pid_of h)"; gone "$(pid_of h)" && until_lists a '2.0;' cpus state=alive; }
check 'one that ends by itself is gone at once' leaves

# --- without rgcs: its machine says that nobody listens, so nobody gives us up
waits() {		# longer than the limit
	at a rlua -e 'local rota = require "rota"
		local double = rota.task(function(x) return 2 * x end)
		rota.get(double(1))
		io.open(os.getenv "TMP" .. "/in", "w"):write "ready\n":close()
		local t, n = os.time() + 4, 0
		while os.time() < t do n = n + rota.get(double(1)) / 2 end
		print(n > 0)' >"$TMP/out" 2>&1 & task=$!
	read -r _ <"$TMP/in"
	kill -9 "$(cat "$TMP/rgcs")"
	wait "$task" && prints true cat "$TMP/out" || { cat "$TMP/out" "$TMP/a/err"; return 1; }
}
again() { rm "$TMP/h/pid"; head "$lab" && said a "joined $lab again" && until_lists a '2.0;' cpus; }
[ -z "${ROTA_LONG-}" ] || { check 'a node goes on while rgcs is away' waits; check 'and is the same when it is back' again; }

older() {		# its state was put back from a copy that knows less than was told
	db=$(find "$TMP/h/state" -name gcs.db)
	for copy in '' 1 ''; do
		[ -z "$copy" ] || cp "$db" "$TMP/copy"
		kill -9 "$(cat "$TMP/rgcs")"; : >"$TMP/a/err"
		head "$lab" && said a "joined $lab again" || return
	done
	kill -9 "$(cat "$TMP/rgcs")"; cp "$TMP/copy" "$db"
	head "$lab" && said a 'the control store is an older one, started ' && said a "joined $lab as node" && prints 42 run a
}
[ -z "${ROTA_LONG-}" ] || check 'who knew a later state does not go by an older one' older

kill "$(pid_of a)" "$(cat "$TMP/rgcs")"
gone "$(pid_of a)"; gone "$(cat "$TMP/rgcs")"
done_testing
