#!/bin/sh
# net_fence.t - a host that is cut off ends its own work, is given up by the others, and is a new node when it is back
. "${0%/*}/lib.sh"
NET=$TMP/net net=t/net.sh key=$TMP/lab.key
export NET ROTA_STORE=64M
trap '$net down; rm -rf "$TMP"' EXIT
OWNER=$$ $net up 2 2>"$TMP/why" || { [ $? -eq 77 ] && skip_all "$(tail -1 "$TMP/why")"; cat "$TMP/why"; exit 1; }
start() {		# start K DAEMON...: until it is ready; its stderr is NET/K/err
	k=$1; shift
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	$net exec "$k" "$@" --ready-fd 3 3>"$TMP/ready" 2>>"$NET/$k/err" &
	read -r _ <"$TMP/ready" || { cat "$NET/$k/err"; return 1; }
}
said() {		# said K TEXT: waits for it on its stderr
	timeout 20 sh -c "tail -n +1 -f '$NET/$1/err' | grep -qm1 -F -e '$2'" || { cat "$NET/$1/err"; return 1; }
}
until_prints() {	# until_prints TEXT CMD...: within 10 s
	want=$1; shift
	for _ in $(seq 200); do
		got=$("$@" 2>&1) && [ "$got" = "$want" ] && return
		sleep 0.05
	done
	echo "prints: $got"; return 1
}
check 'the control store' start 1 rgcs --listen h1 --key "$key" --dead-after 1.5s
check 'its own node' start 1 rlet -l -c 1 --key "$key" --listen :0
check 'one of another host' start 2 rlet -l -c 2 --join h1 --key "$key" --listen :0
check 'it is told by which address it can be reached' until_prints 10.77.0.2 \
	sh -c '$0 exec 1 rstat nodes -o address cpus=2 | cut -d: -f1' "$net"
busy() {
	$net exec 2 rlua -e 'local rota = require "rota"
		print(select(2, rota.pget(rota.task(function() while true do end end)())))' >"$TMP/out" 2>&1 & task=$!
	until_prints running $net exec 2 rstat workers -o state
	worker=$($net exec 2 rstat workers -o pid)
}
check 'work runs there' busy
cut_off() { $net cut 2; said 2 'h1 was not heard for 1.'; }
check 'cut off it stops' cut_off
ended() {
	until_prints gone $net exec 2 sh -c "kill -0 $worker 2>/dev/null || echo gone"
	wait "$task" && grep -q 'the node was given up by its cluster: h1 was not heard' "$TMP/out" || { cat "$TMP/out"; return 1; }
}
check 'its workers have ended, and its programs know why' ended
check 'the others are told that it is dead' said 1 'node 2 (h2) is dead: nothing was heard of it for 1.5 s'
check 'and what it had does not count' until_prints 1 $net exec 1 rlua -e 'print(require "rota".resources().cpus)'
back() { $net heal 2; said 2 'joined h1 as node 3'; }
check 'back it is a new one' back
check 'which works' until_prints 42 $net exec 2 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'
list() { $net exec 1 rstat nodes -o state,node | sort | tr '\t\n' ' ;'; }
check 'and is listed beside the dead one' until_prints 'alive 1;alive 3;dead 2;' list
done_testing
