#!/bin/sh
# crash_driver.t - drivers with 10,000 tasks queued are killed: all of it is gone, for the others nothing changes
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/driver.lua "${SEED-}"
sed -n 's/^# seed/# driver: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
