#!/bin/sh
# leaks.sh DIR - nothing of a node in DIR is left a moment after its last program: no process, no socket, no file but the lock
dir=$1
ours() {			# our programs whose ROTA_DIR it is
	for p in $(grep -lzxF "ROTA_DIR=$dir" /proc/[0-9]*/environ 2>/dev/null); do
		p=${p%/environ}
		case $(readlink "$p/exe" 2>/dev/null) in */rlet | */rwork | */rgcs | */rlua) echo "${p#/proc/}" ;; esac
	done
}
for p in $(ours); do		# they are given their time, all together 5 s
	timeout "${left:-5}" tail -s 0.02 --pid="$p" -f /dev/null || left=0.1
done
bad=0
for p in $(ours); do bad=1; echo "left: process $p $(tr '\0' ' ' <"/proc/$p/cmdline")"; done
[ ! -d "$dir" ] || files=$(find "$dir" -mindepth 1 ! -name lock ! -name '*.lock')
[ -z "$files" ] || { bad=1; echo "left: $files"; }
exit $bad
