#!/bin/sh
# faults_far.t - what rota-faults(7) says of several machines: a driver, a daemon, a whole node that dies while its work is done elsewhere
. "${0%/*}/lib.sh"
umask 077
key=$TMP/lab.key pids=''
trap 'kill $pids 2>/dev/null; wait; rm -rf "$TMP"' EXIT
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
lists() {		# lists DIR STATES: the nodes that it knows, within 20 s
	for _ in $(seq 400); do
		got=$(at "$1" rstat nodes -o node,state | sort -n | cut -f2 | paste -sd' '); [ "$got" = "$2" ] && return
		sleep 0.05
	done
	echo "lists: $got"; return 1
}
daemon() { tr -d ' ' <"/proc/$(cat "$TMP/$1/pid")/task/$(cat "$TMP/$1/pid")/children"; }
node="rlet -l --store 32M --key $key --listen 127.0.0.1:0"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 1.5s
lab=$line
check 'a node with next to no CPU' start a $node -c 0.001 --join "$lab"
check 'one with two' start b $node -c 2 --join "$lab"
check 'they know each other' lists a 'alive alive'
mkfifo "$TMP/up"
cat >"$TMP/work.lua" <<'END'
-- twenty tasks elsewhere; the first two say who runs them, and each takes a moment
local rota = require "rota"
local slow = rota.task(function(i, up)
	if i < 3 and rota.context().attempt == 1 then
		local f = io.open(up, "a")
		local s = io.open "/proc/self/stat"
		f:write(s:read "n", "\n")
		f:close() s:close()
		rota.sleep(i == 1 and 600 or 0.5)
	end
	rota.sleep(0.05)
	return i
end)
local refs = {}
for i = 1, 20 do refs[i] = slow(i, os.getenv "UP") end
local s = 0
for _, v in ipairs(rota.get(refs)) do s = s + v end
print(s)
END
work() {		# in the background, its pid $job; $worker runs a task that sleeps for long
	UP=$TMP/up ROTA_DIR=$TMP/a/run ROTA_ADDRESS=local rlua "$TMP/work.lua" >"$TMP/work" 2>&1 & job=$!
	pids="$pids $job"
	exec 5<>"$TMP/up"
	read -r worker <&5 && read -r other <&5
	exec 5<&-
}
driver() {
	work
	kill -9 "$job"
	timeout 10 tail -s 0.02 --pid="$worker" -f /dev/null && timeout 10 tail -s 0.02 --pid="$other" -f /dev/null || return
	wait "$job"
	for _ in $(seq 100); do
		[ -z "$(at b rstat workers -o pid)" ] && return
		sleep 0.05
	done
	at b rstat workers; return 1
}
check 'a driver: its workers elsewhere end' driver
there() {
	work
	kill -9 "$(daemon b)"
	gone "$worker" && wait "$job" && prints 210 cat "$TMP/work" || { cat "$TMP/work" "$TMP/b/err"; return 1; }
}
check 'the daemon where they run: tried again' there
same() { lists a 'alive alive'; }
check 'the node is the same' same
here() {
	work
	kill -9 "$(daemon a)"
	gone "$worker" && wait "$job" && prints 210 cat "$TMP/work" || { cat "$TMP/work" "$TMP/a/err"; return 1; }
}
check 'the daemon of who waits: tried again' here
whole() {		# another node does it
	work
	d=$(daemon b) && kill -9 "$(cat "$TMP/b/pid")" "$d" && gone "$worker" || return
	start c $node -c 2 --join "$lab"
	wait "$job" && prints 210 cat "$TMP/work" && lists a 'alive dead alive' || { cat "$TMP/work" "$TMP/a/err"; return 1; }
}
check 'a whole node: tried again at another one' whole
why() { at a rstat nodes -o why state=dead | grep -q '^it was disconnected for 1\.[5-9] s$\|^nothing was heard of it for 1\.[5-9] s$' || at a rstat nodes -o why state=dead; }
check 'which is said' prints '' why
done_testing
