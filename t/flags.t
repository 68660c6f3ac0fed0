#!/bin/sh
# flags.t - one set of options for all programs: a letter means one thing, what each promises wherever it is, verbs and ids
. "${0%/*}/lib.sh"
XDG_STATE_HOME=$TMP/state ROTA_STORE=64M
export XDG_STATE_HOME ROTA_STORE
trap 'exec 6<&-; test -z "$pid" || kill "$pid" 2>/dev/null; rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
umask 077
mkdir -p "$ROTA_DIR"
progs=$(cd "$O/bin" && ls)
all() {			# every program and verb, a line each
	for p in $progs; do
		echo "$p"
		case $p in rmap|rstat) ;; *) "$p" --complete-words </dev/null | grep -v '^-' | sed "s/^/$p /" ;; esac
	done
}
all >"$TMP/all"

# --- the table
one_meaning() {		# -x belongs to one long name; rlua has Lua's letters, -f is a file in rmap, -r is xargs' there
	while read -r p; do
		$p --complete-words | awk -v p="$p" 'BEGIN { long = "(none)" } /^--/ { long = $0; next } /^-/ { print $0, long, p; long = "(none)" }'
	done <"$TMP/all" | awk '$3 == "rlua" && $1 ~ /^-[eliEWv]$/ { next } $3 == "rmap" && $1 == "-r" { next } $2 == "(none)" { next }
		($1 in of) && of[$1] != $2 { print $1 " is " of[$1] " and, in " $3 " " $4 ", " $2; bad = 1 } { of[$1] = $2 }
		END { exit bad || length(of) < 30 }'
}
check 'a letter means one thing in all programs' one_meaning
everywhere() {		# help, version, quiet, verbose; rlua -v is Lua's own
	while read -r p; do
		for o in --help -h --version -V --quiet -q -v; do
			$p --complete-words | grep -qx -e "$o" || { echo "$p has no $o"; return 1; }
		done
	done <"$TMP/all"
}
check '-h -V -q -v: every program and verb' everywhere
lists() {		# -J -o --header where records are listed; -w in all of them but doctor, whose answer does not change
	for p in rstat 'robj ls' 'robj du' 'rota ls' 'rota doctor' 'robj show'; do
		for o in --json --columns --header --watch; do
			case "$p $o" in 'robj show --header'|'rota doctor --watch') continue ;; esac
			$p --complete-words | grep -qx -e "$o" || { echo "$p has no $o"; return 1; }
		done
	done
}
check '-J -o -w --header: every list' lists
check '-h is on stdout' sh -c 'test -n "$(rmap -h 2>/dev/null)"'
check '-- ends options: what follows is the command' prints '-k x' sh -c 'echo x | rmap -- echo -k'
check 'a beginning of a long name that fits only one is that one' sh -c 'rstat --col help nodes | grep -qx cpus'

# --- addresses and namespaces
check '-A overrides ROTA_ADDRESS' exits 0 env ROTA_ADDRESS=local rmap -A private true ::: a
for p in 'rmap -A unix:/nowhere true' 'robj -A unix:/nowhere ls' 'rstat -A unix:/nowhere' 'rlua --address=unix:/nowhere -l rota -e rota.init()'; do
	check "-A says where: $p" exits 125 env ROTA_ADDRESS=private $p
done
check '-N overrides ROTA_NAMESPACE' prints lab env ROTA_NAMESPACE=attic rmap -N lab -e 'require "rota".context().namespace' ::: a
check 'without both it is the job'"'"'s own' prints 1 sh -c 'rmap -A private -e "require \"rota\".context().namespace" ::: a'

# --- up, down, --dry-run, --force
check 'rota up --dry-run says what it would start' prints 'rlet -l -c 2 --store 64M' rota up --dry-run -c 2 --store 64M
check 'and starts nothing' [ ! -e "$ROTA_DIR/local.sock" ]
check 'rota up -v says what it does, on stderr' prints 'rlet -l -c 2' sh -c 'rota up -v -c 2 2>&1 >/dev/null'
check '--dry-run where a node runs' prints 'a node runs already: nothing to start' rota up --dry-run -c 3
check '--dry-run of rmap changes nothing, 0' sh -c 'rmap --dry-run touch $TMP/touched ::: a && test ! -e $TMP/touched'
held() { mkfifo "$TMP/hold"; rlua -l rota -e 'rota.init() io.read()' <"$TMP/hold" & d=$!; exec 7>"$TMP/hold"
	i=0; until [ "$(rstat nodes -o drivers)" = 1 ]; do i=$((i + 1)); [ $i -lt 2000 ] || return 1; done; }
check 'a program is attached' held
check 'what would end running work needs --force, and asks nothing' exits 1 sh -c 'rota down </dev/null 2>/dev/null'
exec 7>&-; wait "$d"

# --- lists are the same wherever they are
for i in a b; do echo $i | robj put --name $i >/dev/null; done
same() { [ "$(robj ls "$@")" = "$(rstat objects kept=true "$@")" ] && [ -n "$(robj ls "$@")" ] || { robj ls "$@"; rstat objects kept=true "$@"; return 1; }; }
check 'robj ls is rstat objects kept=true' same -o id,size,name,ttl,state,where,kind,owner,holders,pinned,kept,refs,job
check 'in its columns too' sh -c 'rstat objects -o help >$TMP/1; robj ls -o help | cmp - $TMP/1 && robj show -o help | cmp - $TMP/1'
check 'rota ls is rstat nodes' sh -c 'rota ls -o help >$TMP/1; rstat nodes -o help | cmp - $TMP/1 && test "$(rota ls address~local -o name,state,pid,address)" = "$(rstat nodes -o name,state,pid,address)"'
check '-r turns a list round' sh -c 'test "$(robj ls -r -o id)" = "$(robj ls -o id | tac)"'
check 'rota ls takes filters and -r' prints "unix:$ROTA_DIR/local.sock" rota ls -r 'address~local' -o address
check 'options may stand after a filter' prints b robj ls name=b -o name
check 'status is show' sh -c 'test "$(robj status -o name,size a)" = "$(robj show -o name,size a)"'
check 'and ls' sh -c 'test "$(rota status -o pid)" = "$(rota ls -o pid)"'
check 'show prints name, tab, value' prints 'name	a
size	18' robj show -o name,size a
check 'an id may be a beginning of 4 hex digits or more that only one has' sh -c 'set -- $(rstat objects -o id); echo c | robj put >/dev/null
	robj show -o id $1 | grep -q "$1" && ! robj get "$(echo $1 | cut -c 1-3)" 2>/dev/null'

# --- -w
next() {		# next WORD...: the next line of the watched list has them all
	read -r line <&6 || { echo "it ended; wanted: $*"; return 1; }
	for w; do case $line in *"$w"*) ;; *) echo "$line; wanted: $*"; return 1 ;; esac; done
}
watching() {		# watching CMD...: its output is descriptor 6
	rm -f "$TMP/seen"; mkfifo "$TMP/seen"
	env --default-signal=INT "$@" >"$TMP/seen" & pid=$!
	exec 6<"$TMP/seen"
}
stopped() { kill -"$1" "$pid"; exits "$2" wait "$pid"; r=$?; pid=; exec 6<&-; return $r; }
ls_w() {
	watching robj ls -w -o name,state && next a sealed && next b sealed || return
	next - || return			# the one without a name
	echo x | robj put --name new >/dev/null && next new sealed && robj rm new && next new gone && stopped TERM 143
}
check 'robj ls -w: a line for each object that comes or goes; dies of TERM' ls_w
show_w() { watching robj show -w -o name,state b && next b sealed && robj rm b && next b gone && stopped INT 130; }
check 'robj show -w: until it goes, and longer; dies of INT' show_w
check 'show -w is for one object' exits 2 robj show -w a b
nodes_w() {
	watching rota ls -w 'address~own-|local' -o state,address && next alive local.sock || return
	mkfifo "$TMP/hold2"; ROTA_ADDRESS=private rlua -l rota -e 'rota.init() io.read()' <"$TMP/hold2" & d=$!
	exec 7>"$TMP/hold2"
	next alive own- && exec 7>&- && next gone own- && stopped TERM 143
	r=$?; exec 7>&-; wait "$d"; return $r
}
check 'rota ls -w: nodes that come and go' nodes_w
check '-w -J: a JSON object an event' sh -c 'mkfifo $TMP/j; robj ls -w -J -o name,state >$TMP/j & p=$!; read -r l <$TMP/j; kill $p; wait $p; test "$l" = "{\"name\":\"a\",\"state\":\"sealed\"}"'
screen() {		# on a terminal it is drawn anew, and left as it was
	command -v script >/dev/null || return 0
	script -qfec 'robj ls -w -o name; echo status $?' "$TMP/screen" </dev/null >/dev/null & s=$!
	i=0; until grep -qs 'name.*' "$TMP/screen" && grep -q '^a' "$TMP/screen"; do i=$((i + 1)); [ $i -lt 20000 ] || break; done
	pkill -TERM -P "$(pgrep -P $s | head -1)" robj || pkill -TERM -P $s robj
	wait $s
	tr -d '\r' <"$TMP/screen" | grep -q 'status 143' && grep -q "$(printf '\033\[?1049l')" "$TMP/screen" || { od -c "$TMP/screen" | tail -20; return 1; }
}
check '-w on a terminal: a screen of its own, left again at the end' screen

check 'rota down' rota down -q --force
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
