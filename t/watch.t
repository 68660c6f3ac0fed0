#!/bin/sh
# watch.t - memory runs short: who is stopped, what is said, what is tried again; and at rest nobody looks
. "${0%/*}/lib.sh"
command -v rlua >/dev/null || skip_all 'needs rlua'
umask 077
mkdir -p "$ROTA_DIR"
DIR=$TMP
# what is given back counts no more, in a sanitized program too
ASAN_OPTIONS=${ASAN_OPTIONS-}:quarantine_size_mb=1
export DIR ASAN_OPTIONS
cat >"$TMP/hog.lua" <<'LUA'
-- tasks that take memory and keep it until the file go.NAME is there; busy.NAME says that they have it
rota = require "rota"
local dir = os.getenv "DIR"
function fill(mb) local t = {} for i = 1, mb do t[i] = ("x"):rep(1 << 20) end return t end
local function exists(name) local f = io.open(dir .. "/" .. name) if f then f:close() end return f ~= nil end
function take(mb) return #fill(mb) end
function hold(name, mb)
	local t = fill(mb)
	io.open(dir .. "/busy." .. name, "w"):close()
	while not exists("go." .. name) do rota.sleep(0.01) end
	return #t, rota.context().attempt
end
function await(name) local t0 = rota.now() while not exists("busy." .. name) and rota.now() - t0 < 30 do rota.sleep(0.01) end end
function go(name) io.open(dir .. "/go." .. name, "w"):close() end
Hoard = rota.actor { grow = function(self, mb) self.t = fill(mb) return #self.t end, pid = function() return io.open "/proc/self/stat":read "n" end }
function show(...) local v, e = rota.pget(...) if e then print(e.code, e.attempt) print(e) else print(v) end end
LUA
script() { timeout 60 rlua -e 'dofile(os.getenv "DIR" .. "/hog.lua")' -e "$1" 2>"$TMP/err"; }
node() { serve rlet -p -c 4 --store 64M --ready-fd 3 "$@"; }
ended() { exits 0 wait "$pid"; pid=; }

# two that cannot both be there: the one that can be tried again makes room, and is done later
spared() {
	node -m 200M
	out=$(script '
		local x = rota.task(hold):with{name = "x", returns = 2}
		local y = rota.task(hold):with{name = "y", retries = 0, returns = 2}
		local x1, x2 = x("x", 100) await "x"
		local y1, y2 = y("y", 140) await "y"
		rota.wait({ x1 }, { timeout = 0.2 })
		go "y" print("y", rota.get { y1, y2 }[1], rota.get(y2))
		go "x" print("x", rota.get(x1), rota.get(x2) > 1)')
	cat "$TMP/err"
	ended && [ "$out" = "y	140	1
x	100	true" ] && grep -q '^rota: worker [0-9]* was stopped to save memory: it used 1[0-9][0-9] MiB; the node.s workers used [0-9]* MiB of 200 MiB, over the threshold of 95 %; worker [0-9]* y: ' "$TMP/err" || { echo "$out"; return 1; }
}
check 'a task that can be tried again makes room' spared
alone() {		# what would not fit alone is not tried for ever
	node -m 100M
	out=$(script 'show(rota.task(take):with{retries = 0}(400)) show(rota.task(take):with{retries = 1}(400)) print(rota.get(rota.task(take)(1)))')
	ended && echo "$out" | awk 'NR == 1 && $0 != "oom\t1" || NR == 3 && $0 != "oom\t2" || NR == 5 && $0 != "1" || (NR == 2 || NR == 4) &&
		!/^worker [0-9]+ was stopped to save memory: it used [0-9]+ MiB; the node.s workers used [0-9]+ MiB of 100 MiB, over the threshold of 95 %; it would not have fit alone/ { print "line " NR ": " $0; bad = 1 }
		END { exit bad || NR != 5 }' || { echo "$out"; return 1; }
}
check 'what would not fit alone fails, with the figures' alone
actor() {		# after tasks; restarted, its state is lost
	node -m 200M
	out=$(script '
		local a = Hoard:with{restarts = 1}()
		local p = rota.get(a:pid())
		print(rota.get(a:grow(100)))
		local v, e = rota.pget(rota.task(take):with{retries = 0}(300))
		print(e.code, rota.get(a:pid()) == p)
		v, e = rota.pget(a:grow(400))
		print(e.code) print(e)
		print(rota.get(a:pid()) ~= p, rota.get(a:grow(10)))')
	ended && echo "$out" | awk 'NR == 1 && $0 != "100" || NR == 2 && $0 != "oom\ttrue" || NR == 3 && $0 != "actor_died" ||
		NR == 4 && !/^the actor died while it ran this call, which may have had its effect: worker [0-9]+ was stopped to save memory: it used / ||
		NR == 5 && $0 != "true\t10" { print "line " NR ": " $0; bad = 1 } END { exit bad || NR != 5 }' || { echo "$out"; return 1; }
}
check 'actors are stopped after tasks, and restarted' actor
program() {		# memory of what a worker started is its own
	node -m 200M
	cat >"$TMP/program.lua" <<'LUA'
		local v, e = rota.pget(rota.task(function()
			local p = io.popen("exec rlua -e 't = {} for i = 1, 1000 do t[i] = string.rep([[x]], 1 << 20) end' 2>&1")
			p:read "a"
			return "done"
		end):with{retries = 0}())
		print(e and e.code, e and tostring(e):match("^worker %d+ was stopped"))
LUA
	out=$(script 'dofile(os.getenv "DIR" .. "/program.lua")')
	ended && case $out in "oom	worker "*) ;; *) echo "$out"; return 1 ;; esac
}
check 'a program counts to the task that started it' program
idle() {		# a worker that holds memory for nothing goes first
	node -m 200M
	out=$(script '
		local pid = rota.task(function(mb) kept = fill(mb) return io.open "/proc/self/stat":read "n" end)
		local p = rota.get(pid(120))
		local t = rota.task(hold):with{name = "t", retries = 0, cpus = 4}
		local r = t("t", 100) await "t" go "t"
		print(rota.get(r) == 100)
		local f = io.open("/proc/" .. p .. "/stat")
		print(not f or f:read "a":match "%) Z" ~= nil)')
	ended && [ "$out" = "true
true" ] || { echo "$out"; cat "$TMP/err"; return 1; }
}
check 'an idle worker goes first' idle
off() {
	node -m 100M --memory-threshold 0
	out=$(script 'print(rota.get(rota.task(take):with{retries = 0}(200)))')
	ended && [ "$out" = 200 ] || { echo "$out"; return 1; }
}
check 'it can be turned off' off
bad() { says "cannot use '101' for --memory-threshold" rlet -p --memory-threshold 101 && says "cannot use '0' for --memory-interval" rlet -p --memory-interval 0; }
check 'bad settings' bad
at_rest() {		# a program that waits, its leases and an idle actor: no wake-up of the node in LONG s
	node
	mkfifo "$TMP/in" "$TMP/out"
	timeout 60 rlua -e 'dofile(os.getenv "DIR" .. "/hog.lua") local a = Hoard() rota.get(a:grow(1))
		local t = {} for i = 1, 100 do t[i] = rota.task(take)(1) end rota.get(t)
		while true do print "idle" io.stdout:flush() if not io.read() then break end rota.get(a:grow(1)) end' <"$TMP/in" >"$TMP/out" 2>"$TMP/err" &
	user=$! good=1
	exec 8>"$TMP/in" 9<"$TMP/out"
	for round in 1 2; do
		read -r _ <&9
		for settle in 1 2 3 4 5 6 7 8; do		# leases go back, the last looks are made
			was=$(wakes) && timeout 1.3 tail -f /dev/null
			now=$(wakes)
			[ "$was" != "$now" ] || break
		done
		timeout "${ROTA_LONG:+1}${ROTA_LONG:-2}" tail -f /dev/null
		[ "$now" = "$(wakes)" ] || { echo "round $round: $(wakes) wake-ups, there were $now"; good=0; }
		echo >&8
	done
	read -r _ <&9
	exec 8>&- 9<&-
	wait $user
	ended && [ $good = 1 ]
}
wakes() { awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$pid/status"; }
check 'at rest nobody looks' at_rest
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
