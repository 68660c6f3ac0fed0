#!/bin/sh
# abroad_group_dies.t - placement groups while the control store, a node's daemon and a node are killed at random times
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
dies() { at a env G="$g" B="$b" C="$c" ROUNDS="$rounds" SEED="$seed" timeout 110 rlua "${0%/*}/abroad/groups_die.lua" >"$TMP/out" 2>&1 ||
	{ echo "SEED=$seed"; grep -v '^ok' "$TMP/out"; tail -n 20 "$TMP"/?/err; return 1; }; }
rounds=${ROTA_LONG:+20} rounds=${rounds:-1} seed=${SEED:-$$}
node="rlet -l --store 64M --key $key --listen 127.0.0.1:0 -c 2"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 3s
lab=$line g=$pid
check 'a node' start a $node --name a --join "$lab"
check 'another one' start b $node --name b --join "$lab"
b=$pid
check 'a third one' start c $node --name c --join "$lab"
c=$pid
check 'they know each other' knows a 3
check 'groups' dies
done_testing
