#!/bin/sh
# up.t - rota up of several nodes on this machine: what it prints, that a second one repairs, down, exec, keys, mistakes in cluster.lua
. "${0%/*}/lib.sh"
ROTA_STORE=64M XDG_STATE_HOME=$TMP/state XDG_CONFIG_HOME=$TMP/conf
export ROTA_STORE XDG_STATE_HOME XDG_CONFIG_HOME
tab=$(printf '\t')
trap 'for c in lab two; do [ ! -e "$TMP/conf/rota/$c" ] || rota down -q --force -A $c; done; rm -rf "$TMP"' EXIT
conf=$TMP/conf/rota

# --- ranges, files, mistakes: nothing is started
names() { rota up --dry-run "$@" | cut -d: -f1 | paste -sd' '; }
check 'a range' prints 'node09 node10 node11' names 'node[09-11]'
check 'several, with gaps' prints 'n1 n3 n4 n5 b' names 'n[1,3-5]' b
bad() {			# bad TEXT LINE...: a cluster.lua of these lines is refused with one line that says TEXT
	text=$1; shift
	printf '%s\n' "$@" >"$TMP/c.lua"
	says "rota: $text" rota up --dry-run "$TMP/c.lua" && exits 2 rota up --dry-run "$TMP/c.lua" 2>/dev/null
}
c=$TMP/c.lua
check 'no such file' says "cannot open '$TMP/none.lua': No such file or directory" rota up "$TMP/none.lua"
check 'no Lua' bad "$c:3: " 'return {' 'hosts ='
check 'no table' bad "$c: it returns no table" 'x = 1'
check 'a word that is none' bad "$c:3: no word 'host'; did you mean 'hosts'?" 'return {' '	-- host' '	host = "a",' '}'
check 'one of a host' bad "$c:2: no word 'cpu' of host 'b'; did you mean 'cpus'?" 'return { hosts = { "a",' '{ "b", cpu = 3 } } }'
check 'a wrong kind' bad "$c:1: 'cpus' is a number" 'return { cpus = "many", hosts = { "a" } }'
check 'a range that is not closed' bad "$c:1: 'n[1-2': a bracket is not closed" 'return { hosts = { "n[1-2" } }'
check 'a host twice' bad "$c:1: host 'a2' is there twice" 'return { hosts = { "a[1-2]", "a2" } }'
check 'no hosts' bad "$c: no hosts" 'return { name = "x" }'
check 'a host that is an option' bad "$c:1: '-oX' is no name of a host" 'return { hosts = { "-oX" } }'
check 'a loop' bad "$c: it does not come to an end" 'while true do end'
check 'no functions there' bad "$c:1: attempt to index a nil value (global 'os')" 'os.exit(0)'
check 'a resource that is none' exits 2 rota up -R ssd a
prints_itself() {	# --print gives a file that means the same
	rota up --print --name x -R ssd=1 'n[1-2]' >"$c" && rota up --print "$c" | cmp - "$c" &&
		prints "n1: rgcs, rlet -l -R ssd=1.0${tab}n2: rlet -l -R ssd=1.0" sh -c 'rota up --dry-run "$1" | paste -s' - "$c"
}
check '--print' prints_itself
check 'which cluster?' says 'exec: which cluster? name it with -A, or ROTA_ADDRESS' rota exec true
check 'one that is not' says "no cluster 'nix'" rota down -A nix

# --- nodes here
at() { sed -n "s/^address$tab//p" "$conf/lab"; }
up() { rota up -q --local 3 --name lab -c 1 >"$TMP/out" && sed 's/:[0-9]*/:P/' "$TMP/out"; }
check 'three nodes' prints "127.0.0.1:P${tab}3 nodes${tab}3 cpus${tab}0 gpus" up
check 'the key is private' prints 600 stat -c %a "$conf/lab.key"
runs() { ROTA_ADDRESS=$(at) prints 42 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'; }
check 'a program runs there' runs
check 'by its name' env ROTA_ADDRESS=lab rstat nodes
rows() { rota ls -A lab -o state,cpus | sort | uniq -c | tr -s ' ' | grep -qx " 3 alive${tab}1.0"; }
check 'ls' rows
knows() { [ "$(ROTA_ADDRESS=$(at) rstat nodes -o state | grep -c alive)" = 3 ]; }
check 'each node knows the others' knows
check 'exec' prints 'n1: x y n2: x y n3: x y' sh -c 'rota exec -A lab -- echo "x y" | sort | paste -sd" "'
check 'exec: one of them fails' exits 1 rota exec -A lab -- sh -c 'case $ROTA_DIR in */n2) exit 3 ;; esac'
check 'its status is said' says 'n2: status 3' rota exec -A lab -- sh -c 'case $ROTA_DIR in */n2) exit 3 ;; esac'
pids() { rota ls -A lab -o pid | sort; }
same() { before=$(pids) && up && [ "$(pids)" = "$before" ]; }
check 'up again changes nothing' same
ended() {		# the node of n2 and the control store are killed
	two=$(ROTA_ADDRESS=unix:$(dirname "$(dirname "$(at | cut -d: -f2)")")/n2/local.sock rstat nodes -o pid 'address~^unix:') && store=$(cat "$XDG_STATE_HOME/rota/lab/n1/rota/rgcs.pid") &&
		keeper=$(ps -o ppid= -p "$two") && kill -9 $keeper "$two" "$store" && gone "$two" && gone "$store"
}
open_key() { chmod 644 "$conf/lab.key" && says "key file '$conf/lab.key' can be read by others (mode 0644); chmod 600 it" rota up -q --local 3 --name lab; s=$?; chmod 600 "$conf/lab.key"; return $s; }
check 'a key that others can read' open_key
both() { up >"$TMP/one" & up >"$TMP/other" & wait && prints "127.0.0.1:P${tab}3 nodes${tab}3 cpus${tab}0 gpus" up; }
check 'what is killed' ended
check 'two at once start it again' both
check 'up starts again' prints "127.0.0.1:P${tab}3 nodes${tab}3 cpus${tab}0 gpus" up
check 'and all is well' runs
check 'key' eval 'rota key lab >"$TMP/key"; cat "$TMP/key"; grep -qx "lab${tab}[0-9a-f-]*${tab}$conf/lab.key${tab}20[0-9-]*" "$TMP/key"'
rotate() {
	rota key lab >"$TMP/key" && rota key --rotate lab >/dev/null 2>"$TMP/err" || { cat "$TMP/err"; return 1; }
	rota key lab >"$TMP/key2" && ! cmp -s "$TMP/key" "$TMP/key2" && [ "$(grep -c rota-key "$conf/lab.key")" = 2 ] &&
		prints 1 grep -c ' # until ' "$conf/lab.key" && runs
}
check 'a new key' rotate
grace() {		# after it the old keys are refused by a store that was not started anew; a node that is joins with the new one
	cp "$conf/lab.key" "$TMP/old.key" && rota key --rotate --grace 1 lab && runs || return
	sed -n 2p "$TMP/old.key" | sed 's/ #.*//' >"$TMP/older.key" && chmod 600 "$TMP/older.key"
	timeout 10 sh -c 'until grep -c . "$1" >/dev/null && [ "$(date +%s)" -gt "$(sed -n "s/.* # until //p" "$1" | sort -n | head -1)" ]; do :; done' - "$conf/lab.key"
	mkdir -m 700 -p "$TMP/third" && at=$(sed -n "s/^store$tab//p" "$conf/lab")
	ROTA_DIR=$TMP/third XDG_STATE_HOME=$TMP/third says 'refused our key' rlet -l --join "$at" --key "$TMP/older.key" && ended && up >"$TMP/out" && runs
}
check 'after the grace the old ones are refused' grace
busy() {		# with a program attached
	mkfifo "$TMP/in"
	ROTA_ADDRESS=$(at) rlua -e 'require("rota").init() print "on" io.stdout:flush() io.read()' <"$TMP/in" >"$TMP/on" & d=$!
	exec 9>"$TMP/in"
	timeout 10 sh -c 'tail -n +1 -f "$TMP/on" | grep -qm1 on' || return
	exits 1 rota down -A lab 2>"$TMP/err"; s=$?
	cat "$TMP/err"
	exec 9>&-; wait $d
	[ $s = 0 ] && grep -q 'still running: 1 program on n1; --force ends them' "$TMP/err" && rows
}
doctor() { rota doctor -A lab >"$TMP/d"; s=$?; [ $s -le 1 ] && [ "$(grep -c "^n[123]${tab}ok${tab}time${tab}" "$TMP/d")" = 3 ] && [ "$(grep -c "^n[123]${tab}ok${tab}key${tab}" "$TMP/d")" = 3 ] && grep -q "^n2${tab}ok${tab}kernel" "$TMP/d" || { cat "$TMP/d"; return 1; }; }
check 'doctor of all' doctor
check 'down refuses while a program runs' busy
check 'down' rota down -A lab
check 'no longer known' [ ! -e "$conf/lab" ]
check 'up, down --purge' eval 'up >/dev/null && rota down -A lab --purge'
check 'leaves nothing' prints '' find "$TMP/conf" "$TMP/state" "$TMP/rota" -type f
check 'run: its output and status' exits 7 sh -c 'rota run --local 2 -c 1 -- sh -c "rlua -e \"print(require(\\\"rota\\\").init() or 5)\"; exit 7" | grep -q . ; exit 7'
example() { rota up -q examples/cluster.lua >/dev/null && prints 'n1 n2' sh -c 'rota exec -A two -- true && rota ls -A two -o cpus | wc -l | sed "s/2/n1 n2/"' && rota down -A two --purge; }
check 'the example' example
done_testing
