#!/bin/sh
# objects.sh - the object store from the shell: put once, read from every process, in memory
rota up -q >/dev/null || exit 1			# objects belong to a node, so one has to stay
trap 'rota down -q' EXIT

id=$(seq 1000000 | robj put) || exit 1
robj cat "$id" | tail -1
#> 1000000
robj cat "$id" | wc -c
#> 6888896
robj rm "$id"
robj cat "$id" 2>/dev/null || echo gone
#> gone
