#!/bin/sh
# gcs_dies.t - control stores that cannot start, or die at once, again and again: fewer and fewer are made, each is reaped, and work goes on
. "${0%/*}/lib.sh"
umask 077
mkdir -p "$ROTA_DIR" "$TMP/bin"
XDG_STATE_HOME=$TMP/state
export XDG_STATE_HOME
trap 'rota down -q --force 2>/dev/null; test -z "$pid" || kill "$pid" 2>/dev/null; rm -rf "$TMP"' EXIT
# the node starts what lies beside it: a store that dies as often as the file says that it shall
cp "$O/bin/rlet" "$TMP/bin/" && ln -s "$O/lib" "$O/libexec" "$TMP/" || exit 1
cat >"$TMP/bin/rgcs" <<END2
#!/bin/sh
echo "\$(cut -d ' ' -f 1 /proc/uptime) \$\$" >>"$TMP/started"
[ ! -e "$TMP/bad" ] || { echo 'rgcs: no disk today' >&2; exit 1; }
exec "$O/bin/rgcs" "\$@"
END2
chmod +x "$TMP/bin/rgcs"
serve "$TMP/bin/rlet" -l -c 2 --store 16M --ready-fd 3 2>"$TMP/said"
store() { tail -1 "$TMP/started" | cut -d ' ' -f 2; }
works() { prints 42 timeout 60 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function() return 42 end)()))'; }
check 'a node and its store' works

# a job that is there goes on meanwhile
cat >"$TMP/on.lua" <<'END2'
local rota = require "rota"
local double = rota.task(function(x) return 2 * x end)
assert(rota.get(double(1)) == 2)
io.write "ready\n" io.flush()
io.read "l"
assert(rota.get(double(21), 60) == 42)
print "fine"
END2
started() {	# started N: waits until N were started
	timeout 30 sh -c 'until [ "$(wc -l <"$TMP/started")" -ge '"$1"' ]; do sleep 0.02; done'
}
dies() {
	mkfifo "$TMP/in" "$TMP/out"
	timeout 60 rlua "$TMP/on.lua" <"$TMP/in" >"$TMP/out" & prog=$!
	exec 4>"$TMP/in" 5<"$TMP/out"
	read -r _ <&5
	touch "$TMP/bad"; kill -9 "$(store)"
	started 5 || return
	echo go >&4
	read -r said <&5; exec 4>&- 5<&-
	wait "$prog" && [ "$said" = fine ]
}
check 'work goes on while stores do not start' dies
# the first at 0.1 s, then after 0.2, 0.4, 0.8: none of them sooner; only the last one may still be unreaped
fewer() { awk 'NR > 2 { gap = $1 - last; print gap; if (gap < 0.09 * 2 ^ (NR - 2)) bad = 1 } { last = $1 } END { exit bad }' "$TMP/started"; }
check 'fewer and fewer' fewer
check 'each is reaped when the next one is made' sh -c 'test "$(for p in $(cut -d " " -f 2 "$TMP/started" | sed \$d); do ls -d "/proc/$p" 2>/dev/null; done)" = ""'
check 'each says why, and the node that it did not start' sh -c 'grep -q "^rgcs: no disk today" "$TMP/said" && grep -q "^rlet: the control store did not start: see its message above" "$TMP/said"'
rm "$TMP/bad"
check 'once one can, new jobs are served' works
again() { kill -9 "$(store)"; was=$(wc -l <"$TMP/started"); started "$((was + 1))" && works; }
check 'and after one that served the next one comes soon' again
kill "$pid" && gone "$pid"; pid=
check 'it ends' rota down -q
rm -f "$ROTA_DIR"/*.lock
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
