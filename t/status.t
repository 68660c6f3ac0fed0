#!/bin/sh
# status.t - one table of exit statuses for all programs: 0 1 2 124 125 126 127, the command's own, and deaths by signals
. "${0%/*}/lib.sh"
XDG_STATE_HOME=$TMP/state ROTA_STORE=64M
export XDG_STATE_HOME ROTA_STORE
trap 'test -z "$pid" || kill "$pid" 2>/dev/null; rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
umask 077
mkdir -p "$ROTA_DIR"

# --- no node yet: 125 with one line, by all that start none
for c in 'robj put /etc/passwd' 'robj get x' 'robj cat x' 'robj exec x true' 'robj ls' 'robj show x' 'robj wait x' 'robj du' 'robj rm x' rstat 'rstat nodes'; do
	check "125 and a line, and no node is started: $c" says 'no node is running' $c
	check "its status" exits 125 $c
done
check 'what they did not do is start one' [ ! -e "$ROTA_DIR/shared.sock" ]
check 'nor does rota ls, which is fine with none' prints '' rota ls
check 'rmap starts one' exits 0 rmap true ::: a
check 'and rlua at its first call' prints 3 rlua -l rota -e 'print(rota.get(rota.put(3)))'
check 'an address of nobody: 125' exits 125 rmap -A unix:/nowhere true ::: a
check 'no permission: 125' sh -c 'mkdir -m 755 $TMP/open; ROTA_DIR=$TMP/open rmap true ::: a 2>$TMP/e; test $? = 125 && grep -q "has mode 0755, expected 0700" $TMP/e'
rota up -q -c 2 >/dev/null

# --- 0, 1, 2
check '1 is that something failed; how many says the summary' exits 1 rmap -s 'exit 9; : {}' ::: a b c
check 'the summary: how many of how many, the first one' says "rmap: 3 of 3 failed; first: item 1 'a': exit 9" rmap -k -j 1 -s 'exit 9; : {}' ::: a b c
check 'and a line by its number and text' says "rmap: 1 of 20 failed; first: line 17 'x.log': exit 2" \
	sh -c '{ seq 16; echo x.log; seq 3; } | rmap -s "test {} != x.log || exit 2"'
check 'the summary comes with -q too, off a terminal' says "1 of 1 failed" rmap -q false ::: a
on_tty() { command -v script >/dev/null || return 0; script -qec 'rmap -q false ::: a; echo status $?' /dev/null </dev/null | tr -d '\r' >"$TMP/o"; prints 'status 1' cat "$TMP/o"; }
check 'on one -q is quiet' on_tty
check 'the job log has each status' prints '3 0' sh -c 'rmap -k -j 1 --joblog $TMP/jl -s "exit {}" ::: 3 0 2>/dev/null; tail -n +2 $TMP/jl | cut -f 7 | xargs'
check 'the answer is no: 1' exits 1 robj get nobody
check 'no page speaks of it: 1' exits 1 rota help xyzzy-nothing
for c in 'rmap --nix' 'rmap' 'rmap -j x true' 'robj' 'robj nix' 'robj ls x' 'rstat nix' 'rstat nodes x' 'rota nix' 'rota ls x' 'rota up --nix' 'rlet' 'rlet -p x' 'rgcs x' 'rlua --nix'; do
	check "2 is wrong usage: $c" exits 2 $c
done
check 'an expression that does not parse: 2' exits 2 rmap -e 'line *' ::: a
check 'a regular expression: 2' exits 2 rmap -C '(' echo ::: a

# --- 124, 126, 127, the command's own
check '124: our own limit' exits 124 rmap -t 50ms sleep ::: 1000
check '124: robj wait -t' exits 124 robj wait -t 50ms nobody
check 'some failed otherwise: 1' exits 1 rmap -t 100ms -s 'exec sleep {}' ::: 1000 x
check '126: it cannot be run' exits 126 rmap /etc/passwd ::: a
check '127: it is not found, which is known before the first item' sh -c 'echo "touch $TMP/no" | rmap no-such-program; test $? = 127'
check '125: what no node can give' exits 125 rmap -R ssd=1 true ::: a
check 'within a second, with what is missing' says 'needs 1 ssd; this node has 0' timeout 2 rmap -R ssd=1 true ::: a
check 'the command that decided it: --halt now,fail=1' exits 7 rmap -j 1 --halt now,fail=1 -s 'exit {}' ::: 0 7 0
check '--halt soon,fail=1' exits 7 rmap -j 1 --halt soon,fail=1 -s 'exit {}' ::: 0 7 0
check 'one that was run: robj exec' exits 6 sh -c 'robj exec $(echo x | robj put) sh -c "exit 6"'
check 'which is not found: 127' exits 127 sh -c 'robj exec $(echo x | robj put) no-such-program'
check 'an item that ends with 125 is no 125 of ours' exits 1 rmap -s 'exit 125; : {}' ::: a
check '-J tells them apart' prints '"status":125' sh -c 'rmap -J -s "exit 125; : {}" ::: a 2>/dev/null | grep -o "\"status\":[0-9]*"'

# --- signals
dies() {		# dies SIGNAL STATUS CMD...: once it runs (it opens $TMP/up) the signal ends it, within two seconds
	sig=$1 want=$2; shift 2
	rm -f "$TMP/up"; mkfifo "$TMP/up"
	env --default-signal=INT "$@" >"$TMP/o" 2>"$TMP/e" & pid=$!
	read -r _ <"$TMP/up"
	from=$(date +%s%N)
	kill -"$sig" "$pid"
	exits "$want" wait "$pid" || { pid=; cat "$TMP/e"; return 1; }
	pid=
	[ $((($(date +%s%N) - from) / 1000000)) -lt 5000 ] || { echo "it took $((($(date +%s%N) - from) / 1000000)) ms"; return 1; }
}
for s in INT:130 TERM:143 HUP:129; do
	check "rmap dies of ${s%:*}" dies "${s%:*}" "${s#*:}" rmap -s "echo >$TMP/up; exec sleep 1000; : {}" ::: a
	check "rlua dies of ${s%:*}" dies "${s%:*}" "${s#*:}" rlua -l rota -e "rota.init() io.open('$TMP/up', 'w'):close() rota.sleep(1000)"
done
twice() {		# an item that does not listen to TERM: the first INT waits for it a little, the second not at all
	rm -f "$TMP/up"; mkfifo "$TMP/up"
	env --default-signal=INT rmap -s "trap : TERM; echo >$TMP/up; while :; do sleep 1000; done; : {}" ::: a 2>/dev/null & pid=$!
	read -r _ <"$TMP/up"
	kill -INT "$pid"; kill -INT "$pid" 2>/dev/null
	exits 130 wait "$pid"; r=$?; pid=; return $r
}
check 'a second INT: no waiting' twice
daemon() {		# daemon SIGNAL CMD...: 0
	sig=$1; shift
	serve "$@" --ready-fd 3
	kill -"$sig" "$pid"
	exits 0 wait "$pid"; r=$?; pid=; return $r
}
for s in TERM INT; do
	check "rlet ends with 0 on $s" daemon $s rlet -p --socket d.sock
	check "rgcs ends with 0 on $s" daemon $s env ROTA_DIR="$TMP/g" sh -c 'mkdir -p -m 700 "$ROTA_DIR"; exec rgcs --dir "$TMP/gs" "$@"' sh
done
check 'rota down' rota down -q --force
done_testing
