#!/bin/sh
# abroad.t - a node that cannot run what its programs want has it run by another node's workers
. "${0%/*}/lib.sh"
. "${0%/*}/machines.sh"
node="rlet -l --store 64M --key $key --listen 127.0.0.1:0"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 60s
lab=$line
check 'a node with next to no CPU' start a $node -c 0.001 --join "$lab"
check 'one with four' start b $node -c 4 --join "$lab"
check 'it knows the other one' knows a 2
tasks() { at a timeout 60 rlua "${0%/*}/abroad/tasks.lua" >"$TMP/tasks" 2>&1 || { grep -v '^ok' "$TMP/tasks"; return 1; }; }
check 'its tasks run there' tasks
objects() { at a timeout 60 rlua "${0%/*}/abroad/objects.lua" >"$TMP/objects" 2>&1 || { grep -v '^ok' "$TMP/objects"; return 1; }; }
check 'values that are too large for a message' objects
empty() {		# nothing of them stays
	for _ in $(seq 100); do
		at a rstat objects -o id,size >"$TMP/left.a" 2>&1; at b rstat objects -o id,size >"$TMP/left.b" 2>&1
		[ -s "$TMP/left.a" ] || [ -s "$TMP/left.b" ] || return 0
		sleep 0.05
	done
	cat "$TMP/left.a" "$TMP/left.b"; return 1
}
check 'and nothing of them stays' empty
lost() {		# the other node ends while work is under way: another one does it
	rm -f "$TMP/up"; mkfifo "$TMP/up"
	UP=$TMP/up at a timeout 60 rlua -e '
		local rota = require "rota"
		local slow = rota.task(function(i) rota.sleep(0.2) return i end)
		local refs = {}
		for i = 1, 20 do refs[i] = slow(i) end
		rota.get(refs[1])
		local f = io.open(os.getenv "UP", "w") f:write "go\n" f:close()
		local s = 0
		for _, v in ipairs(rota.get(refs)) do s = s + v end
		print(s)' >"$TMP/sum" 2>"$TMP/sum.err" &
	job=$!
	read -r _ <"$TMP/up"
	first=$pid
	start c $node -c 4 --join "$lab" && knows a 3 || return 1
	kill "$first"; wait "$first"
	wait "$job" || { cat "$TMP/sum.err" "$TMP/a/err"; return 1; }
	prints 210 cat "$TMP/sum"
}
check 'a node that ends: its work is done by another one' lost
done_testing
