#!/bin/sh
# crash_worker.t - workers are killed at any moment under load: every result is right, nothing stays behind
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/worker.lua "${SEED-}"
sed -n 's/^# seed/# worker: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
