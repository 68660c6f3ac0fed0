#!/bin/sh
# chaos.t - half a minute of six hosts under load that are killed, cut off and slowed (make check-long; make chaos MINUTES=10 for longer)
. "${0%/*}/lib.sh"
[ -n "${ROTA_LONG-}" ] || skip_all 'make check-long or make chaos'
TMP=$TMP NET=$TMP/net t/net.sh up 1 2>"$TMP/why" || { [ $? -eq 77 ] && skip_all "$(tail -1 "$TMP/why")"; cat "$TMP/why"; exit 1; }
NET=$TMP/net t/net.sh down
check 'results, keys, processes, files and memory are as they must be' t/chaos/run 0.5
grep '^# ' "$TMP/log"
done_testing
