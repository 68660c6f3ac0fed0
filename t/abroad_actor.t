#!/bin/sh
# abroad_actor.t - actors that live on another node than those who made them or call them
. "${0%/*}/lib.sh"
. "${0%/*}/machines.sh"
lua() {			# lua DIR FILE: a part of it in Lua
	at "$1" timeout 60 rlua "${0%/*}/abroad/$2.lua" >"$TMP/o" 2>&1 </dev/null || { grep -v '^ok' "$TMP/o"; cat "$TMP"/*/err; return 1; }
}
none() {		# none DIR: no actor lives there
	for _ in $(seq 200); do
		[ -z "$(at "$1" rstat actors 2>&1)" ] && return
		sleep 0.05
	done
	at "$1" rstat actors; return 1
}
node="rlet -l --store 32M --key $key --listen 127.0.0.1:0"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 3s
lab=$line
check 'a node with next to no CPU' start a $node -c 0.001 --join "$lab"; a=$pid
check 'one with what the first one has not' start b $node --name b -c 4 -R disk=4 -R tape=8 --join "$lab"; b=$pid
check 'it knows the other one' knows a 2
check 'actors there' lua a actors
check 'all of them end with their driver' none b
lost() {
	mkfifo "$TMP/die" "$TMP/dead"
	DIE=$TMP/die DEAD=$TMP/dead at a timeout 60 rlua "${0%/*}/abroad/homes.lua" >"$TMP/lost" 2>&1 </dev/null & job=$!
	timeout 60 cat "$TMP/die"
	vanish "$b"
	timeout 60 sh -c ': >"$0"' "$TMP/dead"
	wait "$job" || { grep -v '^ok' "$TMP/lost"; cat "$TMP"/*/err; return 1; }
}
check 'another node' start c $node -c 4 -R disk=4 -R tape=16 -R pin=2 --join "$lab"
check 'all are known' knows a 3
check 'a node that vanishes' lost
check 'nothing is left there' none c
# a detached one: made by a program at a, found by others there, and at c when node a is no more
make() {
	at a timeout 60 rlua -e '
		local rota = require "rota"
		rota.init { address = "local", namespace = "lab" }
		local C = rota.actor { new = function(self) self.n = 0 end, add = function(self) self.n = self.n + 1 return self.n end }
		print(rota.get(C:with { name = "stays", detached = true, resources = { pin = 1 } } ():add()))' 2>&1 </dev/null
}
add() {			# add DIR [END]: a call by name, from there
	END=${2-} at "$1" timeout 60 rlua -e '
		local rota = require "rota"
		rota.init { address = "local", namespace = "lab" }
		local a = rota.find "stays"
		print(rota.get(a:add()))
		if os.getenv "END" ~= "" then rota.kill(a) end' 2>&1 </dev/null
}
alone() {
	for _ in $(seq 400); do
		[ "$(at c rstat nodes -o state state=alive 2>"$TMP/o" | wc -l)" -eq 1 ] && return
		sleep 0.05
	done
	at c rstat nodes; return 1
}
check 'a detached one' prints 1 make
check 'it outlives its program' prints 2 add a
check 'another node finds it' prints 3 add c
vanish "$a"
check 'its node vanishes, where it does not live' alone
check 'it lives' prints 4 add c end
check 'until it is killed' none c
done_testing
