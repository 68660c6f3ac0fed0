#!/bin/sh
# abroad_objects.t - objects between nodes when a node vanishes, and when there is less room than they need
. "${0%/*}/lib.sh"
. "${0%/*}/machines.sh"
node="rlet -l --key $key --listen 127.0.0.1:0"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 3s
lab=$line
check 'a node with next to no CPU' start a $node --store 32M -c 0.001 --join "$lab"
check 'one with two' start b $node --store 32M -c 2 --join "$lab"; b=$pid
check 'both are known' knows a 2
lua() { at a timeout 60 rlua "${0%/*}/abroad/$1.lua" >"$TMP/$1" 2>&1 || { grep -v '^ok' "$TMP/$1"; cat "$TMP"/*/err; return 1; }; }
check 'more than fits' lua spill
check 'another one' start c $node --store 32M -c 2 --join "$lab"
check 'all are known' knows a 3
check 'tasks go where their arguments are' lua near
lost() {
	mkfifo "$TMP/die" "$TMP/dead"
	DIE=$TMP/die DEAD=$TMP/dead at a timeout 60 rlua "${0%/*}/abroad/lost.lua" >"$TMP/lost" 2>&1 & job=$!
	cat "$TMP/die"
	vanish "$b"
	: >"$TMP/dead"
	wait "$job" || { grep -v '^ok' "$TMP/lost"; cat "$TMP"/*/err; return 1; }
}
check 'a node that vanishes' lost
check 'one more' start d $node --store 32M -c 4 --join "$lab"; d=$pid
check 'it is known' knows a 3
drained() {		# d holds values that nobody else has; it is told to drain, has nothing any more, and vanishes
	number=$(at a rstat nodes -o node | sort -n | tail -1)
	rm -f "$TMP/die" "$TMP/dead"; mkfifo "$TMP/die" "$TMP/dead" "$TMP/scale"
	DIE=$TMP/die DEAD=$TMP/dead at a timeout 60 rlua "${0%/*}/abroad/drain.lua" >"$TMP/drain" 2>&1 & job=$!
	cat "$TMP/die"
	at a rota follow <"$TMP/scale" >"$TMP/follow" 2>&1 & follow=$!
	exec 4>"$TMP/scale"
	printf 'types \ndrains %s\n' "$number" >&4
	for _ in $(seq 200); do
		left=$(at a rstat nodes -o kept,state node="$number")
		[ "$left" = "0	draining" ] && break
		sleep 0.05
	done
	[ "$left" = "0	draining" ] || { at a rstat nodes -o node,kept,arena_used,state; cat "$TMP/follow"; }
	vanish "$d"
	exec 4>&-
	wait "$follow"
	: >"$TMP/dead"
	wait "$job" || { grep -v '^ok' "$TMP/drain"; cat "$TMP"/*/err; return 1; }
}
check 'a node that drains' drained
done_testing
