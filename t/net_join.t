#!/bin/sh
# net_join.t - nodes on hosts of their own join a control store on one of them over TCP, IPv4 and IPv6, also after a cut
. "${0%/*}/lib.sh"
NET=$TMP/net net=t/net.sh key=$TMP/lab.key
export NET ROTA_STORE=64M
trap '$net down; rm -rf "$TMP"' EXIT
OWNER=$$ $net up 3 2>"$TMP/why" || { [ $? -eq 77 ] && skip_all "$(tail -1 "$TMP/why")"; cat "$TMP/why"; exit 1; }
launch() {		# launch K DAEMON...: its stderr is NET/K/err, TMP/ready.K gets a line when it is ready
	k=$1; shift
	rm -f "$TMP/ready.$k"; mkfifo "$TMP/ready.$k"
	$net exec "$k" "$@" --ready-fd 3 3>"$TMP/ready.$k" 2>>"$NET/$k/err" &
}
ready() { read -r _ <"$TMP/ready.$1" || { cat "$NET/$1/err"; return 1; }; }
start() { launch "$@"; ready "$1"; }
run() { $net exec "$1" rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'; }
said() {		# said K TEXT: waits for it on its stderr
	timeout 20 sh -c "tail -n +1 -f '$NET/$1/err' | grep -qm1 -F -e '$2'" || { cat "$NET/$1/err"; return 1; }
}
store='rgcs --listen [::]:7411 --dead-after 60s --key'	# nobody is given up here, see net_fence.t
check 'the control store listens on host 1' start 1 $store "$key"
check 'its own node joins' start 1 rlet -l -c 1 --join 10.77.0.1:7411 --key "$key"
check 'that of host 2, by IPv4' start 2 rlet -l -c 1 --join h1 --key "$key"
parted() {		# joining waits for the network, which comes back
	$net cut 3
	launch 3 rlet -l -c 1 --join '[fd77::1]:7411' --key "$key"
	$net heal 3 && ready 3
}
check 'that of host 3, by IPv6, as soon as it is no longer cut off' parted
for k in 1 2 3; do check "tasks run on host $k" prints 42 run $k; done
# a program that runs needs the control store for nothing; a new one waits for it
cat >"$TMP/on.lua" <<'EOF'
local rota = require "rota"
local double = rota.task(function(x) return x * 2 end)
print(rota.get(double(1)))
io.stdout:flush()
for line in io.lines() do print(rota.get(double(tonumber(line)))) io.stdout:flush() end
EOF
attached() {
	mkfifo "$TMP/in" "$TMP/out"
	$net exec 2 stdbuf -oL rlua "$TMP/on.lua" <"$TMP/in" >"$TMP/out" 2>&1 &
	exec 8>"$TMP/in" 7<"$TMP/out"
	prints 2 timeout 20 sh -c 'read -r l; echo "$l"' <&7
}
asks() { echo "$1" >&8 && prints "$2" timeout 20 sh -c 'read -r l; echo "$l"' <&7; }
check 'a program on host 2' attached
check 'works on while its host is cut off' eval '$net cut 2 && asks 21 42'
check 'new ones work when it is back' eval '$net heal 2 && prints 42 run 2'
check 'host 1 is killed: the program works on' eval '$net kill 1 && asks 4 8'
back() { $net boot 1 && start 1 $store "$key" && said 2 'joined h1 again' && said 3 'joined [fd77::1]:7411 again'; }
check 'it is back: they join again' back
check 'and new programs work' prints 42 run 3
check 'the one from before too' asks 5 10
exec 7<&- 8>&-
done_testing
