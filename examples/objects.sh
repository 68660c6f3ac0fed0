#!/bin/sh
# objects.sh - the object store from the shell: put once, read from every process, in memory
dir=$(mktemp -d) || exit 1			# a node of its own, so that yours stays as it is
ROTA_DIR=$dir/rota XDG_STATE_HOME=$dir/state
export ROTA_DIR XDG_STATE_HOME
trap 'rota down -q; rm -rf "$dir"' EXIT
rota up -q >/dev/null || exit 1			# objects belong to a node: without one that stays they would be gone at once

id=$(seq 1000000 | robj put) || exit 1
robj cat "$id" | tail -1
#> 1000000
robj cat "$id" | wc -c
#> 6888896
robj rm "$id"
robj cat "$id" 2>/dev/null || echo gone
#> gone
