#!/bin/sh
# crash_any.t - processes of any kind are killed at any moment under a mixed load, then the node is ended: nothing is left
. "${0%/*}/lib.sh"
umask 077
check 'under load' timeout -k 5 ${ROTA_LONG:+60}60 rlua t/crash/any.lua "${SEED-}"
sed -n 's/^# seed/# any: seed/p;s/^ok.*killed/# killed/p' "$TMP/log"
done_testing
