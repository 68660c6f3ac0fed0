# groupfar.sh: placement groups of two bundles on two nodes, whose control store places them (groupfar.lua); all on this machine
dir=$(mktemp -d) || exit 1
pids=
trap 'kill $pids 2>/dev/null; wait; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
umask 077
start() {		# start DIR DAEMON...: until it is ready; $line is what it wrote then
	d=$dir/$1; shift
	mkdir -p "$d"
	rm -f "$dir/ready"; mkfifo "$dir/ready"
	ROTA_DIR=$d XDG_STATE_HOME=$d/state "$@" --ready-fd 3 3>"$dir/ready" 2>>"$dir/err" &
	pids="$pids $!"
	read -r line <"$dir/ready" || { cat "$dir/err" >&2; exit 1; }
}
start g rgcs --listen 127.0.0.1:0 --key "$dir/key"
lab=$line
for k in a b; do start $k rlet -l -c 2 --store 64M --key "$dir/key" --listen 127.0.0.1:0 --join "$lab"; done
ROTA_DIR=$dir/a ROTA_ADDRESS=local rlua groupfar.lua
