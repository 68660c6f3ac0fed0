#!/bin/sh
# rmap_run.t - what items are given, and that nothing stays behind when workers, items, readers or rmap itself end
. "${0%/*}/lib.sh"
mark=$$.7						# sleep 1000$mark is one of ours

none_left() {		# all that we started as items is gone, within a moment
	timeout 5 sh -c 'while pgrep -f "[s]leep 1000'"$mark"'" >/dev/null; do :; done' || { pgrep -af "[s]leep 1000$mark"; return 1; }
}
died() {		# died SIGNAL-NUMBER CMD...: killed by it, as the shell sees it
	want=$((128 + $1)) got=0; shift; "$@" || got=$?
	[ "$got" -eq "$want" ] || { echo "status $got, not $want"; return 1; }
}
interrupt() {		# interrupt SIGNAL: rmap with two endless items, each of which makes a child; then the signal
	rm -f "$TMP/up"; mkfifo "$TMP/up"
	# shellcheck disable=SC2016
	rmap -j 2 -s 'sleep 1000'"$mark"' & echo {} >'"$TMP"'/up; wait' ::: a b &
	job=$!
	{ read -r _; read -r _; } <"$TMP/up"
	kill -"$1" "$job"
	wait "$job"
}

# --- what items are given
check 'environment' prints 'x y' env FOO=x rmap -s 'echo $FOO {}' ::: y
check 'a node that runs already gives none of its own' sh -c '
	BAR=1 rmap -c 0 -s "echo \$BAR; : {}; env FOO=2 rmap -s \"echo \\\$FOO; : {}\" ::: b" ::: a >$TMP/out && printf "1\n2\n" | cmp - $TMP/out'
check '-E NAME=VALUE' prints 'a=b' sh -c 'rmap -E FOO=a=b -s "echo \$FOO; : {}" ::: x'
check '-E none' prints '' sh -c 'FOO=1 rmap -E none -s "echo \$FOO; : {}" ::: x'
check '-E none -E NAME' prints '1' sh -c 'FOO=1 rmap -E none -E FOO -s "echo \$FOO; : {}" ::: x'
check 'ROTA_KEY stays here' prints '' sh -c 'ROTA_KEY=/k rmap -s "echo \$ROTA_KEY; : {}" ::: x'
check 'ROTA_SEQ ROTA_SLOT ROTA_ATTEMPT' prints '1 1 1' rmap -s 'echo $ROTA_SEQ $ROTA_SLOT $ROTA_ATTEMPT; : {}' ::: x
printf '%s\n' '# two of them' '' 'FOO=b c' 'PASSED' >"$TMP/vars"
check '--env-file: NAME=VALUE sets, NAME passes, # is left out' prints "b c on" \
	sh -c 'PASSED=on rmap --env-file $TMP/vars -E none -s "echo \$FOO \$PASSED; : {}" ::: x'
check '-E after --env-file: the last one counts' prints 'd' sh -c 'rmap --env-file $TMP/vars -E FOO=d -s "echo \$FOO; : {}" ::: x'
check '--env-file that is not there: 2' exits 2 sh -c 'rmap --env-file $TMP/none true ::: x 2>/dev/null'
check '--env-file: a line that is no variable' says "$TMP/odd:2: expected NAME or NAME=VALUE" \
	sh -c 'printf "A=1\n=2\n" >$TMP/odd; rmap --env-file $TMP/odd true ::: x'
if [ "$(nproc)" -gt 1 ]; then
	check 'OMP_NUM_THREADS is the CPUs of -c' prints 2 sh -c 'unset OMP_NUM_THREADS; rmap -c 2 -s "echo \$OMP_NUM_THREADS; : {}" ::: x'
	check 'or if the caller has set it' prints 7 sh -c 'OMP_NUM_THREADS=7 rmap -c 2 -s "echo \$OMP_NUM_THREADS; : {}" ::: x'
fi
check 'and left alone without -c' prints '' sh -c 'unset OMP_NUM_THREADS; rmap -s "echo \$OMP_NUM_THREADS; : {}" ::: x'
gpus() {		# items on a node with GPUs see those that -g gave them, others none
	serve rlet -p --socket g.sock -c 4 -g 4 --ready-fd 3
	a=unix:$ROTA_DIR/g.sock
	CUDA_VISIBLE_DEVICES=all rmap -A "$a" -g 2 -s 'echo "$CUDA_VISIBLE_DEVICES"; : {}' ::: x >"$TMP/gpu"
	CUDA_VISIBLE_DEVICES=all rmap -A "$a" -s 'echo "none:$CUDA_VISIBLE_DEVICES"; : {}' ::: x >>"$TMP/gpu"
	kill "$pid"; wait "$pid"; pid=
	CUDA_VISIBLE_DEVICES=all rmap -s 'echo "$CUDA_VISIBLE_DEVICES"; : {}' ::: x >>"$TMP/gpu"
	prints "$(printf '0,1\nnone:\nall')" cat "$TMP/gpu"
}
check 'CUDA_VISIBLE_DEVICES: what -g gave, none without it; the caller'"'"'s on a node without GPUs' gpus
check 'directory' prints / sh -c 'cd / && rmap -s "pwd; : {}" ::: x'
check '--wd' prints /usr rmap --wd /usr -s 'pwd; : {}' ::: x
check 'umask' prints 0027 sh -c 'umask 027; rmap -s "umask; : {}" ::: x'
check 'ulimit -n' prints 77 sh -c 'ulimit -Sn 77; rmap -s "ulimit -n; : {}" ::: x'
check 'descriptors: 0 1 2 only' prints '0 1 2 3' sh -c 'rmap ls /proc/self/fd ::: . 2>/dev/null | grep "^[0-9]" | xargs'
check 'stdin is empty' prints 0 sh -c 'echo data | rmap -s "wc -c; : {}"'
check 'a process group of its own, in no terminal'"'"'s' prints 'own none' sh -c 'rmap -s "test \$(ps -o pgid= -p \$\$) = \$\$ && echo own \$(ps -o tpgid= -p \$\$ | sed s/.*-1/none/); : {}" ::: x'
no_tty() {		# an item does not get the terminal
	command -v script >/dev/null || return 0
	script -qec 'rmap -s "( : </dev/tty ) 2>/dev/null && echo has || echo has none; : {}" ::: x' /dev/null </dev/null | tr -d '\r' | grep -qx 'has none'
}
check 'items do not get the terminal' no_tty
check '> /dev/stderr in an item' prints 'a
b' sh -c 'rmap -s "echo a >/dev/stderr; echo b >&2; : {}" ::: 1 2>&1'

# --- at once
check '-j N runs N at once, beyond the CPUs too' sh -c '
	mkfifo $TMP/f1 $TMP/f2 $TMP/f3 $TMP/f4
	timeout 20 rmap -j 5 -s "case {} in 1) for i in 1 2 3 4; do read x <$TMP/f\$i; done;; *) echo >$TMP/f\$(({} - 1));; esac" ::: 1 2 3 4 5'
check '-j 0: no limit' sh -c '
	mkfifo $TMP/g; timeout 20 rmap -j 0 -s "case {} in 20) for i in \$(seq 19); do read x; done <>$TMP/g;; *) echo >$TMP/g;; esac" ::: $(seq 20)'
check 'an item appears when it ends, while input is open' sh -c '
	mkfifo $TMP/in $TMP/out1; rmap echo <$TMP/in >$TMP/out1 & exec 3>$TMP/in; exec 4<$TMP/out1
	echo first >&3; read x <&4; test "$x" = first; r=$?; exec 3>&-; wait; exit $r'
check 'the same with -e' sh -c '
	mkfifo $TMP/in2 $TMP/out2; rmap -e "line .. 1" <$TMP/in2 >$TMP/out2 & exec 3>$TMP/in2; exec 4<$TMP/out2
	echo first >&3; read x <&4; test "$x" = first1; r=$?; exec 3>&-; wait; exit $r'

# --- ends
check 'a killed worker: the item runs again' prints '2 fine' \
	rmap -s 'test $ROTA_ATTEMPT = 2 || { kill -9 $PPID; sleep 1000'$mark'; }; echo $ROTA_ATTEMPT fine; : {}' ::: x
check 'what its item had started is gone' none_left
check 'a worker that is killed each time fails its item' says "item 1: worker" \
	sh -c 'rmap -s "kill -9 \$PPID; sleep 1000'$mark'; : {}" ::: x 2>&1 | head -1 >&2'
check 'killed workers among many items' prints "$(seq 60)" \
	sh -c 'seq 60 | rmap -k -s "test \$ROTA_ATTEMPT != 1 || test \$(({} % 20)) != 0 || kill -9 \$PPID; echo {}"'
check 'what an item leaves behind ends with it' prints 'left' \
	rmap -s 'sleep 1000'$mark' & setsid sleep 1000'$mark' & (setsid sleep 1000'$mark' &); echo left; : {}' ::: x
check 'it has' none_left
check 'output written by what it left is not another item'"'"'s' prints "$(for i in $(seq 50); do echo x$i; done)" \
	sh -c 'seq 50 | rmap -k -s "(while :; do echo bad; done) & echo x{}" | grep -v bad'
for s in TERM HUP; do
	n0=$([ $s = TERM ] && echo 15 || echo 1)
	check "$s ends rmap by $s" died "$n0" interrupt $s
	check "$s leaves no process" none_left
done
check 'INT ends rmap and its items' died 2 sh -c '
	trap - INT; mkfifo $TMP/upi; env --default-signal=INT rmap -j 2 -s "echo >'"$TMP"'/upi; exec sleep 1000'$mark'; : {}" ::: a b & p=$!
	{ read _; read _; } <$TMP/upi; kill -INT $p; wait $p'
check 'INT leaves no process' none_left
check 'TERM reaches items before KILL does' prints 'bye' sh -c '
	mkfifo $TMP/upt; rmap -s "trap \"echo bye >$TMP/bye; exit\" TERM; echo >$TMP/upt; sleep 1000'$mark' & wait; : {}" ::: a & p=$!
	read _ <$TMP/upt; kill -TERM $p; wait $p; cat $TMP/bye'
check 'killed rmap leaves no process' sh -c '
	mkfifo $TMP/upk; rmap -s "echo >$TMP/upk; exec sleep 1000'$mark'; : {}" ::: a & p=$!
	read _ <$TMP/upk; kill -9 $p; wait $p; true'
check 'it does not' none_left
check 'a reader that goes away ends it by PIPE, silently' prints 'y' \
	sh -c '{ yes | rmap echo; echo $? >$TMP/pipe; } 2>$TMP/pipe2 | head -1; test "$(cat $TMP/pipe)" = 141 && ! test -s $TMP/pipe2'
check 'three in a pipeline' prints "$(seq 2 2 400)" sh -c 'seq 200 | rmap -k -e line | rmap -k -s "echo \$(({} * 2))" | rmap -k -e line'
check 'a directory that is gone: 125' exits 125 sh -c 'mkdir $TMP/gone && cd $TMP/gone && rmdir $TMP/gone && rmap true ::: a 2>/dev/null'
done_testing
