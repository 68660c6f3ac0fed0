#!/bin/sh
# crash_stop.t - a process of each kind is stopped at any moment under load: it is waited for, the others go on
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
export XDG_STATE_HOME="$TMP/state"
check 'a private node under load' timeout -k 5 ${ROTA_LONG:+30}130 rlua t/crash/stop.lua "${SEED-}"
sed -n 's/^# seed/# stop: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
check 'a lasting node' rota up -q --store 256M
check 'under load' env LASTING=1 timeout -k 5 ${ROTA_LONG:+30}130 rlua t/crash/stop.lua "${SEED-}"
revive() {		# what a failed loop left stopped
	for p in /proc/[0-9]*; do
		case $(readlink "$p/exe" 2>/dev/null) in */rlet | */rgcs) ;; *) continue ;; esac
		tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qxF "ROTA_DIR=$ROTA_DIR" && kill -CONT "${p#/proc/}"
	done
}
revive
check 'it ends' rota down -q --force
rm -f "$ROTA_DIR/local.sock.lock"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
