#!/bin/sh
# net.sh - hosts for tests, on this machine: each is a set of namespaces of its own (network, processes, mounts, name), all are
# joined by a bridge that lies in one more, and nothing of theirs reaches the machine or its network.  Needs root and iproute2.
#
#	net.sh up N [RATE] [DELAY] [LOSS]	makes hosts 1..N, 10.77.0.K and fd77::K, named h1..hN; exits 77 and says why where
#						that cannot be.  RATE 100mbit, DELAY 5ms, LOSS 1%; - for none
#	net.sh exec K CMD...			runs it there; HOME and XDG_RUNTIME_DIR are those of the host
#	net.sh cut K [J]	heal K [J]	parts host K from all others, or from J; packets are lost, no error is seen
#	net.sh slow K RATE DELAY LOSS		what leaves and what reaches K; - - - for as it was
#	net.sh kill K		boot K		ends all that runs there at once; starts it again with the files that it had
#	net.sh pid K				of its first process, as seen from here
#	net.sh down				ends and removes everything
#	net.sh sweep				the same for nets whose owner was killed
#
# A net is the directory NET, which must be named: NET/K/home and NET/K/run are that host's home of root and /run.  It belongs to
# the process that called 'up' (or OWNER).  Two nets know nothing of each other and have the same addresses.
# shellcheck shell=sh
me=$0
die() { echo "net.sh: $*" >&2; exit 1; }
skip() { echo "net.sh: $*" >&2; exit 77; }
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }	# of the process: its start, so that a number used again is seen
first() { cat "$NET/$1/pid" 2>/dev/null || die "no host $1 in '$NET'"; }
at() { k=$1; shift; nsenter -t "$(first "$k")" -n "$@"; }			# in the network of host k, 0: the bridge
others() { for d in "$NET"/[1-9]*/pid; do d=${d%/pid}; [ "${d##*/}" = "$1" ] || echo "${d##*/}"; done; }
PATH=$PATH:/usr/sbin:/sbin
home=$(getent passwd 0 | cut -d: -f6)

# hold K: the first process of a host, which reaps; its arguments say to sweep whose it is
hold() {
	d=$NET/$1
	mkdir -p "$d/home" "$d/run/sshd" "$d/run/user/0" || exit 1
	chmod 700 "$d/home" "$d/run/user/0"
	rm -f "$d/up"; mkfifo "$d/up" || exit 1
	# shellcheck disable=SC2016
	setsid unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc sh -c '
		cd / && hostname "h$1" && mount --bind "$2/$1/run" /run && mount --bind "$2/$1/home" "$3" && mount --bind "$2/hosts" /etc/hosts &&
		ip link set lo up && echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && echo ready >&3 || exit 1
		exec 3>&-
		while :; do sleep 1000000 & wait; done' rota-net "$1" "$NET" "$home" "$owner" </dev/null >"$d/err" 2>&1 3>"$d/up" &
	holder=$!
	read -r word <"$d/up" || word=
	rm -f "$d/up"
	[ "$word" = ready ] || { tail -1 "$d/err"; return 1; }
	echo "$holder" >"$d/holder"
	read -r p _ <"/proc/$holder/task/$holder/children"
	echo "$p" >"$d/pid"
}
plug() {		# plug K: its end of a cable is eth0, the bridge's hK
	p=$(first "$1")
	at 0 ip link delete "h$1" 2>/dev/null		# the kernel may not have done with the one before
	at 0 ip link add "h$1" type veth peer name eth0 address "02:00:00:00:01:$(printf %02x "$1")" netns "$p" && at 0 ip link set "h$1" master lan up &&
		at "$1" ip address add "10.77.0.$1/24" dev eth0 && at "$1" ip address add "fd77::$1/64" dev eth0 nodad && at "$1" ip link set eth0 up
}
slow() {		# slow K RATE DELAY LOSS
	for end in "$1 eth0" "0 h$1"; do
		k=${end% *} dev=${end#* } opt=''
		at "$k" tc qdisc delete dev "$dev" root 2>/dev/null
		[ "${2:--}" = - ] || opt="$opt rate $2"
		[ "${3:--}" = - ] || opt="$opt delay $3"
		[ "${4:--}" = - ] || opt="$opt loss $4"
		[ -n "$opt" ] || continue
		# shellcheck disable=SC2086
		at "$k" tc qdisc add dev "$dev" root netem $opt limit 100000 2>/dev/null && continue
		[ "$opt" = " rate $2" ] || echo "net.sh: this kernel has no netem: no delay and no loss at $dev of host $k" >&2
		[ "${2:--}" = - ] || at "$k" tc qdisc add dev "$dev" root tbf rate "$2" burst 256k latency 100ms 2>/dev/null ||
			echo "net.sh: this kernel has no tbf: no rate at $dev of host $k" >&2
	done
}
pair() {		# pair K J cut|heal: a neighbour at an address that nobody has; both ways
	for to in "$1 $2" "$2 $1"; do
		for a in 10.77.0. fd77::; do
			if [ "$3" = cut ]; then at "${to% *}" ip neighbour replace "$a${to#* }" lladdr 02:00:00:00:00:99 nud permanent dev eth0 || exit 1
			else at "${to% *}" ip neighbour delete "$a${to#* }" dev eth0 2>/dev/null; fi
		done
	done
	true			# there may have been nothing to undo
}
finish() {		# finish K...: with the first process the kernel ends all others of its namespace, before it is seen to be gone
	for k; do kill -9 "$(cat "$NET/$k/holder" 2>/dev/null)" "$(cat "$NET/$k/pid" 2>/dev/null)" 2>/dev/null; done
	for k; do
		timeout 10 sh -c 'while grep -qs "^State:.[^Z]" "/proc/$1/status"; do sleep 0.01; done' - "$(cat "$NET/$k/pid")"
		rm -f "$NET/$k/holder" "$NET/$k/pid"
	done
}

verb=${1-}
[ $# -eq 0 ] || shift
[ "$verb" = sweep ] || [ -n "${NET-}" ] || die 'NET names no directory'
case $verb in
up)
	[ "${1-0}" -ge 1 ] 2>/dev/null && [ "$1" -le 250 ] || die "expected a number of hosts, 1 to 250: '${1-}'"
	[ "$(id -u)" -eq 0 ] || skip 'needs root'
	for p in ip tc unshare nsenter; do command -v $p >/dev/null || skip "needs $p (iproute2, util-linux)"; done
	[ ! -e "$NET/hosts" ] || die "'$NET' is in use"
	mkdir -p "$NET" && NET=$(cd "$NET" && pwd) || exit 1
	: "${OWNER:=$PPID}"
	owner=$OWNER:$(born "$OWNER")
	{ echo '127.0.0.1 localhost'; echo '::1 localhost'; i=0
		while [ $i -lt "$1" ]; do i=$((i + 1)); echo "10.77.0.$i h$i"; echo "fd77::$i h$i-6"; done; } >"$NET/hosts"
	echo "$owner" >"$NET/owner"
	why=$(hold 0) || { "$me" down; skip "no namespaces here: $why"; }
	why=$( { at 0 ip link add name lan type bridge && at 0 ip link set lan up; } 2>&1) || { "$me" down; skip "no bridge here: $why"; }
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		hold $i && plug $i || { "$me" down; exit 1; }
		slow $i "${2--}" "${3--}" "${4--}"
	done
	;;
exec)
	p=$(first "$1") || exit 1; shift
	[ $# -gt 0 ] || die 'expected a command'
	unset ROTA_DIR XDG_STATE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME TMPDIR
	HOME=$home USER=root XDG_RUNTIME_DIR=/run/user/0 exec nsenter -t "$p" -n -m -p -u -i -W "$PWD" "$@"
	;;
cut)
	if [ $# -gt 1 ]; then pair "$1" "$2" cut; else first "$1" >/dev/null && at 0 ip link set "h$1" nomaster; fi
	;;
heal)
	if [ $# -gt 1 ]; then pair "$1" "$2" heal; exit 0; fi
	first "$1" >/dev/null && at 0 ip link set "h$1" master lan || exit
	for j in $(others "$1"); do pair "$1" "$j" heal; done
	;;
slow) first "$1" >/dev/null && slow "$1" "${2--}" "${3--}" "${4--}" ;;
kill) first "$1" >/dev/null && finish "$1" ;;
boot)
	[ -d "$NET/$1/run" ] && [ ! -e "$NET/$1/pid" ] || die "host '$1' runs, or never did"
	owner=$(cat "$NET/owner")
	rm -rf "$NET/$1/run"	# what a boot empties
	hold "$1" && plug "$1"
	;;
pid) first "$1" ;;
down)
	set --
	for d in "$NET"/*/pid; do [ ! -e "$d" ] || { d=${d%/pid}; set -- "$@" "${d##*/}"; }; done
	finish "$@"
	[ ! -e "$NET/owner" ] || rm -rf "$NET"
	;;
sweep)			# the first processes of hosts are known by their arguments
	for p in /proc/[0-9]*; do
		args=$(cat "$p/cmdline" 2>/dev/null | tr '\0\n' '\n ' | tail -5)
		[ "$(echo "$args" | sed -n 1p)" = rota-net ] || continue
		dir=$(echo "$args" | sed -n 3p) owner=$(echo "$args" | sed -n 5p)
		[ "$(born "${owner%:*}")" = "${owner#*:}" ] || { NET=$dir "$me" down; kill -9 "${p#/proc/}" 2>/dev/null; }
	done
	;;
*) sed -n '/^#	net/s/^#	//p' "$me" >&2; exit 2 ;;
esac
