#!/bin/sh
# abroad_more.t - cancelling, times, streams and what else goes between a task and its submitter, with a node between them
. "${0%/*}/lib.sh"
umask 077
key=$TMP/lab.key pids=''
trap 'kill $pids 2>/dev/null; wait; rm -rf "$TMP"' EXIT

at() {			# at DIR CMD...: with the directories of that machine
	d=$TMP/$1; shift
	ROTA_DIR=$d/run XDG_STATE_HOME=$d/state ROTA_ADDRESS=local "$@"
}
start() {		# start DIR DAEMON...: until it is ready; $line is what it wrote then, its stderr is DIR/err
	dir=$1; shift
	mkdir -p "$TMP/$dir/run"
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	ROTA_DIR=$TMP/$dir/run XDG_STATE_HOME=$TMP/$dir/state "$@" --ready-fd 3 3>"$TMP/ready" 2>>"$TMP/$dir/err" &
	pid=$!; pids="$pids $pid"
	read -r line <"$TMP/ready"
}
knows() {		# knows DIR N: it lists so many nodes
	for _ in $(seq 200); do
		[ "$(at "$1" rstat nodes -o state state=alive 2>"$TMP/o" | wc -l)" -eq "$2" ] && return
		sleep 0.05
	done
	at "$1" rstat nodes; return 1
}
lua() {			# lua NAME: t/abroad/NAME.lua, as a driver of a, passes
	at a timeout 60 rlua "${0%/*}/abroad/$1.lua" >"$TMP/out" 2>&1 && return
	grep -v '^ok' "$TMP/out"; tail -n 5 "$TMP/b/err"; return 1
}
node="rlet -l --store 64M --key $key --listen 127.0.0.1:0"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 60s
lab=$line
check 'a node with next to no CPU' start a $node -c 0.001 --join "$lab"
check 'one with four' start b $node -c 4 --join "$lab"
check 'it knows the other one' knows a 2
check 'cancelling and times' lua cancel
check 'streams' lua stream
done_testing
