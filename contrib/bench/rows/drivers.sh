#!/bin/sh
# drivers.sh N NAME CMD...: runs N at once on one node, each as CMD... I N START, and prints the sum of their rates
# The drivers share the node of ROTA_DIR.  All begin to measure at START, by the clock that never steps.
n=$1 name=$2; shift 2
start=$(rlua -e 'print(require "rota".now() + 1)')
i=0
{
	while [ $i -lt "$n" ]; do
		i=$((i + 1))
		"$@" $i "$n" "$start" &
	done
	wait
} | awk -v name="$name" -v n="$n" '$1 == "rate" { sum += $2; k++ } END { if (k != n) exit 1; print name, sum }'
