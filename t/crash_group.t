#!/bin/sh
# crash_group.t - workers and drivers with placement groups are killed: what was set aside comes back, all of it
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/group.lua "${SEED-}"
sed -n 's/^# seed/# group: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
