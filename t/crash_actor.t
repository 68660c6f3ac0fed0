#!/bin/sh
# crash_actor.t - actors are killed at any moment: calls run once and in order, or fail and say that they may have run
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/actor.lua "${SEED-}"
sed -n 's/^# seed/# actor: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
