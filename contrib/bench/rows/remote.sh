#!/bin/sh
# remote.sh sync|pipelined|object|broadcast - the path between nodes: hosts of t/net.sh, their nodes, and beside them TLS with nothing
# else around it (contrib/bench/tls.c) between the same two hosts.  The program's own node has next to no CPU.  Needs root.
here=$PWD net=$PWD/../../../t/net.sh
dir=$(mktemp -d) || exit 1
NET=$dir/net key=$dir/key
export NET
hosts=3 cpus=1 store=256M
case $1 in object) hosts=2 store=2500M ;; broadcast) hosts=9 store=600M ;; esac
trap 'OWNER=$$ $net down; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
OWNER=$$ $net up $hosts || exit
umask 077
start() {		# start K DAEMON...: until it is ready
	k=$1; shift
	rm -f "$dir/ready"; mkfifo "$dir/ready"
	$net exec "$k" "$@" --ready-fd 3 </dev/null 3>"$dir/ready" 2>>"$dir/err" &
	read -r _ <"$dir/ready" || { cat "$dir/err" >&2; exit 1; }
}
start 1 rgcs --dir "$dir/state" --listen h1 --key "$key"
for k in $(seq $hosts); do
	[ "$k" = 1 ] && own=0.001 || own=$cpus
	start "$k" rlet -l -c $own --store $store --key "$key" --join h1 --listen :7412
done
head -c 32 /dev/urandom >"$dir/secret"
$net exec 2 "$O/contrib/bench/tls" serve "$dir/secret" >"$dir/serves" &
until [ -s "$dir/serves" ]; do sleep 0.02; done
bare() { $net exec 1 "$O/contrib/bench/tls" "$1" 10.77.0.2 "$dir/secret" "$2"; }
program() { $net exec 1 env ROTA_ADDRESS=local "LUA_PATH=$here/?.lua;$LUA_PATH" rlua "$here/remote.lua" "$@"; }
sent() { $net exec 1 awk '$1 == "eth0:" { print $10 }' /proc/net/dev; }
case $1 in
sync)
	a=$(bare echo 0.5) r=$(program sync $hosts) b=$(bare echo 0.5)
	echo "$r $a $b" | awk '{ e = ($2 + $3) / 2; print "remote-sync", $1; print "tls-echo", e; print "remote-sync-echo", $1 / e }' ;;
pipelined) echo "remote-pipelined $(program pipelined $hosts)" ;;
object)
	a=$(bare copy 1024) r=$(program object $hosts) b=$(bare copy 1024)
	echo "$r $a $b" | awk '{ c = ($2 > $3 ? $2 : $3) / 1e9; print "remote-1G-speed", $1; print "tls-copy", c; print "remote-1G", $1 / c }' ;;
broadcast)
	program broadcast $hosts >"$dir/out" || exit
	sed 's/^/broadcast-time /' "$dir/out"
	echo "broadcast $(sent)" | awk '{ print $1, $2 / (256 * 1048576) }' ;;
esac
