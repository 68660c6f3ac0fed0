#!/bin/sh
# crash_stream.t - tasks and methods that stream are killed at any moment: their consumers see each item once and in order
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/stream.lua "${SEED-}"
sed -n 's/^# seed/# stream: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
