#!/bin/sh
# net_security.t - nobody without the key gets anything out of a cluster, and nothing of the key gets out of its file
. "${0%/*}/lib.sh"
umask 077
key=$TMP/lab.key pids=''
trap 'test -z "$pids" || kill $pids 2>/dev/null; wait; rm -rf "$TMP"' EXIT

at() {			# at DIR CMD...: with the directories of that machine
	d=$TMP/$1; shift
	ROTA_DIR=$d/run XDG_STATE_HOME=$d/state ROTA_ADDRESS=local "$@"
}
start() {		# start DIR DAEMON...: until it is ready; $line is what it wrote then, its stderr is DIR/err, its pid DIR/pid
	dir=$1; shift
	mkdir -p "$TMP/$dir/run"
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	ROTA_DIR=$TMP/$dir/run XDG_STATE_HOME=$TMP/$dir/state "$@" --ready-fd 3 3>"$TMP/ready" 2>>"$TMP/$dir/err" &
	echo $! >"$TMP/$dir/pid"; pids="$pids $!"
	read -r line <"$TMP/ready"
}
run() { at "$1" timeout 60 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'; }
listens() { ss -Hltn 2>/dev/null | awk '{ print $4 }' | grep -q ":$1\$"; }
mkdir "$TMP/c"

# --- no key, no listener
check 'rgcs without a key does not listen' says 'no key, no listener' at c rgcs --listen 127.0.0.1:0
check 'nor does a node' says 'no key, no listener' at c rlet -l --listen 127.0.0.1:0
check 'a cluster' start h rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 60s
lab=$line
check 'of two nodes' start a rlet -l -c 1 --store 32M --join "$lab" --key "$key" --listen 127.0.0.1:0
check 'both listening' start b rlet -l -c 1 --store 32M --join "$lab" --key "$key" --listen 127.0.0.1:0
for _ in $(seq 200); do		# it hears of the other one a moment after it has joined
	node=$(at a rstat nodes -J | sed -n 's/.*"address":"\([0-9.:]*\)".*/\1/p' | tail -1)
	[ -z "$node" ] || break
	sleep 0.05
done
check 'their addresses are listed' test -n "$node"

# --- key files
refused() {		# refused MODE TEXT: a node with a key file of that mode
	cp "$key" "$TMP/open.key"; chmod "$1" "$TMP/open.key"
	says "$2" at c rlet -l --join "$lab" --key "$TMP/open.key"
}
check 'a key that the group can read' refused 640 "open.key' can be read by others (mode 0640); chmod 600 it"
check 'or anybody' refused 604 "open.key' can be read by others (mode 0604); chmod 600 it"
check 'is 125' exits 125 at c rlet -l --join "$lab" --key "$TMP/open.key"
check 'for rgcs too' says 'can be read by others (mode 0604)' at c rgcs --listen 127.0.0.1:0 --key "$TMP/open.key"
ln -s "$key" "$TMP/dir.key.link"; mkdir "$TMP/dir.key"
check 'a directory is no key' says "is no regular file" at c rlet -l --join "$lab" --key "$TMP/dir.key"
: >"$TMP/none.key"
check 'nor is an empty file' says 'has no key in it' at c rlet -l --join "$lab" --key "$TMP/none.key"
printf 'rota-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n' >"$TMP/other.key"
check 'another key: both are named' says "refused our key ff52-7b72 (other.key); it accepts " at c rlet -l --join "$lab" --key "$TMP/other.key"
id=$(sed -n 's/.*it accepts //p' "$TMP/err")

# --- rotation: the first is offered, all are accepted
both() { { cat "$TMP/other.key"; cat "$key"; } >"$TMP/both.key"; start d rgcs --listen 127.0.0.1:0 --key "$TMP/both.key"; }
check 'a store with two keys' both
joins() { start e rlet -l -c 1 --store 32M --join "$line" --key "$1" && kill "$(cat "$TMP/e/pid")" && gone "$(cat "$TMP/e/pid")"; }
two=$line
check 'the old one is good' joins "$key"
line=$two
check 'so is the new one' joins "$TMP/other.key"
kill "$(cat "$TMP/d/pid")"; gone "$(cat "$TMP/d/pid")"

# --- who has no key gets nothing but an end, from stores and nodes
tells() {		# tells ADDRESS BYTES: who sends these gets at most an alert or the ids of keys, and is hung up on
	timeout 20 bash -c "exec 3<>/dev/tcp/${1%:*}/${1##*:}; printf '$2' >&3; cat <&3" >"$TMP/got" 2>/dev/null
	[ "$(wc -c <"$TMP/got")" -le 64 ] || { od -c "$TMP/got" | head; return 1; }
}
every() { tells "$lab" "$1" && tells "$node" "$1"; }
check 'HTTP' every 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
check 'ssh' every 'SSH-2.0-x\r\n'
check 'zeros' every '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
check 'frames in the clear' every '\4\0\0\0\120\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\300\300\300\300'
silent() {		# nothing is said before the peer has shown that it has the key
	timeout 30 bash -c "exec 3<>/dev/tcp/${1%:*}/${1##*:}; cat <&3" >"$TMP/got"
	[ ! -s "$TMP/got" ] || { od -c "$TMP/got" | head; return 1; }
}
if [ -n "$ROTA_LONG" ]; then		# they wait for the whole 5 s
	check 'half a TLS record, until it is given up' every '\26\3\1\2\0\1\0\1\374\3\3'
	check 'who says nothing hears nothing, and is hung up on' silent "$lab"
	check 'by nodes too' silent "$node"
fi
tls() {			# tls ADDRESS ARG...: what openssl makes of it; no handshake is ever over
	a=$1; shift
	echo hello | timeout 20 openssl s_client -connect "$a" "$@" >"$TMP/tls" 2>&1
	! grep -q 'Cipher is [^(]' "$TMP/tls" || { cat "$TMP/tls"; return 1; }
}
if command -v openssl >/dev/null; then
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TMP/k.pem" -out "$TMP/c.pem" -subj /CN=rota -days 2 2>/dev/null
	check 'TLS without a key' tls "$lab"
	check 'TLS 1.2' tls "$lab" -tls1_2
	check 'a certificate' tls "$node" -cert "$TMP/c.pem" -key "$TMP/k.pem"
	check 'a key of its own by the right name' tls "$node" -psk_identity "$id" -psk 000102030405060708090a0b0c0d0e0f -ciphersuites TLS_AES_128_GCM_SHA256
	impostor() {		# a server with a certificate, and no key: the node does not join it
		mkfifo "$TMP/in"; exec 5<>"$TMP/in"		# it ends with its input
		openssl s_server -accept 127.0.0.1:0 -cert "$TMP/c.pem" -key "$TMP/k.pem" -tls1_3 <&5 >"$TMP/imp" 2>&1 &
		imp=$!; pids="$pids $imp"
		timeout 20 sh -c "until grep -q '^ACCEPT' '$TMP/imp'; do sleep 0.02; done"
		port=$(sed -n 's/^ACCEPT.*:\([0-9]*\)$/\1/p' "$TMP/imp")
		[ -n "$port" ] || { kill "$imp"; return 0; }	# one that does not say its port
		says "cannot join '127.0.0.1:$port': it does not know the cluster's key" at c rlet -l --join "127.0.0.1:$port" --key "$key" || { cat "$TMP/imp"; return 1; }
		kill "$imp"; exec 5>&-
	}
	check 'an impostor with a certificate' impostor
fi
crowd() {		# a thousand who connect to both and say nothing: nobody is kept out for long
	rm -f "$TMP/crowd"; mkfifo "$TMP/crowd"
	perl -MIO::Socket::INET -e '
		$| = 1;
		for my $a (@ARGV) { push @s, IO::Socket::INET->new($a) || die "$a: $!" for 1 .. 500 }
		print "ready\n";
		sleep 60' "$lab" "$node" >"$TMP/crowd" 2>&1 & crowd=$!
	read -r line <"$TMP/crowd" && [ "$line" = ready ] || { echo "$line"; return 1; }
	pids="$pids $crowd"
	start f rlet -l -c 1 --store 32M --join "$lab" --key "$key" --listen 127.0.0.1:0
	prints 42 run f || { cat "$TMP/f/err" "$TMP/h/err"; return 1; }
	fds=$(ls /proc/"$(cat "$TMP/h/pid")"/fd | wc -l)
	kill "$crowd" "$(cat "$TMP/f/pid")"; gone "$(cat "$TMP/f/pid")"
	[ "$fds" -lt 320 ] || { echo "$fds descriptors"; return 1; }
}
check 'a crowd of a thousand keeps nobody out' crowd
check 'the cluster is undisturbed' prints 42 run a
check 'every node of it' prints 42 run b

# --- two control stores
check 'one directory has one store' says 'a control store runs already' at h rgcs --dir "$TMP/h/state/rota"
check 'and one address' says "cannot listen at '$lab'" at c rgcs --listen "$lab" --key "$key"

# --- the key stays where it is
word=$(sed -n 's/^rota-key-1://p' "$key")
hex=$(printf %s "$word" | openssl base64 -d -A 2>/dev/null | od -An -tx1 | tr -d ' \n')
nowhere() {		# in no command line, environment or log of any of it, and no file but its own
	export ROTA_KEY="$key"
	at a rlua -e 'local rota = require "rota"
		print(rota.get(rota.task(function() local t = {} for l in io.popen "env; tr \"\\0\" \"\\n\" </proc/self/environ":lines() do t[#t + 1] = l end return table.concat(t, "\n") end)()))' >"$TMP/env"
	unset ROTA_KEY
	for p in $(cat "$TMP"/[hab]/pid) $(cat "$TMP"/[hab]/pid | while read -r p; do pgrep -P "$p"; done); do
		tr '\0' '\n' </proc/"$p"/cmdline; tr '\0' '\n' </proc/"$p"/environ
	done >"$TMP/procs" 2>/dev/null
	cat "$TMP"/[hab]/err >>"$TMP/procs"
	[ -s "$TMP/procs" ] && [ -s "$TMP/env" ] || return 1
	! grep -F -e "$word" "$TMP/procs" "$TMP/env" || return 1
	! grep -rlF -e "$word" "$TMP"/[hab]/run "$TMP"/[hab]/state 2>/dev/null || return 1
	[ -z "$hex" ] || ! grep -F -e "$hex" "$TMP/procs" "$TMP/env" || return 1
}
check 'nothing of it is in a command line, an environment, a log or a state' nowhere
check 'a task does not even learn where it is' sh -c "! grep -n ROTA_KEY '$TMP/env'"
leave() { kill "$(cat "$TMP/$1/pid")"; gone "$(cat "$TMP/$1/pid")"; }
check 'TERM ends the nodes' leave a
check 'and the other' leave b
check 'and rgcs' leave h
done_testing
