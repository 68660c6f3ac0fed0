#!/bin/sh
# crash_zygote.t - the process that forks workers is killed under load: the node starts another one, tasks are tried again
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
check 'under load' timeout -k 5 ${ROTA_LONG:+30}60 rlua t/crash/zygote.lua "${SEED-}"
sed -n 's/^# seed/# zygote: seed/p' "$TMP/log"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
