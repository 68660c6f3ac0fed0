#!/bin/sh
# crash_chan.t - the daemon of a node is killed: channels go on between programs that live
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'channels of programs that live' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/chan.lua "${SEED-}"
sed -n 's/^# seed/# chan: seed/p' "$TMP/log"
check 'references and long messages under way' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/chanrefs.lua "${SEED-}"
sed -n 's/^# seed/# chanrefs: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
