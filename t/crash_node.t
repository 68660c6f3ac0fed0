#!/bin/sh
# crash_node.t - the node is killed: its programs are told at once, its workers end, the next program has a new one
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/node.lua "${SEED-}"
sed -n 's/^# seed/# node: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
