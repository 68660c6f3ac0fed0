#!/bin/sh
# join.t - nodes join a control store over TCP with the cluster's key, and nobody else does
. "${0%/*}/lib.sh"
umask 077
mkdir "$TMP/h" "$TMP/a" "$TMP/b" "$TMP/c"
key=$TMP/lab.key pids=''
trap 'test -z "$pids" || kill $pids 2>/dev/null; wait; rm -rf "$TMP"' EXIT

at() {			# at DIR CMD...: with the directories of that machine
	d=$TMP/$1; shift
	ROTA_DIR=$d/run XDG_STATE_HOME=$d/state ROTA_ADDRESS=${address-local} "$@"
}
start() {		# start DIR DAEMON...: until it is ready; $line is what it wrote then, its stderr is DIR/err, its pid DIR/pid
	dir=$1; shift
	mkdir -p "$TMP/$dir/run"
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	ROTA_DIR=$TMP/$dir/run XDG_STATE_HOME=$TMP/$dir/state "$@" --ready-fd 3 3>"$TMP/ready" 2>>"$TMP/$dir/err" &
	echo $! >"$TMP/$dir/pid"; pids="$pids $!"
	read -r line <"$TMP/ready"
}
said() {		# said DIR TEXT: waits for a line of its stderr
	timeout 20 sh -c "tail -n +1 -f '$TMP/$1/err' | grep -qm1 -F -e '$2'" || { cat "$TMP/$1/err"; return 1; }
}
ends() { gone "$(cat "$TMP/$1/pid")"; }

check 'no key, no listener' says "no key, no listener" at h rgcs --listen 127.0.0.1:0
check 'an address that is none' says "cannot listen at '[::1': expected HOST, HOST:PORT" at h rgcs --listen '[::1' --key "$key"
head() { start h rgcs --no-restart --listen "${1-127.0.0.1:0}" --key "$key" --dead-after 30s; [ -n "$line" ]; }
check 'rgcs listens' head
lab=$line
check 'the key is its own, and nobody else reads it' prints '600' stat -c %a "$key"
check 'a key as the page has it' grep -qx 'rota-key-1:[A-Za-z0-9+/]*=' "$key"
check 'a node joins' start a rlet -l -c 2 --join "$lab" --key "$key"
check 'a second one, by a name' start b rlet -l -c 3 --join "localhost:${lab##*:}" --key "$key"
run() { at "$1" rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'; }
check 'tasks run on the one' prints 42 run a
check 'and on the other' prints 42 run b

# --- who has no key, or another one
printf 'rota-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n' >"$TMP/other.key"
check 'another key: both ids' says "refused our key ff52-7b72 (other.key); it accepts " \
	at c rlet -l --join "$lab" --key "$TMP/other.key"
check 'is 125' exits 125 at c rlet -l --join "$lab" --key "$TMP/other.key"
check 'rgcs says who' said h 'it offered a key that is not ours'
chmod 644 "$TMP/other.key"
check 'a key that others can read' says 'other.key' at c rlet -l --join "$lab" --key "$TMP/other.key"
check 'no such file' says 'none.key' at c rlet -l --join "$lab" --key "$TMP/none.key"
printf 'rota-key-1:AAEC\n' >"$TMP/short.key"
check 'a short key' says 'short.key' at c rlet -l --join "$lab" --key "$TMP/short.key"
check 'nobody listens' says "cannot join '127.0.0.1:1': Connection refused" at c rlet -l --join 127.0.0.1:1 --key "$key"
check 'no such host' says "cannot join 'nohost.invalid': " at c rlet -l --join nohost.invalid --key "$key"
stranger() {		# who speaks something else gets nothing, or an alert, and is hung up on
	timeout 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/${lab##*:}; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3" >"$TMP/got" || return
	[ "$(wc -c <"$TMP/got")" -le 7 ] || { od -c "$TMP/got"; return 1; }
}
check 'a stranger is hung up on' stranger
check 'the cluster does not notice' prints 42 run a
crowd() {		# 300 who connect and say nothing: nobody is kept out for long
	mkfifo "$TMP/crowd"
	perl -MIO::Socket::INET -e '
		$| = 1;
		push @s, IO::Socket::INET->new($ARGV[0]) || die $! for 1 .. 300;
		print "ready\n";
		sleep 60' "$lab" >"$TMP/crowd" 2>&1 & crowd=$!
	read -r line <"$TMP/crowd" && [ "$line" = ready ] || { echo "$line"; return 1; }
	pids="$pids $crowd"
	start c rlet -l -c 1 --store 32M --join "$lab" --key "$key"
	prints 42 run c || { cat "$TMP/c/err" "$TMP/h/err"; return 1; }
	kill "$crowd" "$(cat "$TMP/c/pid")"; ends c || { echo "c goes on"; return 1; }
}
check 'a crowd of them keeps nobody out for long' crowd

# --- the control store dies and comes back: its nodes join again
again() {
	kill -9 "$(cat "$TMP/h/pid")"; ends h
	head "$lab"
}
job() {		# the number of a new job
	at a rlua -e 'print(require("rota").context().job)'
}
hungup() {		# programs that start while the store hangs up on its nodes again and again: each asks for one job
	first=$(job) || return
	kill -9 "$(cat "$TMP/h/pid")"; ends h
	rm -f "$TMP/hung"; mkfifo "$TMP/hung"
	perl -MIO::Socket::INET -e '
		$| = 1;
		my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => $ARGV[0], ReuseAddr => 1) || die $!;
		print "ready\n";
		for (1 .. 6) { my $c = $s->accept; print "$_\n" if $c; close $c }' "$lab" >"$TMP/hung" 2>&1 &
	exec 4<"$TMP/hung"
	read -r said <&4 && [ "$said" = ready ] || { echo "$said"; return 1; }
	job >"$TMP/second" 2>&1 & second=$!
	while read -r said <&4; do :; done
	exec 4<&-
	head "$lab" && wait "$second" && third=$(job) || { cat "$TMP/second" "$TMP/a/err"; return 1; }
	[ "$(cat "$TMP/second") $third" = "$((first + 1)) $((first + 2))" ] || { echo "jobs $first, $(cat "$TMP/second"), $third"; return 1; }
}
check 'a store that hangs up on its nodes: new jobs are asked for once' hungup
check 'rgcs is killed and started again' again
check 'tasks run on' prints 42 run a
check 'the node is part of it again' said a "joined $lab again"
check 'and the other' said b "joined localhost:${lab##*:} again"
leave() { kill "$(cat "$TMP/$1/pid")"; ends "$1"; }
check 'TERM ends a node' leave b
check 'TERM ends rgcs' leave h
check 'TERM ends the last' leave a
done_testing
