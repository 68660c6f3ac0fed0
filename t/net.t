#!/bin/sh
# net.t - the hosts that other tests stand on: they see each other, can be cut off, killed and booted, and leave nothing
. "${0%/*}/lib.sh"
NET=$TMP/net net=t/net.sh
export NET
trap '$net down; rm -rf "$TMP"' EXIT
OWNER=$$ $net up 3 2>"$TMP/why" || { [ $? -eq 77 ] && skip_all "$(tail -1 "$TMP/why")"; cat "$TMP/why"; exit 1; }
hears() {		# hears K ADDRESS [SECONDS]: an echo in time
	$net exec "$1" perl -MNet::Ping -e '$to = shift; exit !Net::Ping->new($to =~ /:/ ? "icmpv6" : "icmp", shift)->ping($to)' "$2" "${3-5}"
}
runs() { grep -qs '^State:.[^Z]' "/proc/$1/status"; }
deaf() { ! hears "$1" "$2" 0.1; }
check 'a host has its name' prints h2 $net exec 2 uname -n
check 'its status is ours' exits 7 $net exec 2 sh -c 'exit 7'
check '1 hears 3' hears 1 10.77.0.3
check 'over IPv6' hears 1 fd77::3
check 'by name' $net exec 1 getent hosts h3
check 'nobody else is there' deaf 1 192.0.2.1
cut() { $net cut "$@" && deaf 1 10.77.0.3; }
check '1 is cut off' cut 1
check '1 is back' eval '$net heal 1 && hears 1 10.77.0.3'
check '1 and 3 are parted' cut 1 3
check 'in the other direction and over IPv6' deaf 3 fd77::1
check '1 and 2 are not' hears 1 10.77.0.2
check '1 and 3 are no longer' eval '$net heal 1 3 && hears 3 fd77::1 && hears 1 10.77.0.3'
slow() { $net slow 2 100mbit - - && $net slow 2 - - - && hears 2 10.77.0.1; }
check 'slower, and as it was' slow
own() { $net exec 1 sh -c 'echo 1 >~/f && [ -e /run/user/0 ]' && [ "$(cat "$NET/1/home/f")" = 1 ] && [ ! -e ~/f ]; }
check 'its files are its own' own
first=$($net pid 3)
killed() { mkfifo "$TMP/on"; $net exec 3 sh -c 'echo >"$TMP/on"; exec sleep 1000' & s=$!; read -r _ <"$TMP/on"; $net kill 3 && wait "$s"; [ $? -eq 137 ] && ! runs "$first"; }
check 'a host is killed with all that runs there' killed
check 'and booted' eval '$net boot 3 && hears 3 10.77.0.1'
again() { OWNER=$$ NET=$TMP/other $net up 1 && prints h1 env NET="$TMP/other" $net exec 1 uname -n && NET=$TMP/other $net down; }
check 'another net beside it' again
swept() {		# of whom nobody is left to call down
	sleep 1000 & owner=$!
	OWNER=$owner NET=$TMP/lost $net up 1 || return
	lost=$(NET=$TMP/lost $net pid 1)
	$net sweep && [ -e "/proc/$lost" ] || return
	kill "$owner"; wait "$owner" 2>/dev/null
	$net sweep && [ ! -e "$TMP/lost" ] && ! runs "$lost"
}
check 'a net is swept when its owner is gone, not before' swept
hosts=$($net pid 1; $net pid 2; $net pid 3)
down() { $net down && [ ! -e "$NET" ] && for p in $hosts; do ! runs "$p" || return 1; done; }
check 'down leaves nothing' down
check 'down once more' $net down
done_testing
