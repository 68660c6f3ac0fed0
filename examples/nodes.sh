#!/bin/sh
# nodes.sh - a cluster by hand: a control store, two nodes that join it with its key, and what each of them knows of the other
# On machines of their own the nodes need no ROTA_DIR, and --join and --listen name those; 'rota up' does all this by itself.
umask 077
dir=$(mktemp -d) || exit 1
mkdir "$dir/head" "$dir/one" "$dir/two"
trap 'kill $pids; wait; rm -rf "$dir"' EXIT
begin() {		# begin NAME DAEMON...: as on a machine of its own, until it serves; it says where
	here=$dir/$1; shift
	mkfifo "$here/ready"
	ROTA_DIR=$here XDG_STATE_HOME=$here "$@" --key "$dir/key" --ready-fd 3 3>"$here/ready" 2>"$here/log" & pids="${pids-} $!"
	read -r address <"$here/ready"
}
begin head rgcs -q --listen 127.0.0.1:0 --dead-after 10s
store=$address
begin one rlet -l -q --name one -c 2 --store 64M --join "$store" --listen 127.0.0.1:0 --label disk=nvme --label zone=eu
begin two rlet -l -q --name two -c 4 --store 64M --join "$store" --listen 127.0.0.1:0 --label zone=us -R ssd=2

export ROTA_ADDRESS="unix:$dir/one/local.sock"
until [ "$(rstat nodes | wc -l)" -eq 2 ]; do :; done		# whoever joins is known to all within a moment
rstat nodes -o cpus,state,labels | sed 's/node=[^,]*,*//'
#> 2.0	alive	disk=nvme,zone=eu
#> 4.0	alive	zone=us
rlua -e 'local r = require "rota".resources() print(r.cpus, r.ssd)'
#> 6	2

rlua -e '						-- tasks choose nodes by what they have and what they are called
	local rota = require "rota"
	local where = rota.task(function() return rota.context().node end)
	local function at(opts) return rota.get(where:with(opts)()) end
	print(at{resources={ssd=1}}, at{labels={zone="eu"}}, at{labels={disk="!nvme"}}, at{node="three", fallback={node="one"}})'
#> two	one	two	one
rmap --on zone=us sh -c 'echo "$1 on $ROTA_NODE"' - ::: item
#> item on two
