#!/bin/sh
# past.t - actors, jobs and nodes that are over: remembered by the control store, in so many bytes, and listed by rstat --all
. "${0%/*}/lib.sh"
umask 077
key=$TMP/lab.key pids=''
trap 'kill $pids 2>/dev/null; wait; rm -rf "$TMP"' EXIT
at() {			# at DIR CMD...: with the directories of that machine
	d=$TMP/$1; shift
	ROTA_DIR=$d/run XDG_STATE_HOME=$d/state ROTA_ADDRESS=local "$@"
}
start() {		# start DIR DAEMON...: until it is ready; $line is what it wrote then, its stderr is DIR/err
	dir=$1; shift
	mkdir -p "$TMP/$dir/run"
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	ROTA_DIR=$TMP/$dir/run XDG_STATE_HOME=$TMP/$dir/state "$@" --ready-fd 3 3>"$TMP/ready" 2>>"$TMP/$dir/err" &
	pid=$!; pids="$pids $pid"
	read -r line <"$TMP/ready"
}
until_prints() {	# until_prints TEXT CMD...: within 10 s
	want=$1; shift
	for _ in $(seq 200); do
		got=$("$@" 2>&1) && [ "$got" = "$want" ] && return
		sleep 0.05
	done
	echo "prints: $got"; echo "not: $want"; return 1
}
node="rlet -l --store 32M --key $key"
check 'a size that is none' says "--history" at g rgcs --history soon
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 2s --history 4k --tables 8k
lab=$line store=$pid
check 'a node' start a $node -c 2 --join "$lab"
check 'another one' start b $node -c 2 --join "$lab" --listen 127.0.0.1:0
b=$pid
many() {		# many N: so many actors, one after the other
	at a rlua -l rota -e 'local A = rota.actor { f = function(_, x) return x end }
		for i = 1, '"$1"' do local a = A:with { name = "a" .. i }() rota.get(a:f(i)) rota.kill(a) end'
}
check 'three actors' many 3
check 'they are over' prints '' at a rstat actors
check 'and remembered' until_prints "a1 dead;a2 dead;a3 dead;" \
	sh -c '"$@" | tr "\t\n" " ;"' - env ROTA_DIR="$TMP/a/run" ROTA_ADDRESS=local rstat actors --all -o name,state
check 'with the reason' prints 'it was killed' at a rstat actors --all -o why name=a1
check 'by every node' prints 3 sh -c '"$@" | wc -l' - env ROTA_DIR="$TMP/b/run" ROTA_ADDRESS=local rstat actors --all
check 'with when they ended' prints 3 sh -c '"$@" | grep -c "^20..-..-..T"' - env ROTA_DIR="$TMP/b/run" ROTA_ADDRESS=local rstat actors --all -o ended
check 'so is their job' until_prints 'ended' at a rstat jobs --all -o state job=1
group() {
	at a rlua -l rota -e 'local g = rota.group({ { cpus = 0.1 } }, "pack", { name = "g1" }) g:wait(20) g:remove()' &&
		until_prints 'g1 removed' sh -c '"$@" | tr "\t" " "' - env ROTA_DIR="$TMP/a/run" ROTA_ADDRESS=local rstat groups --all -o name,state
}
check 'and a placement group' group
leaves() { kill "$b"; gone "$b"; until_prints 'left' at a rstat nodes --all -o state node=2; }
check 'and a node that left' leaves
restarts() {		# with what it had
	was=$(tr -d ' ' <"/proc/$store/task/$store/children")
	kill -9 "$was" && gone "$was" || return
	until_prints 3 sh -c '"$@" | wc -l' - env ROTA_DIR="$TMP/a/run" ROTA_ADDRESS=local rstat actors --all
}
check 'also when the store was killed' restarts
bounded() {		# 4 KiB of each list: the oldest are forgotten
	many 40 || return
	rows=$(at a rstat actors --all | wc -l)
	[ "$rows" -gt 10 ] && [ "$rows" -lt 40 ] && prints a40 sh -c '"$@" | tail -1' - env ROTA_DIR="$TMP/a/run" ROTA_ADDRESS=local rstat actors --all -o name
}
check 'in so many bytes' bounded
full() {		# 8 KiB of actors and jobs that there are
	at a rlua -l rota -e 'local A = rota.actor { f = function() end }
		local all, ok = {}
		for i = 1, 100 do
			ok, all[i] = pcall(A:with { name = ("x"):rep(200) .. i, cpus = 0 })
			if not ok then print(all[i].code, i > 10, (tostring(all[i]):match "the tables of the control store are full: %d+ actors and %d jobs in":gsub("%d+", "N"))) break end
		end'
}
check 'there is no room for more than so many' prints 'full	true	the tables of the control store are full: N actors and N jobs in' full
check 'who was refused goes on' many 3
done_testing
