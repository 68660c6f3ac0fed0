#!/bin/sh
# rota.t - the front door: up, ls, down, what they print and when they refuse; the control store's death and return
. "${0%/*}/lib.sh"
command -v rlua >/dev/null || skip_all 'needs rlua'
XDG_STATE_HOME=$TMP/state ROTA_STORE=256M
export XDG_STATE_HOME ROTA_STORE
trap 'rota down -q --force 2>/dev/null; test -z "$pid" || kill "$pid" 2>/dev/null; rm -rf "$TMP"' EXIT
host=$(uname -n) tab=$(printf '\t')

alone() { rota >"$TMP/out" && grep -q '^  rmap ' "$TMP/out" && grep -q 'nothing; programs start' "$TMP/out" && tail -1 "$TMP/out" | grep -qx 'man 7 rota'; }
check 'alone it shows the suite' alone
check 'a wrong verb' says "no verb 'dwn'; did you mean 'down'?" rota dwn
check 'is usage' exits 2 rota dwn
check 'what cannot be a host is usage' exits 2 rota up -- -x
check 'a bad option of rlet is usage' exits 2 rota up -c x
check 'down of nothing is fine' exits 0 rota down
check 'and says so' says 'no lasting node runs here' rota down
check 'ls of nothing' prints '' rota ls
check 'up prints where' prints "$host${tab}1 nodes${tab}3 cpus${tab}0 gpus" rota up -c 3
check 'again: the same' prints "$host${tab}1 nodes${tab}3 cpus${tab}0 gpus" rota up
crowd() {		# none of them minds the others, and at the end there is one node or none
	for i in 1 2 3 4 5; do rota up & [ $((i % 2)) = 1 ] || rota -q down & done >"$TMP/crowd" 2>&1
	wait
	[ "$(grep -vcx "$host${tab}1 nodes${tab}[0-9.]* cpus${tab}0 gpus" "$TMP/crowd")" = 0 ] && [ "$(wc -l <"$TMP/crowd")" = 5 ] || { cat "$TMP/crowd"; return 1; }
	rota -q down && rota up -c 3
}
check 'several up and down at once' crowd
check 'options of a running one' says 'its resources stay as they are' rota up -c 4
ls_row() { rota ls | cut -f1-3,13 | grep -qx "$host${tab}alive${tab}3.0${tab}unix:$ROTA_DIR/local.sock"; }
check 'ls in a pipe' ls_row
check 'ls -o' prints "$host" rota ls -o name
check 'ls -o help' sh -c 'rota ls -o help | grep -qx arena_used'
check 'ls: a wrong column' exits 2 rota ls -o nme
check 'ls -J' sh -c "rota ls -J | grep -q '\"name\":\"$host\"'"
running() { rota | grep -q "$host: lasting node, process [0-9]*, 3 cpus, 0 programs"; }
check 'alone it shows what runs' running

cat >"$TMP/hold.lua" <<'END'
local rota = require "rota"
local C = rota.actor{ new = function(self) self.n = 41 end, add = function(self) self.n = self.n + 1; return self.n end }
local c = C:with{name = "hits", detached = true}()
print(rota.get(c:add()))
io.stdout:flush()
io.read()
END
hold() {
	mkfifo "$TMP/in"
	ROTA_NAMESPACE=x rlua "$TMP/hold.lua" <"$TMP/in" >"$TMP/held" 2>&1 &
	d=$!
	exec 9>"$TMP/in"
	timeout 10 tail -n +1 -f "$TMP/held" | head -1 | grep -qx 42
}
check 'a program with a detached actor' hold
check 'down refuses' exits 1 rota down
check 'and says what runs' says "1 job runs on $host (1 rlua $TMP/hold.lua); --force ends it" rota down

store_pid() { for p in /proc/[0-9]*; do [ "$(readlink "$p/exe" 2>/dev/null)" = "$O/bin/rgcs" ] && tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qx "ROTA_DIR=$ROTA_DIR" && echo "${p#/proc/}"; done | head -1; }
find='local rota = require "rota"; local c = rota.find("hits"); print(rota.get(c:add()))'
store_dies() {		# names survive it, and so does the node
	s=$(store_pid)
	[ -n "$s" ] && kill -9 "$s" || return
	ROTA_NAMESPACE=x prints 43 timeout 20 rlua -e "$find"
	[ "$(store_pid)" != "$s" ]
}
check 'the control store is killed: it is started again and knows the names' store_dies
outlives() { exec 9>&-; wait "$d"; ROTA_NAMESPACE=x prints 44 timeout 20 rlua -e "$find"; }
check 'a detached actor outlives its driver' outlives
check 'down says that it would end it' says "1 detached actor lives on $host (hits); --force ends it" rota down
check 'down --force' exits 0 rota down --force
nothing() { [ ! -e "$ROTA_DIR/local.sock" ] && [ ! -e "$ROTA_DIR/gcs.sock" ] && [ -z "$(store_pid)" ]; }
check 'nothing runs any more' nothing
check 'up once more' exits 0 rota up
check 'an actor does not survive its node' exits 1 env ROTA_NAMESPACE=x timeout 20 rlua -e "$find"
check 'down --purge' exits 0 rota down --purge
check 'leaves no state' [ ! -e "$XDG_STATE_HOME/rota" ]
spoilt() {		# a state file that is none, or a part of one: a line that says so, and no node
	db=$XDG_STATE_HOME/rota/gcs.db
	rota up -q && rota down -q && cp "$db" "$TMP/good" || return
	for text in 'head -c 30000 /dev/zero' 'yes garbage' "cat $TMP/good" 'echo x'; do
		$text | head -c 12288 >"$db"
		exits 125 rota up 2>"$TMP/err" && grep -q '^rgcs: cannot .*gcs.db' "$TMP/err" || { echo "$text"; cat "$TMP/err"; return 1; }
	done
	from=$TMP/good to=$db rlua -e 'local f = io.open(os.getenv "from", "rb") local s = f:read "a" f:close()
		local n s, n = s:gsub("\0rota\1\0\0\0", "\0rota\2\0\0\0")
		f = io.open(os.getenv "to", "wb") f:write(s) f:close() os.exit(n > 0)' || return
	cp "$db" "$TMP/later"		# of a later rota: said so, and left as it is
	exits 125 rota up 2>"$TMP/err" && grep -q "^rgcs: cannot use '$db': no state of this rota, which writes format 1" "$TMP/err" &&
		cmp "$db" "$TMP/later" || { cat "$TMP/err"; return 1; }
	cp "$TMP/good" "$db" && rota up -q && rota down -q --purge
}
check 'a state that cannot be read' spoilt
check 'full stdout' sh -c 'rota >/dev/full 2>/dev/null; [ $? -eq 125 ]'
doctor() {		# a check a line: state, name, text; 1 when one is bad
	rota doctor >"$TMP/doc" || { cat "$TMP/doc"; return 1; }
	for c in kernel memfd pidfd cpus memory rota-dir state spill linger keys ports programs files; do
		grep -Eq "^(ok|note)	$c	." "$TMP/doc" || { echo "no line of $c"; cat "$TMP/doc"; return 1; }
	done
}
bad_key() {
	mkdir -p "$TMP/conf/rota" && touch "$TMP/conf/rota/lab.key" && chmod 644 "$TMP/conf/rota/lab.key" || return 1
	XDG_CONFIG_HOME=$TMP/conf exits 1 rota doctor -q >"$TMP/doc" && grep -q "lab.key' can be read by others (mode 0644); chmod 600 it" "$TMP/doc"
}
shell() {		# what rota env prints makes another shell find the same
	env -i HOME="$HOME" sh -c "PATH=/usr/bin:/bin; $(rota env); command -v rlua && echo \"\$ROTA_DIR\"" >"$TMP/env" &&
	[ "$(sed -n 2p "$TMP/env")" = "$ROTA_DIR" ]
}
modules() {		# and any Lua, and a C compiler; a sanitized module needs its sanitizer to be there before it
	san=$(ldd "$O/lua/rota.so" | sed -n 's|.*=> \(/.*lib[at]san[^ ]*\).*|LD_PRELOAD=\1|p')
	env -i HOME="$HOME" ASAN_OPTIONS="${ASAN_OPTIONS-}" sh -c "PATH=/usr/bin:/bin; $(rota env); $san lua5.4 -e 'print(require \"rota\".now() > 0)'; pkg-config --libs rota" >"$TMP/env" &&
	[ "$(sed -n 1p "$TMP/env")" = true ] && grep -q -e -lrota "$TMP/env" || { cat "$TMP/env"; return 1; }
}
check 'doctor' doctor
check 'doctor finds an open key file' bad_key
check 'doctor -J' sh -c 'rota doctor -J | grep -q "\"check\":\"kernel\""'
check 'doctor of a host that nobody knows' exits 1 rota doctor nobody.invalid
check 'env' shell
check 'env: modules and librota' modules
check 'help finds pages' sh -c 'rota help actor | grep -q "^rota-lua(7)	"'
check 'help finds none' exits 1 rota help xyzzy-nothing
done_testing
