#!/bin/sh
# where_far.t - which of several nodes runs what: resources that only some have, nodes that come later, what can never be
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
knows() {		# knows DIR N: it lists so many nodes
	for _ in $(seq 200); do
		[ "$(at "$1" rstat nodes -o state state=alive 2>"$TMP/o" | wc -l)" -eq "$2" ] && return
		sleep 0.05
	done
	at "$1" rstat nodes; return 1
}
lua() {			# lua TEXT: on node a, with where(opts), the name of the node where such a task ran
	at a timeout 60 rlua -e '
		local rota = require "rota"
		function where(opts)
			return rota.get(rota.task(function() return rota.context().node end):with(opts)())
		end
		'"$1" 2>"$TMP/lua.err"
}
fails() {		# fails TEXT LUA: it raises an error with that text
	lua "print(select(2, pcall(function() $2 end)))" >"$TMP/got" || { cat "$TMP/lua.err"; return 1; }
	grep -qF -- "$1" "$TMP/got" || { cat "$TMP/got"; return 1; }
}
node="rlet -l --store 64M --key $key --listen 127.0.0.1:0"
check 'rgcs' start g rgcs --listen 127.0.0.1:0 --key "$key" --dead-after 60s
lab=$line
check 'a, with two CPUs' start a $node --name a -c 2 --join "$lab"
check 'b, with tapes' start b $node --name b -c 2 -R tape=2 --label zone=eu,disk=ssd --join "$lab"
check 'a knows b' knows a 2
check 'what only another node has is done there' prints 'a b' lua 'print(where{} .. " " .. where{resources={tape=1}})'
check 'what no node has fails at once' fails 'needs 3 tape; the largest of 2 nodes has 2' 'where{resources={tape=3}}'
check 'nor can there be what nobody knows' fails 'needs 1 disk; no node has any' 'where{resources={disk=1}}'
later() {		# a node that comes later is asked
	rm -f "$TMP/up"; mkfifo "$TMP/up"
	UP=$TMP/up lua '
		local ref = rota.task(function() return 7 end):with{resources={disk=1}, wait=true}()
		local f = io.open(os.getenv "UP", "w") f:write "go\n" f:close()
		print(rota.get(ref))' >"$TMP/later" &
	job=$!
	read -r _ <"$TMP/up"
	start c $node --name c -c 1 -R disk=1 --label zone=us --join "$lab" && wait "$job" && prints 7 cat "$TMP/later" && return
	cat "$TMP/lua.err"; return 1
}
check 'what waits for a node is done by the one that comes' later
check 'labels with operators' prints 'b c a a b' lua '
	print(table.concat({where{labels={zone="eu"}}, where{labels="zone!=eu,zone=us"}, where{labels={zone="!in(eu,us)"}},
	    where{labels={node="a"}}, where{labels={disk="in(hdd,ssd)"}}}, " "))'
check 'a node by its name' prints 'c b' lua 'print(table.concat({where{node="c"}, where{node="b", labels={zone="eu"}}}, " "))'
check 'actors too' prints 'b a c' lua '
	local Who = rota.actor{ node = function() return rota.context().node end }
	local function at(o) local a <close> = Who:with(o)() return rota.get(a:node()) end
	print(table.concat({at{labels={zone="eu"}}, at{}, at{node="x", fallback={zone="us"}}}, " "))'
check 'where an actor cannot be' fails 'none of the 3 nodes has the labels zone=mars' 'rota.get(rota.actor{ f = function() end }:with{labels="zone=mars"}():f())'
check 'what no node has' fails 'none of the 3 nodes has the labels zone=mars' 'where{labels={zone="mars"}}'
check 'nor the node that is named' fails 'none of the 3 nodes has the labels node=b,zone=us' 'where{node="b", labels={zone="us"}}'
check 'other labels if no node has the first' prints 'c a b' lua '
	print(table.concat({where{labels={zone="mars"}, fallback={zone="us"}}, where{node="x", fallback={"zone=mars", {node="a"}}}, where{labels={zone="eu"}, fallback={}}}, " "))'
check 'soft: any node' prints 'true' lua 'print(#where{node="x", fallback={}} == 1)'
check 'a label with what only another node has' fails 'needs 1 tape; the one node with zone=us has 0' 'where{labels={zone="us"}, resources={tape=1}}'
busy() {		# a node that has the first labels but is busy is waited for
	lua '
	local t = rota.task(function(s) rota.sleep(s) return rota.context().node end)
	local long = { t:with{node="c"}(0.3) }
	rota.wait(long, { timeout=0.05 })
	print(rota.get(t:with{labels={zone="us"}, fallback={zone="eu"}}(0)))'
}
check 'a busy node with the first labels is waited for' prints c busy
tries() {		# tries WANTED LUA: until it prints that: what a knows of the others is a little old
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		lua "$2" >"$TMP/got" || { cat "$TMP/lua.err"; return 1; }
		[ "$(cat "$TMP/got")" = "$1" ] && return
	done
	echo "printed: $(cat "$TMP/got")"; return 1
}
meet='
	local function meet(n, opts)
		local t = rota.task(function() os.execute "sleep 0.5" return rota.context().node end):with(opts)
		local refs, seen, list = {}, {}, {}
		for i = 1, n do refs[i] = t() end
		for _, v in ipairs(rota.get(refs)) do seen[v] = true end
		for k in pairs(seen) do list[#list + 1] = k end
		return list
	end'
check 'spread: over all nodes' tries 3 "$meet print(#meet(3, {strategy='spread'}))"
check 'what has no room here goes elsewhere' tries true "$meet print(#meet(4, {}) > 1)"
on() { at a timeout 60 rmap -k --on "$1" sh -c 'echo $ROTA_NODE $1' - ::: 1 2; }
check 'rmap --on' prints 'b 1
b 2' on zone=eu
check 'tasks of a task there, too' tries true "$meet"'
	print(#rota.get(rota.task(function() return meet(4, {}) end):with{node="b"}()) > 1)'
gpus() {
	start d $node --name d -c 1 -g 2 --join "$lab" && knows a 4 || return 1
	prints '1 0,1 2' lua '
	local t = rota.task(function() local v = os.getenv "CUDA_VISIBLE_DEVICES" return #v == 1 and "1" or v, #rota.context().gpus end)
	local one, n = rota.get(t:with{gpus=0.5}())
	local both, m = rota.get(t:with{gpus=2}())
	assert(n == 1)
	print(one, both, m)' | tr '\t' ' '
}
busy_on() {		# busy_on NAME: a task runs there, until something reads from GO; then another one, which may go to b
	rm -f "$TMP/up" "$TMP/go"; mkfifo "$TMP/up" "$TMP/go"
	UP=$TMP/up GO=$TMP/go lua '
		local t = rota.task(function(wait)
			if wait then io.open(os.getenv "UP", "w"):write("go\n"):close() io.open(os.getenv "GO"):close() end
			return rota.context().node
		end)
		local ref = t:with{node="'"$1"'"}(true)
		print(rota.get(ref), rota.get(t:with{node="'"$1"'", fallback="node=b"}()))' >"$TMP/busy" &
	job=$!
	read -r _ <"$TMP/up"
}
ends() {		# ends TEXT: the tasks of busy_on do, and say where they ran
	: >"$TMP/go"
	wait "$job" || { cat "$TMP/lua.err"; return 1; }
	prints "$1" tr '\t' ' ' <"$TMP/busy"
}
drained() {		# what runs there goes on, then the node ends
	busy_on d && at a rota drain d && prints draining state d && ends 'd b' && wait "$pid"
}
shared() {		# a job that has all of a node gives some of it to another one, which runs elsewhere too
	rm -f "$TMP/up" "$TMP/go"; mkfifo "$TMP/up" "$TMP/go"
	UP=$TMP/up GO=$TMP/go lua '
		local t = rota.task(function() os.execute "sleep 0.03" end):with{node="b"}
		local first = t()
		for i = 1, 2000 do t() end
		rota.get(first)
		io.open(os.getenv "UP", "w"):write("go\n"):close()
		io.open(os.getenv "GO"):close()
		os.exit(0)' &
	job=$!
	read -r _ <"$TMP/up"
	prints b lua 'print(where{node="b"})' && kill -0 "$job" || { cat "$TMP/lua.err"; return 1; }
	: >"$TMP/go"
	wait "$job"
}
again() {
	busy_on c && at a rota drain c && prints draining state c && at a rota drain --undo c && knows a 3 && ends 'c c'
}
state() {		# what a has heard of a node, once that is not alive
	for _ in $(seq 200); do
		s=$(at a rstat nodes -o state name="$1" | tail -n 1)
		[ "$s" != alive ] && break
		sleep 0.05
	done
	echo "$s"
}
check 'jobs take turns at a node of others' shared
check 'GPUs are those of the node where it runs' gpus
check 'a node that drains' drained
check 'no node of that name' exits 1 at a rota drain x
check 'it may take work again' again
done_testing
