#!/bin/sh
# crash_reign.t - the daemon of a node is killed: another one takes over
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/reign.lua "${SEED-}"
sed -n 's/^# seed/# reign: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"

rm -rf "$ROTA_DIR" && mkdir "$ROTA_DIR"
check 'while objects go to the disk and come back' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/reignspill.lua "${SEED-}"
sed -n 's/^# seed/# reignspill: seed/p' "$TMP/log"
check 'nothing is left of that' t/leaks.sh "$ROTA_DIR"
check 'nor in the directory for them' [ ! -e "$ROTA_DIR/spill" ]

rm -rf "$ROTA_DIR" && mkdir "$ROTA_DIR"
check 'actors, groups, sets and keys of an ephemeral node' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/reignstate.lua "${SEED-}"
check 'nothing is left of those' t/leaks.sh "$ROTA_DIR"
state_of_a_lasting_one() {
	XDG_STATE_HOME=$TMP/state1 rota up -q -c 4 --store 64M >/dev/null &&
	REIGN_LASTING=1 timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/reignstate.lua "${SEED-}" && rota down
}
check 'and of a lasting one' state_of_a_lasting_one

rm -rf "$ROTA_DIR" && mkdir "$ROTA_DIR"
check 'while objects move within a fragmented store' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/fragment.lua "${SEED-}" kill
sed -n 's/^# seed/# fragment: seed/p' "$TMP/log"
check 'nothing is left of those' t/leaks.sh "$ROTA_DIR"

# a lasting node: what it keeps, names and times too, and what the control store knows
keeps() {
	XDG_STATE_HOME=$TMP/state rota up -q -c 2 --store 8M >/dev/null &&
	seq 100000 | robj put -q --name numbers >/dev/null && echo an hour | robj put -q --name hour --ttl 1h >/dev/null &&
	echo gone | robj put -q --name gone >/dev/null && robj rm gone || return
	for i in 1 2 3 4; do	# over what fits the store
		seq $((i * 1000000)) $((i * 1000000 + 400000)) | robj put -q --name "big$i" >/dev/null || return
	done
	rlua -e 'require "rota".kv:put("key", "value")' || return
	for r in 1 2 3; do
		p=$(rstat nodes -o pid) && kill -9 "$p" || return
		[ "$(robj ls -o name | sort | xargs)" = "big1 big2 big3 big4 hour numbers" ] || { robj ls; return 1; }
		[ "$(robj get numbers | tail -1)" = 100000 ] && [ "$(robj get hour)" = "an hour" ] || return
		for i in 1 2 3 4; do
			[ "$(robj get "big$i" | cksum)" = "$(seq $((i * 1000000)) $((i * 1000000 + 400000)) | cksum)" ] || { echo "big$i"; return 1; }
		done
		robj ls -J | grep -q '"name":"hour".*"ttl":3[56]' || { robj ls -J; return 1; }
		[ "$(rlua -e 'local rota = require "rota" print((rota.kv:get "key"), rota.get(rota.task(function() return 7 end)()))')" = "value	7" ] || return
		[ "$p" != "$(rstat nodes -o pid)" ] || return
	done
	robj rm big1 big2 big3 big4 hour numbers && [ -z "$(robj ls)" ] && rstat objects && [ -z "$(rstat objects)" ]
}
check 'a lasting node keeps its objects, their names, and the keys' keeps
check 'and can be ended' rota down
done_testing
