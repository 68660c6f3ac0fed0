#!/bin/sh
# logs.t - what tasks print: files, prefixes, last lines, repeats, limits, and that nobody can block a task by not reading
. "${0%/*}/lib.sh"
XDG_STATE_HOME=$TMP/state
export XDG_STATE_HOME
trap 'rota down -q --force 2>/dev/null; umount -l "$TMP/small" 2>/dev/null; rm -rf "$TMP"' EXIT
cd "$TMP" || exit 1
lua() {			# lua [ARG...] <SCRIPT: runs it as sq.lua; its stderr is err, its stdout out
	cat >sq.lua
	timeout 60 rlua sq.lua "$@" >out 2>err </dev/null
}
lines() { [ "$(grep -cE -e "$2" "$1")" -eq "$3" ] || { echo "not $3 lines in $1 match $2:"; head -c 3000 "$1"; return 1; }; }

prefix() {
	lua <<'END' || { cat err; return 1; }
local rota = require "rota"
local f = rota.task(function(i) print("one", i) io.stderr:write("two ", i, "\n") io.write("three ", i) end)
local Noisy = rota.actor{ new = function(self) print "made" end, say = function(self) print "said" end }
rota.get(f(1)) rota.get(f(2))
local a = Noisy()
rota.get(a:say())
print "data"
END
	lines err '^sq\.lua:2 [0-9]+\| one	[12]$' 2 && lines err '^sq\.lua:2 [0-9]+\| two [12]$' 2 &&
	lines err '^sq\.lua:2 [0-9]+\| three [12]$' 2 && lines err '^new [0-9]+\| made$' 1 && lines err '^say [0-9]+\| said$' 1 &&
	lines err '' 8 && prints data cat out
}
check 'prints in tasks: to the driver'\''s stderr, each line with task and process, never to its stdout' prefix

programs() {
	lua <<'END' || { cat err; return 1; }
local rota = require "rota"
local f = rota.task(function(i) print "before" os.execute("echo from sh; echo too >&2") print "after"
	io.popen("echo piped >&2"):close() end)
rota.get(f(1))
END
	sed 's/.*| //' err | tr '\n' ' ' >got
	prints 'before from sh too after piped ' cat got && lines err '^sq\.lua:2 [0-9]+\| ' 5
}
check 'programs that a task starts write to the same place, in order' programs

two() {			# tasks of one worker that take turns: each line has its own task's name
	lua <<'END' || { cat err; return 1; }
local rota = require "rota"
local f = rota.task(function(i) print("f" .. i) end)
local g = rota.task(function(i) os.execute("echo g" .. i) end)
for i = 1, 50 do rota.get(f(i)) rota.get(g(i)) end
END
	lines err '^sq\.lua:2 [0-9]+\| f' 50 && lines err '^sq\.lua:3 [0-9]+\| g' 50
}
check 'a worker that runs different tasks: each line has the name of its own' two

killed() {
	lua <<'END'
local rota = require "rota"
local f = rota.task(function() print "nearly done" io.write("last\twords\n") os.execute("kill -ABRT $PPID") end):with{retries=0}
rota.get(f())
END
	lines err '^sq\.lua:2 [0-9]+\| nearly done$' 1 && lines err '^sq\.lua:2 [0-9]+\| last	words$' 1 &&
	lines err 'killed by SIGABRT; it printed last: nearly done / last words' 1 &&
	awk '/\| last/ { l = NR } /^rlua: / { e = NR } END { exit !(l && l < e) }' err || { cat err; return 1; }
}
check 'a killed worker'\''s last lines come before its error, which quotes them' killed
silent() {
	lua <<'END'
local rota = require "rota"
rota.get(rota.task(function() print "of another task" end)())
rota.sleep(0.1)
local f = rota.task(function() os.execute("kill -ABRT $PPID") end):with{retries=0}
rota.get(f())
END
	lines err 'killed by SIGABRT' 1 && lines err 'printed last' 0
}
check 'what earlier tasks of that worker printed is not quoted' silent
raised() {
	lua <<'END'
local rota = require "rota"
rota.get(rota.task(function() print "so far" error "no further" end)())
END
	awk '/\| so far/ { l = NR } /^rlua: / { e = NR } END { exit !(l && l < e) }' err || { cat err; return 1; }
}
check 'what a task printed is shown before the error that ends the program' raised
exits_() {
	lua <<'END'
local rota = require "rota"
for i = 1, 20 do rota.get(rota.task(function(i) print("line " .. i) end)(i)) end
os.exit(3)
END
	[ $? -eq 3 ] && lines err '\| line' 20
}
check 'all that was printed is there when the program has ended, also by os.exit' exits_

repeats() {
	cat >sq.lua <<'END'
local rota = require "rota"
local f = rota.task(function() for i = 1, 1000 do print "again" end print "{" print "}" print "{" print "}" print "" print "" end)
rota.get(f())
END
	timeout 60 rlua sq.lua 2>err && lines err '\| again$' 1 && lines err '\| again \[999 more\]$' 1 &&
	lines err '\| [{}]$' 4 && lines err '\| $' 2 || return
	ROTA_OUTPUT=all timeout 60 rlua sq.lua 2>err && lines err '\| again$' 1000 && lines err more 0 || return
	ROTA_OUTPUT=none timeout 60 rlua sq.lua 2>err && lines err '' 0 || return
	sed -i '1a rota.init{output="none"}' sq.lua && timeout 60 rlua sq.lua 2>err && lines err '' 0 || return
	exits 1 env ROTA_OUTPUT=x rlua sq.lua 2>err || [ $? -eq 1 ]
	sed -i '2d' sq.lua
	ROTA_OUTPUT=x rlua sq.lua 2>err || lines err "ROTA_OUTPUT is 'x': expected collapse, all or none" 1
}
check 'repeats are counted; ROTA_OUTPUT and rota.init{output=} show all or nothing' repeats
workers() {
	lua <<'END' || { cat err; return 1; }
local rota = require "rota"
local A = rota.actor{ say = function(self, i) print("step " .. i) end }
local a = {}
for i = 1, 4 do a[i] = A() end
for s = 1, 5 do local r = {} for i = 1, 4 do r[i] = a[i]:say(s) end rota.get(r) end
END
	lines err '\| step [1-5]$' 5 && lines err '\| step [1-5] \[3 more, of several workers\]$' 5
}
check 'the same line of several workers is shown once, and counted' workers

flood() {		# four workers, into a pipe: nothing is lost, cut or mixed
	cat >sq.lua <<'END'
local rota = require "rota"
local f = rota.task(function(k) for i = 1, 20000 do print(k, i, ("x"):rep(i % 100)) end io.write(("y"):rep(10000), "\n") end)
local r = {}
for k = 1, 4 do r[k] = f(k) end
rota.get(r)
END
	ROTA_OUTPUT=all timeout 60 rlua sq.lua 2>&1 >/dev/null | cat >got
	lines got '^sq\.lua:2 [0-9]+\| [1-4]	[0-9]+	x*$' 80000 && lines got '^sq\.lua:2 [0-9]+\| y+$' 12 && lines got '' 80012 &&
	[ "$(grep y got | sed 's/.*| //' | tr -d '\n' | wc -c)" -eq 40000 ]
}
check 'four workers that print all the time: every line arrives whole, long ones in pieces' flood

blocked() {		# a stderr that nobody reads
	mkfifo pipe && cat >sq.lua <<'END'
local rota = require "rota"
local f = rota.task(function() for i = 1, 100000 do print(i, ("x"):rep(100)) end return 1 end)
rota.get{ f(), f() }
local g = rota.task(function(x) return x end)
for i = 1, 1000 do rota.get(g(i)) end
print "done"
END
	exec 8<>pipe
	timeout 30 rlua sq.lua 2>pipe >out 8<&- </dev/null
	e=$?
	exec 8<&-
	[ "$e" -eq 0 ] || { echo "exit $e"; cat out; return 1; }
	prints done cat out
}
check 'a driver whose stderr nobody reads is not blocked, nor are its tasks' blocked
shared=$ROTA_DIR
own() {			# own NAME: a directory where no node of a test before this one may still be ending
	ROTA_DIR=$TMP/$1
	mkdir -m 700 "$ROTA_DIR"
}
stopped() {
	cat >sq.lua <<'END'
local rota = require "rota"
local f = rota.task(function() for i = 1, 50000 do print(i, ("x"):rep(100)) end return 1 end)
rota.get(f())
local pid = assert(io.popen("cat $ROTA_DIR/pid")):read "n"
os.execute("kill -STOP " .. pid)
for i = 1, 5 do rota.get(f()) end
os.execute("kill -CONT " .. pid)
print "done"
END
	own stopped
	serve rlet -p --ready-fd 3
	echo "$pid" >"$ROTA_DIR/pid"
	timeout 60 rlua sq.lua 2>err >out </dev/null
	e=$?
	kill -CONT "$pid"; gone "$pid"; pid=''
	ROTA_DIR=$shared
	[ "$e" -eq 0 ] || { echo "exit $e"; cat out err; return 1; }
	prints done cat out
}
check 'tasks go on printing while rlet is stopped' stopped

size() {		# the file of a worker that prints much is held to some MiB
	cat >sq.lua <<'END'
local rota = require "rota"
local f = rota.task(function() for i = 1, 250000 do print(i, ("x"):rep(100)) end return 1 end)
rota.get(f())
os.execute("cd $ROTA_DIR/log-* && f=$(ls -t *.log | head -1) && du -k $f && ls -l $f")
END
	e=0
	ROTA_OUTPUT=none timeout 90 rlua sq.lua >out 2>err || e=$?
	[ "$e" -eq 0 ] && awk 'NR == 1 { k = $1 } NR == 2 { b = $5 } END { exit !(k < 20000 && b > 25000000) }' out ||
	{ echo "exit $e"; cat out err; return 1; }
}
check 'a worker'\''s file is bounded: its oldest part goes back to the disk' size

left() {
	dir=$(echo "$ROTA_DIR"/log-*)
	[ -d "$dir" ] || { echo "no such directory: $dir"; return 1; }
	gone "${dir##*-}"
	[ ! -e "$dir" ] || { ls -l "$dir"; return 1; }
}
check 'an ephemeral node removes its files' left
swept() {
	cat >sq.lua <<'END'
local rota = require "rota"
rota.get(rota.task(function() print "x" end)())
os.execute("ls $ROTA_DIR | grep log- >seen; kill -KILL " .. io.popen("cat $ROTA_DIR/pid"):read "a")
END
	own swept
	serve rlet -p --ready-fd 3
	echo "$pid" >"$ROTA_DIR/pid"
	timeout 30 rlua sq.lua 2>err
	gone "$pid"; pid='' dir=$ROTA_DIR
	[ -s seen ] && [ -d "$dir/$(cat seen)" ] || { ROTA_DIR=$shared; echo 'no directory of logs'; cat err; return 1; }
	echo 'require "rota".init()' >sq.lua
	rlua sq.lua && [ ! -e "$dir/$(cat seen)" ]
	e=$?
	ROTA_DIR=$shared
	return "$e"
}
check 'the files of a node that was killed go with the next one' swept

lasting() {
	rota up -q -c 2 >/dev/null || return
	lua <<'END' || { cat err; return 1; }
local rota = require "rota"
local A = rota.actor{ say = function(self, x) print(x) return 1 end }
local a = A:with{name="talker", detached=true}()
rota.get(a:say("to the file"))
rota.get(rota.task(function() print "shown" end)())
END
	lines err '' 1 && lines err '\| shown' 1 || return
	cat "$XDG_STATE_HOME"/rota/log/*.log | sort | tr '\n' ' ' >got
	prints 'shown to the file ' cat got || return
	rota down -q --force || return
	grep -q shown "$XDG_STATE_HOME"/rota/log/*.log || { echo 'the files of the last run are gone'; return 1; }
	rota up -q -c 2 >/dev/null && lua <<'END' || return
local rota = require "rota"
rota.get(rota.task(function() print "next" end)())
END
	grep -q shown "$XDG_STATE_HOME"/rota/log/*.log && grep -q next "$XDG_STATE_HOME"/rota/log/*.log || { echo 'files are gone'; return 1; }
	rota down -q --purge && [ ! -e "$XDG_STATE_HOME/rota/log" ]
}
check 'a lasting node keeps them in its state, also what a detached actor prints; --purge removes them' lasting

full() {		# a full log disk loses lines, and says so once, but no work
	mkdir -p small && mount -t tmpfs -o size=200k,mode=700 rota-small small 2>/dev/null || { echo 'no mount: skipped'; return 0; }
	cat >sq.lua <<'END'
local rota = require "rota"
os.execute("head -c 190000 /dev/zero >$ROTA_DIR/filler 2>/dev/null")
local f = rota.task(function(k) for i = 1, 5000 do assert(io.write(k, " ", i, ("x"):rep(100), "\n")) end return k end)
local r = {}
for k = 1, 4 do r[k] = f(k) end
rota.get(r)
os.remove(os.getenv "ROTA_DIR" .. "/filler")
print(rota.get(rota.task(function() print "room again" return "done" end)()))
END
	# the reader comes late: nothing can be given back to the disk before
	ROTA_DIR=$TMP/small timeout 60 rlua sq.lua >out 2>err || { cat err; return 1; }
	lines err '^rota: lines of worker [0-9]+ are lost: cannot write .*No space left on device$' 1 && prints done cat out
}
check 'a full disk: lines are lost, which is said once, work is not' full
done_testing
