#!/bin/sh
# crash_reign.t - the daemon of a node is killed: another one takes over
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/reign.lua "${SEED-}"
sed -n 's/^# seed/# reign: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
