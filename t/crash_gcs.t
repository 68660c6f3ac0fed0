#!/bin/sh
# crash_gcs.t - the control store of a lasting node is killed at any moment under load: work goes on, acknowledged state is all there
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR"
export XDG_STATE_HOME="$TMP/state"
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
check 'a lasting node' rota up -q --store 256M
check 'under load' timeout -k 5 ${ROTA_LONG:+30}90 rlua t/crash/gcs.lua "${SEED-}"
sed -n 's/^# seed/# gcs: seed/p' "$TMP/log"
check 'it ends' rota down -q
rm -f "$ROTA_DIR/local.sock.lock"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
