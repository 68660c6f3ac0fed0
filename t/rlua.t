#!/bin/sh
# rlua.t - the command line, statuses, prompt and Ctrl-C of rlua are lua5.4's, plus the suite's options
. "${0%/*}/lib.sh"
. "${0%/*}/page.sh"
unset LUA_INIT LUA_INIT_5_4
w=$TMP/w
mkdir "$w"
cat >"$w/args.lua" <<'END'
#!/usr/bin/env rlua
local low = 0
while arg[low - 1] do low = low - 1 end
for i = low, #arg do io.write(i, "=", i == low and "prog" or arg[i], " ") end
print(...)
END
echo 'error "boom"' >"$w/boom.lua"
echo 'x = = 1' >"$w/syntax.lua"
echo 'M = {} function M.f() return "from mod" end return M' >"$w/mod.lua"
echo 'error(setmetatable({}, {__tostring = function() return "object" end}))' >"$w/object.lua"
echo 'error {}' >"$w/table.lua"
echo 'os.exit(7)' >"$w/exit.lua"
echo 'warn("@on", "x") warn "loud"' >"$w/warn.lua"
printf 'io.write(io.read("a"))' >"$w/read.lua"

# --- the same as lua5.4: stdout, stderr but for the program's name, status
both() {		# both ARG...: in $w, stdin is $TMP/in
	(cd "$w" && lua5.4 "$@" <"$TMP/in" >"$TMP/o1" 2>"$TMP/e1"; echo "status $?" >>"$TMP/o1")
	(cd "$w" && rlua "$@" <"$TMP/in" >"$TMP/o2" 2>"$TMP/e2"; echo "status $?" >>"$TMP/o2")
	sed -i 's/^lua5\.4: /rlua: /' "$TMP/e1"
	sed -i '/\.\.\/share/d' "$TMP/e2"		# where ours are
	diff "$TMP/o1" "$TMP/o2" && diff "$TMP/e1" "$TMP/e2"
}
same() { : >"$TMP/in"; check "as lua5.4: $*" both "$@"; }
if command -v lua5.4 >/dev/null; then
	same args.lua a 'b c'
	same -e 'x = 1' -W args.lua -v
	same -- args.lua -e
	same -ex=2 -e 'print(x)'
	same -lmod -e 'print(mod.f())'
	same -l m=mod -e 'print(m.f(), mod)'
	same -l nomod
	same -e 'print(1' args.lua
	same -e 'error()'
	same -e 'print(...)' - x y
	same boom.lua
	same syntax.lua
	same object.lua
	same table.lua
	same exit.lua
	same warn.lua
	same -W -e 'warn "quiet"'
	same nofile.lua
	same -v
	same -v -e 'print(1)'
	same -E -e 'print(os.getenv "LUA_INIT")'
	same -e 'arg = nil' args.lua
	same -e 'print(collectgarbage "incremental")'
	echo 'print("from stdin", ...)' >"$TMP/in"
	check 'as lua5.4: a script on stdin' both
	check 'as lua5.4: - and arguments' both - 1 2
	printf '# comment\nreturn 1' >"$TMP/in"
	check 'as lua5.4: -- -' both -- -
	echo 'data' >"$TMP/in"
	check 'as lua5.4: a script reads stdin' both read.lua
	with() { init=$1; shift; : >"$TMP/in"; check "as lua5.4: LUA_INIT=$init $*" begun "$@"; }
	begun() { LUA_INIT=$init both "$@"; }
	with 'print "init"' -e 'print "then"'
	with 'print "init"' -E -e 'print "then"'
	with @mod.lua -e 'print(M.f())'
	with 'error "no"' -e 'print "never"'
fi
check 'shebang' prints '-1=prog 0=args.lua 1=a a' sh -c 'cd "$TMP/w" && chmod +x args.lua && PATH=$O/bin:$PATH ./args.lua a | sed "s|=./args|=args|"'
check 'a syntax error has file and line, status 1' says 'syntax.lua:1: ' sh -c 'cd "$TMP/w" && rlua syntax.lua'
check 'its status' exits 1 rlua "$w/syntax.lua"

# --- the suite's
check '-V' prints 'rlua (rota) 0.1.0, Lua 5.4.4, protocol 1' rlua -V
check '--version' prints "$(rlua -V)" rlua --version
check '-h' sh -c 'rlua -h | grep -q "^usage: rlua"'
check 'nearest name' says "unknown option '--adress'; did you mean '--address'?" rlua --adress x
check 'unknown letter' says "unknown option '-x'; see rlua -h" rlua -x
check 'status of wrong usage' exits 2 rlua -x
check 'bundles are unknown' exits 2 rlua -ie 'x=1'
check 'a value is missing' says "option '-e' needs a value" rlua -e
check 'lua'"'"'s rule: no value begins with -' exits 2 rlua -e -v
check '-A reaches the script' prints 'local	x' rlua -A local --namespace=x -e 'print(os.getenv "ROTA_ADDRESS", os.getenv "ROTA_NAMESPACE")'
check '-A and -N skip their values' prints 'a	b' sh -c 'rlua -A local --namespace x -Ny $TMP/w/args.lua a b | sed "s/.* //"'
check 'words for completion' sh -c 'rlua --complete-words | grep -qx -e --address'
check 'a full stdout is told' says 'cannot write to stdout: No space left on device' sh -c 'rlua -e "print(1)" >/dev/full'
check 'an error of the script is 1' exits 1 sh -c 'rlua -e "error [[x]]" 2>/dev/null'
check 'and is 125' exits 125 sh -c 'rlua -e "print(1)" >/dev/full'
check 'nothing is started without need' sh -c 'rlua -l rota -e "print(rota.task)" && test ! -e "$ROTA_DIR"'
check 'tasks run' prints 9 rlua -l rota -e 'print(rota.get(rota.task(function(x) return x * x end)(3)))'
check 'no cluster is an error' exits 125 rlua -A local -l rota -e 'rota.put(1)'
check 'and a socket that is not there' exits 125 rlua -A unix:/nonexistent -l rota -e 'rota.put(1)'
check 'a directory that cannot be: once why' says "cannot create '/dev/null/x': Not a directory" env ROTA_DIR=/dev/null/x rmap true ::: a
check 'and not twice' sh -c '! ROTA_DIR=/dev/null/x rmap true ::: a 2>&1 | grep "directory.*directory"'
check 'a failure that nobody fetched names its task' sh -c "rlua -l rota -e 'rota.task(function() error \"boom\" end):with{name=\"bang\"}() rota.sleep(0.2)' 2>&1 |
	grep 'rota: task bang failed and its result was never fetched: (command line):1: boom'"
check 'an error of a task: where it was, then who waited' prints 'rlua: (command line):2: odd
in task t, stack traceback:
	(command line):2: in function <(command line):1>
	(command line):3: in main chunk' sh -c 'rlua -l rota -e "local t = rota.task(function(x)
	local y <const> = x or error \"odd\" return y end):with{name = \"t\"}
	rota.get(t())" 2>&1 | grep -v -e "\[C\]" -e "^stack"'

# --- the prompt
repl() { printf '%s\n' "$@" | rlua -q -i 2>&1 | sed 's/^\(>>* \)*//; /^$/d'; }
check 'expressions, =, statements, several lines' prints '3
1	2
4
x
y' repl '1 + 2' '= 1, 2' 'a = 4' 'a' 'for _, v in ipairs {"x",' '"y"} do print(v) end'
check 'errors do not end it' prints 'rlua: stdin:1: oops
7' sh -c 'printf "error(\"oops\")\n7\n" | rlua -q -i 2>&1 | sed "s/^\(> \)*//; /^stack/d; /^	/d; /^$/d"'
check 'a syntax error' prints "rlua: stdin:1: syntax error near <eof>" sh -c 'printf "x x" | rlua -q -i 2>&1 >/dev/null | sed "s/near .*/near <eof>/"'
check 'an open statement at the end of the input' sh -c 'printf "do\n" | rlua -q -i 2>&1 >/dev/null | grep -q "<eof>"'
check 'rota is there' prints 16 repl 'rota.get(rota.task(function(x) return x * x end)(4))'
check 'prompts' prints '$ 1
$ ' sh -c "printf '1\n' | rlua -q -e '_PROMPT = \"$ \"' -i"
check 'the greeting, and -q' sh -c 'test "$(rlua -i </dev/null | head -1)" = "$(rlua -V)" && test "$(rlua -q -i </dev/null)" = "> "'
check 'on a terminal without -i' sh -c 'command -v script >/dev/null || exit 0; echo "6 * 7" | script -qec rlua /dev/null | grep -q 42'
check '-i after a script' prints 5 sh -c 'echo "y = 5" >$TMP/y.lua; echo y | rlua -q -i $TMP/y.lua | tr -d "> \n"'

# --- Ctrl-C
cat >"$w/int.lua" <<'END'
local rota = require "rota"
local slow = rota.task(function(x) rota.sleep(x) return x end)
local what = arg[1]
local quick = slow(0)
rota.get(quick)
io.stderr:write("ready\n")
if what == "loop" then while true do end
elseif what == "get" then rota.get(slow(60))
elseif what == "wait" then rota.wait{slow(60)}
elseif what == "sleep" then rota.sleep(60)
elseif what == "method" then slow(60):wait()
elseif what == "each" then for _ in rota.each{slow(60)} do end
elseif what == "coroutine" then coroutine.wrap(function() rota.get(slow(60)) end)()
elseif what == "pcall" then
	local ok, err = pcall(function() io.stderr:write("now\n") return rota.get(slow(60)) end)
	print(ok, err:match "interrupted!", rota.get(slow(0)))
	os.exit(3)
elseif what == "deaf" then pcall(function() io.stderr:write("now\n") while true do end end) io.stderr:write("again\n") while true do end
end
print "not reached"
END
start() {		# start WHAT: runs in $pid, which said ready
	rm -f "$TMP/err.fifo"; mkfifo "$TMP/err.fifo"
	env --default-signal=INT rlua "$w/int.lua" "$1" >"$TMP/out" 2>"$TMP/err.fifo" &
	pid=$!
	exec 4<"$TMP/err.fifo"
	read -r _ <&4
}
ended() {		# its status in $got, the rest of its stderr in $TMP/err
	cat <&4 >"$TMP/err"
	exec 4<&-
	got=0; wait "$pid" || got=$?
	pid=''
}
interrupts() {		# interrupts WHAT: the message is told and the signal ends it
	start "$1"
	kill -INT "$pid"
	ended
	cat "$TMP/out" "$TMP/err"
	[ "$got" -eq 130 ] && grep -q 'interrupted!' "$TMP/err" && [ ! -s "$TMP/out" ]
}
for what in loop get wait sleep method each coroutine; do check "Ctrl-C ends $what" interrupts $what; done
caught() {
	start pcall
	read -r _ <&4
	kill -INT "$pid"
	ended
	cat "$TMP/out" "$TMP/err"
	[ "$got" -eq 3 ] && grep -qx 'false	interrupted!	0' "$TMP/out"
}
check 'a script may catch it and go on' caught
second() {
	start deaf
	read -r _ <&4
	kill -INT "$pid"
	read -r _ <&4
	kill -INT "$pid"
	ended
	[ "$got" -eq 130 ]
}
check 'a second one ends it whatever it does' second
cat >"$w/dies.lua" <<'END'
io.popen("kill -INT $PPID"):close()
while arg[1] == "loop" do end
print(1)
END
cat >"$w/how.lua" <<'END'
local _, how, n = os.execute("exec env --default-signal=INT rlua " .. arg[1] .. " loop 2>/dev/null")
print(how, n)
END
check 'its parent sees a death by the signal' prints 'signal	2' rlua "$w/how.lua" "$w/dies.lua"
check 'ignored stays ignored' prints 1 sh -c 'trap "" INT; exec rlua $TMP/w/dies.lua'

page_examples man/rlua.1
unusable() { mkdir -m 755 "$TMP/open"; ROTA_DIR=$TMP/open exits 125 rlua -e 'require "rota".init()' 2>"$TMP/err" && grep -q "has mode 0755, expected 0700$" "$TMP/err"; }
check 'a directory that cannot be used: no cluster' unusable
done_testing
