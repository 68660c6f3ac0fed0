#!/bin/sh
# crash_set.t - members of sets, zygote, daemon and drivers are killed at any moment: membership is right afterwards, nothing is left
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}120 rlua t/crash/set.lua "${SEED-}"
sed -n 's/^# seed/# set: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
