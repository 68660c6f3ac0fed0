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
shown() {		# each line once, with its prefix; repeats are counted over all nodes
	at a timeout 60 rlua "${0%/*}/abroad/prints.lua" 2>"$TMP/lines" || { cat "$TMP/lines"; return 1; }
	for i in 1 2 3 4 5 6 7 8; do
		[ "$(grep -c "^t/abroad/prints.lua:5 [0-9]*| hello	$i\$" "$TMP/lines")" -eq 1 ] || { cat "$TMP/lines"; return 1; }
	done
	[ "$(grep -c '| line ' "$TMP/lines")" -eq 10000 ] && grep '| line ' "$TMP/lines" | sort -c -k 4n &&
	[ "$(sed -n 's/.*| same \[\([0-9]*\) more.*/\1/p; s/.*| same$/1/p' "$TMP/lines" | awk '{ n += $1 } END { print n }')" -eq 8 ] &&
	[ "$(grep -c '| last words' "$TMP/lines")" -eq 1 ] &&
	grep '^error: ' "$TMP/lines" | grep SIGKILL | grep -q 'it printed last: last words' && return
	grep -v '| line ' "$TMP/lines"; return 1
}
check 'what tasks print' shown
slow() {		# a driver that does not read its stderr blocks nobody, and what finds no room stays in the file
	rm -f "$TMP/fifo" "$TMP/go"; mkfifo "$TMP/fifo" "$TMP/go"
	GO=$TMP/go at a timeout 60 rlua -e '
		local rota = require "rota"
		rota.get(rota.task(function() for i = 1, 30000 do print(i, ("y"):rep(50)) end end)())
		local f = io.open(os.getenv "GO", "w") f:write "all\n" f:close()
		local g = io.open(os.getenv "GO") g:read() g:close()' 2>"$TMP/fifo" &
	job=$!
	exec 4<"$TMP/fifo"
	read -r said <"$TMP/go" && [ "$said" = all ] || return 1
	cat <&4 >"$TMP/lines" &
	cat=$!
	echo on >"$TMP/go"
	wait "$job" || return 1
	exec 4<&-
	wait "$cat"
	[ "$(grep -c '| [0-9]*	y*$' "$TMP/lines")" -eq 30000 ] || { wc -l "$TMP/lines"; tail -n 3 "$TMP/lines"; return 1; }
}
check 'a driver whose stderr is not read' slow
done_testing
