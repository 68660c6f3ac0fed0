#!/bin/sh
# gcs_far.t - the control store of several nodes is killed again and again: it comes back by itself, work between nodes goes on, nodes agree afterwards
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
said() {		# said DIR TEXT N: waits until its stderr has that in N lines
	for _ in $(seq 400); do
		[ "$(grep -cF -e "$2" "$TMP/$1/err")" -ge "${3-1}" ] && return
		sleep 0.05
	done
	cat "$TMP/$1/err"; return 1
}
list() { at "$1" rstat nodes -o node,cpus,state | sort -n | tr '\t\n' ' ;'; }
lists() {		# lists DIR TEXT: it does within 20 s
	for _ in $(seq 400); do
		got=$(list "$1" 2>&1); [ "$got" = "$2" ] && return
		sleep 0.05
	done
	echo "lists: $got"; echo "not: $2"; return 1
}
daemon() { tr -d ' ' <"/proc/$1/task/$1/children"; }
killed=0
kill_store() {		# the daemon, not its keeper: another one serves at the same port
	was=$(daemon "$(cat "$TMP/g/pid")")
	[ -n "$was" ] || return
	kill -9 "$was" && gone "$was" || return
	killed=$((killed + 1))
	said g 'the control store died of signal 9: it is started again' $killed
}
node="rlet -l --store 64M --key $key --listen 127.0.0.1:0"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key"
lab=$line
check 'a node with next to no CPU' start a $node -c 0.001 --join "$lab"
check 'one with two' start b $node -c 2 --join "$lab"
check 'they know each other' lists a '1 0.001 alive;2 2.0 alive;'
mkfifo "$TMP/up"
work() {		# tasks of node a run on b until $TMP/enough is there; a watch and a set go on, too
	UP=$TMP/up ENOUGH=$TMP/enough at a timeout 100 rlua t/crash/gcsfar.lua >"$TMP/work" 2>&1 & job=$!
	timeout 30 head -n 1 "$TMP/up" >/dev/null || { cat "$TMP/work"; return 1; }
}
check 'work between them' work
again() {
	for i in 1 2 3; do
		kill_store && said a "joined $lab again" $i && said b "joined $lab again" $i || return
	done
}
check 'killed three times it comes back, at the same port' again
at_once() {		# dead before it serves
	kill_store || return
	for _ in 1 2; do
		now=
		until [ -n "$now" ]; do now=$(daemon "$(cat "$TMP/g/pid")"); done
		kill -9 "$now" && gone "$now" || return
	done
	said a "joined $lab again" 4 && said b "joined $lab again" 4
}
check 'killed while it starts, too' at_once
held() {		# one that joins while the store is stopped waits for it
	now=$(daemon "$(cat "$TMP/g/pid")")
	kill -STOP "$now"
	mkdir -p "$TMP/c/run"; rm -f "$TMP/c/ready"; mkfifo "$TMP/c/ready"
	ROTA_DIR=$TMP/c/run XDG_STATE_HOME=$TMP/c/state $node -c 3 --join "$lab" --ready-fd 3 3>"$TMP/c/ready" 2>"$TMP/c/err" &
	pids="$pids $!"
	for _ in $(seq 400); do		# its connection is in the queue of the stopped one
		ss -tn state established 2>/dev/null | grep -q " $lab *$" && break
		sleep 0.02
	done
	kill -9 "$now"
	[ "$(timeout 20 head -c 1 "$TMP/c/ready" | wc -c)" -eq 1 ] || { cat "$TMP/c/err"; return 1; }
}
check 'a node that joins meanwhile' held
all='1 0.001 alive;2 2.0 alive;3 3.0 alive;'
agree() { lists a "$all" && lists b "$all" && lists c "$all"; }
check 'nodes agree about who is there' agree
ends() { : >"$TMP/enough"; wait "$job" || { cat "$TMP/work"; return 1; }; grep -v '^ok\|^1\.\.' "$TMP/work" && return 1; return 0; }
check 'nothing of the work was lost' ends
new() { prints 42 at a timeout 60 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'; }
check 'new programs are served' new
check 'TERM ends it' exits 0 sh -c 'kill "$1"; timeout 20 tail -s 0.02 --pid="$1" -f /dev/null' - "$(cat "$TMP/g/pid")"
check 'and leaves no socket' [ ! -e "$TMP/g/run/gcs.sock" ]
done_testing
