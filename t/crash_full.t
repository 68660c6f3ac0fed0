#!/bin/sh
# crash_full.t - memory, the store, its disk, descriptors, processes and the disk of logs run out: a clear error or waiting, then all is well again
. "${0%/*}/lib.sh"
command -v rlua >/dev/null || skip_all 'needs rlua'
umask 077
mkdir -p "$ROTA_DIR" "$TMP/disk"
group='' mounted='' mounted2=''
away() {
	ended
	[ -z "$mounted" ] || umount "$TMP/disk"
	[ -z "$mounted2" ] || umount -l "$TMP/logs"
	[ -z "$group" ] || for i in 1 2 3 4 5; do rmdir "$group" 2>/dev/null && break; timeout 0.2 tail -f /dev/null; done
	rm -rf "$TMP"
}
trap away EXIT
ended() {			# the node of a run that failed: the next one finds its sockets, the disk is in use
	[ -z "$pid" ] || { kill "$pid" 2>/dev/null; gone "$pid"; }
	pid=
}
node() { ended; serve "$@" rlet -p -c 2 --ready-fd 3 $opts; }
run() {			# run WHAT: the loop, and the node ends by itself
	timeout -k 5 ${ROTA_LONG:+30}70 rlua t/crash/full.lua "$1" ${SEED:+"$SEED"} || return
	exits 0 wait "$pid" && pid=
}
tell() { sed -n "s/^# seed/# $1: seed/p" "$TMP/log"; }
few() { ulimit -n 160 && exec "$@"; }

opts='-m 150M --store 64M'
node env && check 'memory' run memory
tell memory
opts='--store 32M'
node env ROTA_SPILL=/dev/null/none && check 'the store, nothing can be moved' run arena
tell arena
if mount -t tmpfs -o size=20M none "$TMP/disk" 2>/dev/null; then
	mounted=1
	node env ROTA_SPILL="$TMP/disk" && check 'the store and its disk' run disk
	tell disk
	check 'the disk is empty again' test -z "$(ls -A "$TMP/disk")"
else
	echo '# a small disk needs the right to mount one: left out'
fi
mkdir -m 700 "$TMP/logs"
if mount -t tmpfs -o size=400k,mode=700 none "$TMP/logs" 2>/dev/null; then
	mounted2=1 dir=$ROTA_DIR ROTA_DIR=$TMP/logs
	logs() { run logs 2>"$TMP/lines"; }
	whole() {		# the end of a line may be lost, but none is mixed with another, and once there was room they came again
		! grep -vaE '^[^ ]+ [0-9]+\| (r[0-9.]+|again[0-9.]*)?( [0-9]+)? ?x*$|^[^ ]+ [0-9]+\| [ra][a-z0-9.]*$|^rota: lines of worker [0-9]+ are lost: .*No space left on device$' "$TMP/lines" |
			head -5 | grep . || return
		[ "$(grep -c 'again\.[0-9]* 1 x*$' "$TMP/lines")" -ge 4 ] || { grep -a again "$TMP/lines"; return 1; }
	}
	node env && check 'the disk of what tasks print' logs
	tell logs
	check 'each line is one of its own' whole
	ROTA_DIR=$dir
else
	echo '# a small disk needs the right to mount one: left out'
fi
if [ "$mounted" ]; then
	export XDG_STATE_HOME="$TMP/disk"
	state() {
		rota up -q -c 2 && head -c 19000000 /dev/zero >"$TMP/disk/fill" || return
		timeout 60 rlua t/crash/fullstate.lua "$TMP/disk/fill"
		left=$? && rota down -q --force && [ "$left" = 0 ]
	}
	check 'the disk of the control store' state
fi
opts='--store 64M'
node few && check 'descriptors' run descriptors
tell descriptors
for d in /sys/fs/cgroup/pids /sys/fs/cgroup; do		# version 1, or 2
	mkdir "$d/rota-test.$$" 2>/dev/null || continue
	if echo 40 2>/dev/null >"$d/rota-test.$$/pids.max"; then group=$d/rota-test.$$; break; fi
	rmdir "$d/rota-test.$$"
done
if [ "$group" ]; then
	inside() { exec sh -c 'g=$1; shift; echo $$ >"$g/cgroup.procs" && exec "$@"' - "$group" "$@"; }
	node inside && check 'processes' run processes
	tell processes
else
	echo '# a limit of processes needs a control group: left out'
fi
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
