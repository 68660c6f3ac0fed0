#!/bin/sh
# rstat.t - every list shows what is there, in columns, as JSON and filtered; without a node the private ones are named
. "${0%/*}/lib.sh"
. "${0%/*}/page.sh"
XDG_STATE_HOME=$TMP/state
export XDG_STATE_HOME TMP
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT

# --- usage needs no node
check 'nearest list' says "rstat: no list 'worker'; did you mean 'workers'? see rstat -h" rstat worker
check 'is 2' exits 2 rstat worker
check 'nearest column' says "no column 'stat'; did you mean 'state'?" rstat workers -o stat
check 'nearest column of a filter' says "no column 'stat'; did you mean 'state'?" rstat workers stat=x
check 'no filter' says "cannot use 'idle' as a filter: expected COL=VALUE or COL~REGEX" rstat workers idle
check 'a bad expression' says "cannot use 'state~(' as a filter: " rstat workers 'state~('
check 'is 2' exits 2 rstat workers 'state~('
check '-o help' prints 'actor name class state incarnation restarts pid pending job namespace why ended' sh -c 'rstat actors -o help | xargs'

# --- no lasting node
check 'nothing runs' says 'rstat: no node is running; programs start a private one' rstat
check 'is 125' exits 125 rstat nodes
check 'a word that is no address' exits 125 rstat -A nowhere
echo 'require "rota".init() os.execute(arg[1])' >"$TMP/in.lua"
inside() { rlua "$TMP/in.lua" "$1"; }
check 'private ones are named' says "no lasting node here; private ones: " inside rstat
named() { inside 'rstat 2>&1' | grep -qE 'private ones: ([0-9]+) \(rlua .*in\.lua.*, [0-9]+m?s\)\. Look with: rstat -A pid:\1$'; }
own() { ROTA_ADDRESS=private inside 'unset ROTA_ADDRESS; rstat 2>&1' | grep -qE 'private ones: ([0-9]+) \(rlua .*Look with: rstat -A pid:\1$'; }
pid_works() { prints 'alive	1' inside 'rstat -A pid:$PPID nodes -o state,drivers'; }
check 'with the program' named
check 'own ones too' own
check 'and can be looked at' pid_works

# --- the lists
rota up -q -c 2 >/dev/null || exit 1
check 'workers: none' prints '' rstat workers
check 'a heading in a pipe' prints 'pid	state' rstat workers -o pid,state --header
cat >"$TMP/busy.lua" <<'END'
local rota = require "rota"
local spin = rota.task(function() while true do end end):with{name="spin"}
local A = rota.actor{new = function(self) end, hi = function(self) return 1 end}
local a = A:with{name="bob", restarts=2}()
rota.get(a:hi())
local big = rota.put(("x"):rep(100000))
local refs = {}
for i = 1, 2000 do refs[i] = spin() end		-- more than rings hold
repeat				-- until two of them run, as the node sees it
	local n = 0
	for _, w in ipairs(require "rota.core".list "workers") do if w.state == "running" and w.fn == "spin" then n = n + 1 end end
	rota.sleep(0.005)
until n == 2
os.execute(arg[1])
END
busy() { rlua "$TMP/busy.lua" "$1"; }
check 'actors' prints 'bob alive 1 2 0' busy 'rstat actors name=bob -o name,state,incarnation,restarts,pending | xargs'
check 'workers' prints 'spin running 1.0 false
spin running 1.0 false' busy 'rstat workers fn=spin -o fn,state,cpus,blocked | tr "\t" " "'
check 'tasks: started' prints 'spin 1 1
spin 1 1' busy 'rstat tasks name=spin state=running -o name,count,attempt | tr "\t" " "'
check 'tasks: not started, by program' busy 'rstat tasks state=queued -o id,name,count,attempt | grep -qx -e "-	rlua [^	]*busy.lua[^	]*	[1-9][0-9]*	-"'
check 'a task has an id, a worker, a time' busy 'rstat tasks name=spin -o id,worker,since | grep -qE "^[0-9a-f]{32}	[0-9]+	[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9:]{8}Z$"'
check 'objects' prints '100016 sealed value 0 false - - arena 1' busy 'rstat objects "size~^100" -o size,state,kind,pinned,kept,ttl,name,where,refs | xargs'
check 'sizes in other spellings' prints 1 busy 'rstat objects size=100016 | wc -l'
check 'two filters' prints 0 busy 'rstat workers fn=spin state=idle | wc -l'
check 'JSON' busy 'rstat workers fn=spin -J | grep -qE "^\{\"pid\":[0-9]+,\"state\":\"running\",\"fn\":\"spin\",\"task\":\"[0-9a-f]{32}\",\"since\":\"[^\"]+Z\",\"job\":[0-9]+,\"cpus\":1.0,\"actor\":null,\"rss\":[0-9]+,\"blocked\":false\}$"'
sorted() { busy 'rstat workers -o pid >$TMP/a; rstat -r workers -o pid | tac | cmp - $TMP/a && sort -n $TMP/a | cmp - $TMP/a'; }
check 'sorted, -r turns it round' sorted
check 'options after filters' prints 2 busy 'rstat workers fn=spin -o pid state=running | wc -l'
check 'in short' prints '1 1 2' busy 'for c in programs actors tasks_running; do rstat -o $c | cut -f 2; done | xargs'
check 'in short, as JSON' busy 'rstat -J | grep -q "^{\"node\":\".*\"tasks_running\":2,\"tasks_blocked\":0,\"tasks_queued\":[1-9][0-9]*,\"actors\":1,\"sets\":0,\"objects\":1,\"object_bytes\":100016,\"kept\":0}$"'
check 'sets' prints 'duo rlua.lua:1 alive 2 1 2 false 1' sh -c 'printf "%s\n" "local rota = require \"rota\" local A = rota.actor {}" \
	"local s = rota.set(A, { n = \"1:2\", name = \"duo\" }) rota.get(s:ready(2), 20) os.execute(arg[1])" >"$TMP/rlua.lua" &&
	rlua "$TMP/rlua.lua" "rstat sets name=duo -o name,class,state,up,min,max,gang,generation | xargs"'
check 'nodes' prints 'alive 2.0 1' busy 'rstat nodes -o state,cpus,drivers | xargs'
tty() { command -v script >/dev/null || return 0; busy 'script -qec "stty cols 30; rstat workers" /dev/null' >"$TMP/o" && tr -d '\r' <"$TMP/o" | awk 'NR == 1 && !/^ *pid +state/ { bad = 1 } length > 30 { bad = 1 } END { exit bad || NR < 4 }'; }
check 'on a terminal: a heading, cut to the width' tty
check 'a full stdout' says 'rstat: cannot write to stdout: No space left on device' sh -c 'rstat nodes >/dev/full'
check 'is 125' exits 125 sh -c 'rstat nodes >/dev/full'
after() { i=0; while [ -n "$(rstat workers)$(rstat actors)$(rstat objects)" ]; do i=$((i + 1)); [ $i -lt 3000 ] || { rstat workers; return 1; }; done; }
check 'after the programs nothing is left' after
rota down -q --force

page_examples man/rstat.1
watched() {		# a line when an actor comes, one when it goes; TERM ends it
	mkfifo "$TMP/in" "$TMP/seen"
	ROTA_ADDRESS=private rlua -e 'local rota = require "rota" local A = rota.actor { f = function() return 1 end }
		local a = A() rota.get(a:f()) io.stdout:write("up\n") io.stdout:flush() io.read() rota.kill(a) io.read()' <"$TMP/in" >"$TMP/said" &
	driver=$!
	exec 5>"$TMP/in"
	until grep -qs up "$TMP/said"; do kill -0 $driver || return 1; done
	rstat -A "pid:$driver" -w -o state actors >"$TMP/seen" 5>&- &
	watcher=$!
	exec 6<"$TMP/seen"
	read -r a <&6 && echo >&5 && read -r b <&6
	kill -TERM $watcher
	wait $watcher
	st=$?
	exec 5>&- 6<&-
	wait $driver
	[ $st -eq 143 ] || { echo "status $st"; return 1; }
	echo "$a $b"
	[ "$a $b" = 'alive gone' ] || [ "$a $b" = 'alive dead' ]
}
check '-w into a pipe: a line an event' watched
check '-w without a list is for a terminal' exits 2 rstat -w
check 'and says so' says '-w into a pipe needs a list: rstat -w workers' rstat -w
done_testing
