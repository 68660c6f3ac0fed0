#!/bin/sh
# rlet.t - the node daemon as users meet it: options, sockets, idleness, and that nothing outlives what started it
. "${0%/*}/lib.sh"
command -v rlua >/dev/null || skip_all 'needs rlua'
XDG_STATE_HOME=$TMP/state ROTA_STORE=256M
export XDG_STATE_HOME ROTA_STORE
lua() { cat >"$TMP/$1"; }		# a script that the tests below run
ended() {		# ended PID...: waits until none of them runs, at most 10 s; a zombie of init's does not
	for p; do
		i=0
		while [ -d "/proc/$p" ] && ! grep -q '^State:.Z' "/proc/$p/status" 2>/dev/null; do
			i=$((i + 1))
			[ "$i" -lt 500 ] || { ps -fp "$p"; return 1; }
			timeout 0.02 tail -f /dev/null
		done
	done
	:
}
files() {		# files NAME...: they appear with something in them, at most 10 s
	for f; do
		i=0
		while [ ! -s "$TMP/$f" ]; do
			i=$((i + 1))
			[ "$i" -lt 500 ] || { echo "no $f"; return 1; }
			timeout 0.02 tail -f /dev/null
		done
	done
}

lua pid.lua <<'END'
local rota = require "rota"
local what = arg[1]
local t = rota.task(function(dir, how)
	local function put(name, v) local f = io.open(dir .. "/" .. name, "w"); f:write(v, "\n"); f:close() end
	if how == "env" then
		local p = io.popen("pwd")
		return (os.getenv("FOO") or "none") .. " " .. p:read("l")
	end
	os.execute("setsid sleep 1000 >/dev/null 2>&1 & echo $! >" .. dir .. "/orphan")
	os.execute("sleep 1001 >/dev/null 2>&1 & echo $! >" .. dir .. "/child")
	put("worker", io.open("/proc/self/stat"):read("n"))
	if how == "exit" then os.exit(3) end
	if how == "kill" then os.execute("kill -9 $PPID") end
	while true do end
end):with{retries = 0}
local v, e = rota.pget(t(os.getenv("TMP"), what))
print(v or e)
END

check 'neither -p nor -l is usage' exits 2 rlet
check 'both are' exits 2 rlet -p -l
check 'a path is no name' says "is a name in the user's directory" rlet -p --socket /x/y
check 'a bad number' says "cannot use 'x' for -c" rlet -p -c x
check 'a bad resource' says "cannot use resource 'ssd'" rlet -p -R ssd
check 'its status' exits 2 rlet -p -R ssd
check 'an operand' says "unexpected operand 'now'" rlet -p now
wrong_dir() { mkdir -m 755 "$TMP/open"; ROTA_DIR=$TMP/open says "has mode 0755, expected 0700" rlet -p; }
check 'a directory that others may enter' wrong_dir
small_files() { (ulimit -f 0; rlet -p 2>&1; echo "status $?") | cat >"$TMP/o"; grep -q 'File too large.*ulimit -f' "$TMP/o" && grep -qx 'status 125' "$TMP/o" || { cat "$TMP/o"; return 1; }; }
check 'a limit of files that leaves no room for its memory is said' small_files
few() { (ulimit -n 64; says "only 64 open files are allowed" rlet -p --socket few.sock); }
check 'too few descriptors' few
in_the_way() {
	mkdir -m 700 "$TMP/way" && echo precious >"$TMP/way/shared.sock" || return
	ROTA_DIR=$TMP/way says 'is in the way: it is no socket' rlet -p && prints precious cat "$TMP/way/shared.sock"
}
check 'a file in place of the socket stays' in_the_way
large() {
	mkdir -m 700 "$TMP/small" && ROTA_DIR=$TMP/small ROTA_STORE=2M prints full \
		rlua -l rota -e 'local _, e = pcall(rota.put, ("x"):rep(8 << 20)) print(e.code)'
}
check 'an object larger than the store' large

notified() {		# READY=1 to NOTIFY_SOCKET, as services are started; a task does not find the variable
	command -v perl >/dev/null || return 0
	mkfifo "$TMP/listens"
	perl -MIO::Socket::UNIX -MSocket -e '$s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$ENV{TMP}/notify") or die $!;
		open F, ">", "$ENV{TMP}/listens"; close F; $SIG{ALRM} = sub { exit 1 }; alarm 20; recv($s, $b, 4096, 0); print $b' >"$TMP/said" & s=$!
	read -r _ <"$TMP/listens"
	NOTIFY_SOCKET=$TMP/notify "$@" & d=$!
	wait $s || { kill $d; return 1; }
	grep -qx READY=1 "$TMP/said" && grep -qx "MAINPID=$d" "$TMP/said" || { cat "$TMP/said"; kill $d; return 1; }
	kill $d
	exits 0 wait $d
	rm -f "$TMP/notify" "$TMP/listens"
}
check 'NOTIFY_SOCKET is told that rlet serves; TERM ends it with 0' notified rlet -p --socket n.sock
check 'and rgcs' notified rgcs --dir "$TMP/gcs"
env_of_driver() { cd "$TMP" && FOO=bar prints "bar $TMP" rlua pid.lua env; }
check "a task has its driver's environment and directory" env_of_driver
crash() {
	rm -f "$TMP/worker" "$TMP/orphan" "$TMP/child"
	rlua "$TMP/pid.lua" "$1" >"$TMP/out" 2>&1 || return
	files worker orphan child && ended "$(cat "$TMP/worker")" "$(cat "$TMP/orphan")" "$(cat "$TMP/child")" || return
	grep -q "worker $(cat "$TMP/worker") $2" "$TMP/out" || { cat "$TMP/out"; return 1; }
}
check 'exit in a task: the error says so, what it started is gone' crash exit 'called exit(3)'
check 'a killed task: the same' crash kill 'killed by SIGKILL'
driver_killed() {
	rm -f "$TMP/worker" "$TMP/orphan" "$TMP/child"
	rlua "$TMP/pid.lua" spin >/dev/null 2>&1 &
	d=$!
	files worker orphan child || return
	kill -9 "$d"; wait "$d"
	ended "$(cat "$TMP/worker")" "$(cat "$TMP/orphan")" "$(cat "$TMP/child")"
}
check 'a killed driver: nothing of its job is left' driver_killed
node_killed() {
	rm -f "$TMP/worker" "$TMP/orphan" "$TMP/child"
	serve rlet -p --ready-fd 3 --socket own-1.sock
	ROTA_ADDRESS=unix:$ROTA_DIR/own-1.sock rlua "$TMP/pid.lua" spin >/dev/null 2>&1 &
	d=$!
	files worker orphan child || return
	z=$(awk '{print $4}' "/proc/$(cat "$TMP/worker")/stat")
	kill -9 "$pid"
	wait "$pid"
	pid=
	ended "$z" "$(cat "$TMP/worker")" "$(cat "$TMP/orphan")" "$(cat "$TMP/child")" && ended "$d"
}
check 'a killed node: nothing is left' node_killed

lasting() {
	serve rlet -l --ready-fd 3 -c 3 -R ssd=2
	[ -S "$ROTA_DIR/local.sock" ] && [ -S "$ROTA_DIR/gcs.sock" ]
}
check 'a lasting node starts the control store' lasting
check 'there is one of them' says 'a lasting node runs already' rlet -l
check 'programs find it' prints 3 rlua -e 'local rota = require "rota" rota.init() print(rota.get(rota.task(function() return 3 end)()))'
check 'a resource it has not' prints 'needs 3 ssd; this node has 2' rlua -e '
	local rota = require "rota"
	local _, e = rota.pget(rota.task(function() end):with{resources = {ssd = 3}}())
	print((tostring(e):match("needs.*this node has %d")))'
still() {
	d=$(cat "/proc/$pid/task/$pid/children")	# $pid is the keeper
	z="${d% *} $(cat "/proc/${d%% *}/task/${d%% *}/children")"
	# shellcheck disable=SC2086
	timeout 2 strace -qq $(for p in $pid $z; do echo "-p $p"; done) -o "$TMP/calls" 2>"$TMP/strace"
	grep -q 'not permitted' "$TMP/strace" && return 0
	grep -v 'epoll_wait(\|poll(\|wait4(\|restart_syscall' "$TMP/calls" >"$TMP/more"
	[ ! -s "$TMP/more" ] && [ "$(wc -l <"$TMP/calls")" -le 6 ] || { cat "$TMP/calls"; return 1; }
}
idle() {		# at rest neither it nor the zygote makes a system call, once memory was looked at for the last time
	command -v strace >/dev/null || return 0
	still >"$TMP/seen" || still >"$TMP/seen" || still
}
heirloom() {		# a program is killed while the node that it starts does not serve yet: the next one waits for that, and starts no other
	export ROTA_DIR="$TMP/heirloom" ROTA_BIN="$TMP/slow"
	mkdir -p "$ROTA_BIN" && mkfifo "$TMP/gate" && printf '#!/bin/sh\necho >>"%s"\nread -r _ <"%s"\nexec rlet "$@"\n' "$TMP/starts" "$TMP/gate" >"$ROTA_BIN/rlet" &&
	chmod +x "$ROTA_BIN/rlet" && : >"$TMP/starts" || return
	rlua -e 'require "rota".init()' &
	first=$!
	timeout 20 tail -f "$TMP/starts" | head -1 >/dev/null
	kill -9 "$first"; wait "$first"
	rlua -e 'require "rota".init() print "joined"' >"$TMP/second" 2>&1 &
	second=$!
	until [ "$(wc -l <"$TMP/starts")" -gt 1 ] || grep -q -e "-> FLOCK .* $second " /proc/locks; do kill -0 "$second" || break; done
	echo >"$TMP/gate"
	[ "$(wc -l <"$TMP/starts")" = 1 ] && wait "$second" && grep -qx joined "$TMP/second" || { cat "$TMP/starts" "$TMP/second"; kill "$second"; return 1; }
}
check 'a program dies while it starts a node' heirloom
export ROTA_DIR="$TMP/rota"
unset ROTA_BIN
check 'at rest it does nothing' idle
term() { kill "$pid"; exits 0 wait "$pid"; pid=; [ ! -e "$ROTA_DIR/local.sock" ]; }
check 'TERM ends it with 0' term
rota down -q 2>/dev/null
[ ! -e "$ROTA_DIR/gcs.sock" ] && left=0 || left=1
check 'and rota down the store' [ "$left" -eq 0 ]
done_testing
