# machines.sh - several nodes on this machine, each with directories of its own, for tests that source it after lib.sh
umask 077
key=$TMP/lab.key pids=''
trap 'kill $pids 2>/dev/null; wait; rm -rf "$TMP"' EXIT

at() {			# at DIR CMD...: with the directories of that machine
	machine=$TMP/$1; shift
	ROTA_DIR=$machine/run XDG_STATE_HOME=$machine/state ROTA_ADDRESS=local "$@"
}
start() {		# start DIR DAEMON...: until it is ready; $line is what it wrote then, $pid its process, its stderr is DIR/err
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
vanish() {		# vanish PID: a node ends as one does whose machine loses its power: its daemon, its workers and whoever looks after them
	all=$1; new=$1
	while [ -n "$new" ]; do
		new=$(ps -o pid= --ppid "$(echo $new | tr ' ' ,)" | tr -d ' ' | tr '\n' ' ')
		all="$all $new"
	done
	kill -KILL $all 2>/dev/null
	wait "$1" 2>/dev/null
	return 0
}
