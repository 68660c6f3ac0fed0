#!/bin/sh
# soak.t - two minutes of mixed load with kills leave the node as it was (make check-long; make soak MIN=30 for longer)
. "${0%/*}/lib.sh"
[ -n "${ROTA_LONG-}" ] || skip_all 'make check-long or make soak'
check 'memory, descriptors, arena and processes do not grow' t/soak/run 2
grep '^# ' "$TMP/log"
done_testing
