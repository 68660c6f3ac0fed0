#!/bin/sh
# first.t - the first ten minutes of somebody new: what a naive tool would leave unsaid is said, in one line each
. "${0%/*}/lib.sh"
XDG_STATE_HOME=$TMP/state ROTA_STORE=64M
export XDG_STATE_HOME ROTA_STORE
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
tree=$PWD
cd "$TMP" || exit 1
lua() { cat >sq.lua; timeout 30 rlua sq.lua >out 2>err; }
tty() {			# tty CMD: on a terminal that is not typed into; 1 where there is none to be had
	command -v script >/dev/null || return 1
	timeout 20 script -qec "$1" /dev/null </dev/null | tr -d '\r' >seen
}

# --- make
asks() {		# what make demo would install is said before sudo asks; the last line of make says how to go on
	grep -q 'will install with apt: .*sudo will ask' "$tree/Makefile" && grep -q 'to use it from here: . $(O)/env' "$tree/Makefile"
}
elsewhere() {		# not Linux: one line
	mkdir -p fake && printf '#!/bin/sh\necho Darwin\n' >fake/uname && chmod +x fake/uname
	PATH=$TMP/fake:$PATH exits 2 make -s -C "$tree" -n all 2>err
	grep -q 'rota needs Linux 5.10 or later (memfd, pidfd, futex)' err || { cat err; return 1; }
}
installs() {		# with make deps: a missing package is named on the first line, before anything is installed
	mkdir -p fakeapt
	printf '#!/bin/sh\nexit 1\n' >fakeapt/dpkg-query; printf '#!/bin/sh\necho apt "$@"\n' >fakeapt/apt-get
	printf '#!/bin/sh\necho apt "$@"\n' >fakeapt/apt; printf '#!/bin/sh\nshift $#; exit 0\n' >fakeapt/sudo
	chmod +x fakeapt/*
	MAKEFLAGS= MAKELEVEL= PATH=$TMP/fakeapt:$PATH make -s -C "$tree" deps PACKAGES=no-such-package >o 2>&1
	head -1 o | grep -q 'make: will install with apt: no-such-package' || { cat o; return 1; }
}
last_line() { MAKEFLAGS= MAKELEVEL= make -s -n -C "$tree" O="$O" READY= all 2>&1 | tail -1 | grep -qx "echo 'to use it from here: . $O/env'"; }
check 'make says what it would install with apt' asks
check 'and does so first of all' installs
check 'make elsewhere than on Linux: one line' elsewhere
check 'the last line of make says how to use it from here' last_line
by_env() { env -i HOME="$HOME" PATH=/usr/bin:/bin sh -c ". '$O/env' && command -v rmap && rmap -h | head -1 && man -w rmap" >o 2>&1 && grep -qx "$O/bin/rmap" o && grep -q '^usage: rmap' o || { cat o; return 1; }; }
check '. build/env: programs and pages are found' by_env

# --- rota
suite() { rota >o && for p in rota rlua rmap robj rstat rlet rgcs; do grep -q "^  $p " o || { cat o; return 1; }; done; [ "$(wc -l <o)" -le 14 ] && tail -1 o | grep -qx 'man 7 rota'; }
check 'rota alone: a line for each program, what runs, which page' suite

# --- rmap
: >a.log; : >b.log
check 'ls *.log | rmap gzip' sh -c 'ls *.log | rmap gzip && ls *.gz | xargs | grep -qx "a.log.gz b.log.gz"'
waits() { tty 'timeout --foreground 2 rmap -j1 cat a.log.gz' || return 0; grep -qF 'rmap: reading items from the terminal, one a line; end with Ctrl-D (or: rmap cat ::: a.log.gz)' seen || { cat seen; return 1; }; }
check 'rmap COMMAND FILE on a terminal: it says what it waits for, and what was meant' waits
check 'a command with && in one word: 127' exits 127 sh -c "echo a | rmap 'gzip {} && mv {}.gz out/' 2>/dev/null"
check 'and the hint' says "rmap: 'gzip {} && mv {}.gz out/' is no program; for shell text use: rmap -s 'gzip {} && mv {}.gz out/'" \
	sh -c "echo a | rmap 'gzip {} && mv {}.gz out/'"
beside() {		# work in another terminal is seen from here
	mkfifo go
	rmap -j 2 -s 'read x <"{}"' ::: go & w=$!
	i=0; until rstat 2>err; grep -q 'private ones' err; do i=$((i + 1)); [ $i -lt 3000 ] || break; done
	cat err
	grep -qE '^rstat: no lasting node here; private ones: [0-9]+ \(rmap read x.*, [0-9.]+(us|ms|s)\)\. Look with: rstat -A pid:[0-9]+$' err
	r=$?; echo >go; wait $w; return $r
}
check 'rstat beside a private node: which there are, and how to look' beside

# --- rlua
on_tty() {		# on a terminal a prompt, with rota and = expr
	command -v script >/dev/null || return 0
	echo '= rota.get(rota.task(function(x) return x * x end)(7))' | timeout 20 script -qec rlua /dev/null | tr -d '\r' | grep -q 49
}
check 'rlua on a terminal: a prompt with rota at hand, = expr prints' on_tty
check 'its page: a local lives for one line' grep -q 'lives for one line' "$tree/man/rlua.1"
globals() { lua <<'E' && prints 10 cat out; }
local rota = require "rota"
function helper(x) return x * 2 end
print(rota.get(rota.task(function(x) return helper(x) end)(5)))
E
check 'a global function of the script is used in a task' globals
hint() { lua <<'E' && grep -qF "attempt to call a nil value (global 'helper') (a global of the script; it could not travel: " out || { cat out err; return 1; }; }
local rota = require "rota"
helper = coroutine.wrap(function() end)
print(select(2, rota.pget(rota.task(function(x) return helper(x) end)(5))))
E
check 'one that cannot travel: why' hint
standard() { lua <<'E' && ! grep -q 'could not travel' out && grep -q "global 'sring'" out || { cat out err; return 1; }; }
local rota = require "rota"
print(select(2, rota.pget(rota.task(function() return sring.rep("x", 2) end)())))
E
check 'a name that the script has not either: no hint' standard
modules() { lua <<'E' && prints 'function	3' cat out || { cat err; return 1; }; }
local rota = require "rota"
local core, len = require "rota.core", string.len		-- one written in C, and a function of another
print(rota.get(rota.task(function() return type(core.duration), len "abc" end)()))
E
check 'local m = require "m", a C module, used in a task' modules
shown() { lua <<'E' && grep -qE '^ref [0-9a-f]+ \(task sq\.lua:2\)$' out || { cat out err; return 1; }; }
local rota = require "rota"
local square = rota.task(function(x) return x * x end)
print(square(3))
E
check 'print of a ref: what it is, and of which task' shown
sums() { lua <<'E'
local rota = require "rota"
local square = rota.task(function(x) return x * x end)
print(square(3) + 1)
E
	grep -qE "sq\.lua:3: arithmetic on a ref [0-9a-f]+ \(task sq\.lua:2\): take its value with rota\.get\(ref\)" err || { cat err; return 1; }; }
check 'arithmetic on a ref: what to do' sums
check 'the first caveat of the page: a ref is always true' sh -c "sed -n '/^.Sh CAVEATS/,\$p' '$tree/man/rota-lua.7' | head -6 | grep -q 'if'"
unseen() { lua <<'E' && grep -qx 'rota: task sq.lua:2 failed and its result was never fetched: sq.lua:2: boom' err || { cat err; return 1; }; }
local rota = require "rota"
local bad = rota.task(function() error "boom" end)
rota.wait(bad())
E
check 'a failed task whose result nobody fetched is told, at the end' unseen
many() { lua <<'E' && [ "$(grep -c 'failed and its result was never fetched' err)" = 5 ] && grep -qx 'rota: 9 tasks failed and their results were never fetched' err || { cat err; return 1; }; }
local rota = require "rota"
local refs = {}
for i = 1, 9 do refs[i] = rota.task(function() error "boom" end)() end
rota.wait(refs, {n = "all"})
E
check 'five of them, and how many there were' many
fetched() { lua <<'E' && [ ! -s err ] || { cat err; return 1; }; }
local rota = require "rota"
local r = rota.task(function() error "boom" end)()
print(rota.pget(r))
E
check 'one that was fetched is not' fetched

# --- robj, a lasting node
check 'private nodes end by themselves' timeout 20 sh -c 'while rota ls | grep -q .; do :; done'
check 'robj put without a node: 125' exits 125 sh -c 'echo x | robj put 2>/dev/null'
check 'and why' says "robj: no node is running: an object would vanish at once. Start one with 'rota up', or name a cluster with -A" sh -c 'echo x | robj put'
check 'rota up' rota up -q -c 2
state() { [ -e "$XDG_STATE_HOME/rota/gcs.db" ] && ! find "$ROTA_DIR" -name 'gcs.db*' | grep -q .; }
check 'what a lasting node must not forget is in the state directory, not beside the sockets' state
check 'FOO=1 rmap sh -c: the caller'"'"'s environment, with a lasting node too' prints 1 sh -c 'FOO=1 rmap -A local -s "echo \$FOO; : {}" ::: x'
check 'and its umask and directory' prints "0027 $TMP" sh -c 'umask 027; rmap -A local -s "echo \$(umask) \$(pwd); : {}" ::: x'
check 'rmap --help is short, on stdout' sh -c 'test "$(rmap --help | wc -l)" -le 24 && test -z "$(rmap --help 2>&1 >/dev/null)"'
check 'rmap --foo: one line' says "rmap: unknown option '--foo'; see rmap -h" rmap --foo
loop() {		# Ctrl-C in a shell's loop ends the loop too: the first rmap dies of the signal
	command -v bash >/dev/null || return 0
	mkfifo up
	env --default-signal=INT bash -c 'for f in 1 2 3; do echo $f; rmap -s "echo >'"$TMP"'/up; exec sleep 1000; : {}" ::: a; done' >loop 2>err & b=$!
	read -r _ <up
	kill -INT $b "$(pgrep -P $b -x rmap)"
	wait $b; st=$?
	cat loop
	[ $st -eq 130 ] && [ "$(cat loop)" = 1 ]
}
check 'Ctrl-C in a loop over rmap ends the loop' loop
check 'rota down' rota down -q --force
check 'a detached actor on a node that ends: said' says 'a detached actor lives no longer than its node' \
	rlua -e 'local rota = require "rota" rota.actor{ f = print }:with{ detached = true, name = "x" }()'
done_testing
