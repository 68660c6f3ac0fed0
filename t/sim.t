#!/bin/sh
# sim.t - what many machines decide together holds under all that fails, by a few hundred seeds; a seed replays exactly; planted bugs are found
. "${0%/*}/lib.sh"
sim=$O/t/sim/sim
[ -x "$sim" ] || skip_all "no $sim: make check builds it"
seeds=200
[ -z "${ROTA_LONG-}" ] || seeds=10000

replays() {		# the whole trace, and the hash of it
	for seed in 1 42; do
		"$sim" -f "$seed" -n 1 -t >"$TMP/a" && "$sim" -f "$seed" -n 1 -t >"$TMP/b" || return
		sed -i '$d' "$TMP/a" "$TMP/b"		# the speed
		[ "$(wc -l <"$TMP/a")" -gt 100 ] && tail -1 "$TMP/a" | grep -q 'hash [0-9a-f]*$' && cmp "$TMP/a" "$TMP/b" || return
	done
}
differ() { [ "$("$sim" -f 7 -n 1 | sed -n 's/.*hash//p')" != "$("$sim" -f 8 -n 1 | sed -n 's/.*hash//p')" ]; }
finds() {		# every planted bug, or the first of each core
	command -v patch >/dev/null || { echo 'no patch(1)'; return 1; }
	t/sim/find -n 5000 t/sim/bugs/*.patch >"$TMP/found" || { cat "$TMP/found"; return 1; }
	sed 's/^/# /' "$TMP/found" >&3
}
check "$seeds seeds" "$sim" -q -n "$seeds"
check 'a seed replays exactly' replays
check 'another one is another history' differ
if [ -x "$O/san/t/sim/sim" ]; then
	check 'no fault of memory in any of some seeds' "$O/san/t/sim/sim" -q -n "$((seeds / 30))"
fi
if [ -n "${ROTA_LONG-}" ]; then
	check 'planted bugs are found' finds 3>&1
fi
done_testing
