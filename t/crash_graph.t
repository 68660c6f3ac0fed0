#!/bin/sh
# crash_graph.t - actors in compiled graphs, and drivers that compiled one, are killed: who waits is told who died and how
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/graph.lua "${SEED-}"
sed -n 's/^# seed/# graph: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
