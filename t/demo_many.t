#!/bin/sh
# demo_many.t - the word index of examples/ over the nodes of six hosts: the same counts as of zcat, tr, sort and uniq (make check-long)
. "${0%/*}/lib.sh"
[ -n "${ROTA_LONG-}" ] || skip_all 'make check-long'
NET=$TMP/net net=t/net.sh key=$TMP/lab.key hosts=6
export NET
trap '$net down; rm -rf "$TMP"' EXIT
OWNER=$$ $net up $hosts 2>"$TMP/why" || { [ $? -eq 77 ] && skip_all "$(tail -1 "$TMP/why")"; cat "$TMP/why"; exit 1; }
umask 077
start() {		# start K DAEMON...: until it is ready; its stderr is NET/K/err
	k=$1; shift
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	$net exec "$k" "$@" --ready-fd 3 3>"$TMP/ready" 2>>"$NET/$k/err" &
	read -r _ <"$TMP/ready" || { cat "$NET/$k/err"; return 1; }
}
there() {		# all know of all
	for _ in $(seq 200); do
		all=0
		for k in $(seq $hosts); do [ "$($net exec "$k" rstat nodes -o node state=alive | wc -l)" -eq $hosts ] && all=$((all + 1)); done
		[ $all -eq $hosts ] && return
		sleep 0.1
	done
	return 1
}
nodes() { for k in $(seq $hosts); do start "$k" rlet -l -c 2 --store 128M --key "$key" --join h1 --listen :7412 || return; done; there; }
check 'the control store' start 1 rgcs --dir "$TMP/state" --listen h1 --key "$key"
check 'nodes of six hosts' nodes
find /usr/share/man /usr/share/common-licenses /usr/share/doc -type f -readable \
	\( ! -path '/usr/share/doc/*' -o -name copyright -o -name 'changelog*' \) -print0 2>/dev/null | head -z -n "${DOCS:-3000}" >"$TMP/list"
old() {
	echo >"$TMP/newline"
	sed -z "s|\$|\\x00$TMP/newline|" "$TMP/list" | xargs -0 zcat -f | tr -cs A-Za-z '\n' | tr A-Z a-z | sort | uniq -c |
		awk 'NF == 2 { print $2 "\t" $1 }' >"$TMP/old"
}
check 'the pipe of old' old
same() { cmp "$TMP/old" "$1" || { diff "$TMP/old" "$1" | head -4; return 1; }; }
index() { timeout 200 $net exec 1 env ROTA_ADDRESS=local TMPDIR="$TMP" rlua examples/wordindex.lua "$TMP/list" "$TMP/lua" && same "$TMP/lua"; }
check 'Lua tasks and actors count the same' index
grep -a words "$TMP/log" | sed 's/^/# /'
# shellcheck disable=SC2016
worked() {		# how many of the other hosts had workers that computed: what those that have ended had used is their zygote's
	took=0
	for k in $(seq 2 $hosts); do
		$net exec "$k" sh -c 'awk "{ exit !(\$16 + \$17 > 10) }" "/proc/$(pgrep -of "rwork --zygote")/stat"' && took=$((took + 1))
	done
	[ $took -ge 3 ] || { echo "$took other hosts did"; return 1; }
}
check 'other hosts had a part in it' worked
# shellcheck disable=SC2016
shell() {		# what examples/wordindex.sh runs, on the hosts that there are
	newline=$TMP/newline timeout 200 $net exec 1 env ROTA_ADDRESS=local rmap -0 -n 64 -s 'for f in {}; do printf "%s\0%s\0" "$f" "$newline"; done |
		xargs -0 zcat -f | tr -cs A-Za-z "\n" | tr A-Z a-z | sort | uniq -c' <"$TMP/list" |
		awk 'NF == 2 { n[$2] += $1 } END { for (w in n) print w "\t" n[w] }' | LC_ALL=C sort >"$TMP/sh" && same "$TMP/sh"
}
check 'the same pipe through rmap, too' shell
done_testing
