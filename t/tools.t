#!/bin/sh
# tools.t - what all programs have in common, rota(7): help, options, tables, progress, full and closed output, completion
. "${0%/*}/lib.sh"
XDG_STATE_HOME=$TMP/state ROTA_STORE=64M
export XDG_STATE_HOME ROTA_STORE
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
progs=$(cd "$O/bin" && ls)
umask 077
mkdir -p "$ROTA_DIR"
rota up -q -c 2 >/dev/null || { echo 'Bail out! no node'; exit 1; }
tty() {		# tty CMD: its output on a terminal of 60 columns
	script -qec "stty cols 60; $1" /dev/null </dev/null | tr -d '\r'
}
command -v script >/dev/null || tty() { skipped=1; }

# --- help, options
verb_help() {		# of each verb: short, and it names the page
	for v in 'robj put' 'robj get' 'robj cat' 'robj ls' 'robj show' 'robj wait' 'robj du' 'robj rm' 'rstat workers' 'rota up' 'rota down' \
		'rota ls' 'rota doctor' 'rota env'; do
		$v -h >"$TMP/h" || { echo "$v -h: $?"; return 1; }
		[ "$(wc -l <"$TMP/h")" -le 24 ] || { echo "$v -h is long"; return 1; }
		grep -q "man ${v%% *}" "$TMP/h" || { echo "$v -h names no page"; return 1; }
	done
}
check 'VERB -h' verb_help
examples() {		# the programs of users show two
	for p in rmap robj rstat rota; do
		[ "$("$p" -h | grep -cE '^ {3,}.*(\||rota |robj |rmap |rstat )')" -ge 2 ] || { "$p" -h; return 1; }
	done
}
check 'two examples in -h' examples
last_line() {		# of every program: which page
	for p in $progs; do "$p" -h | tail -1 | grep -q "man $p" || { echo "$p: $("$p" -h | tail -1)"; return 1; }; done
}
check 'the last line of -h is the page, every program' last_line
two() { for p in rlet rgcs rlua; do [ "$("$p" -h | sed -n '/^Examples:/,$p' | grep -c "^ *$p ")" -ge 2 ] || { "$p" -h; return 1; }; done; }
check 'two examples in that of daemons and rlua' two
none() {		# no --color, no pager: colour carries no meaning alone, and pipes are for the user to make
	for p in $progs; do ! "$p" --complete-words | grep -q -e '^--colo' || { echo "$p"; return 1; }; done
	PAGER=false MANPAGER=false rstat nodes >"$TMP/o" && [ -s "$TMP/o" ]
}
check 'no --color and no pager, every program' none
near() {		# every program: the option that was meant
	for p in $progs; do
		long=$("$p" --complete-words | grep -m 1 -xE -e '--[a-z]{5,}')
		says "did you mean '$long'?" "$p" "${long}x" || return
	done
}
check 'nearest option, every program' near
check 'an unambiguous beginning of an option' prints 'echo a' rmap --dry-r echo ::: a
check 'an ambiguous one' exits 2 sh -c 'rmap --re x echo ::: a 2>/dev/null'
check '-P is -j, --will-cite and -r change nothing' prints a rmap -P 2 -r --will-cite echo ::: a
check '-j 50%' prints 1 sh -c 'seq 20 | rmap -j 50% echo {%} | sort -un | xargs'
units() {		# one spelling of times and sizes
	for t in 90 90s 1.5m 2h 1d 500ms 0; do rmap -t "$t" true ::: a || { echo "$t"; return 1; }; done
	for s in 64K 1M 64KB 100; do seq 3 | rmap --pipe="$s" true || { echo "$s"; return 1; }; done
	says "cannot use '5x' for -t" rmap -t 5x true ::: a && says "for --pipe" rmap --pipe=5Q true
}
check 'times and sizes' units

# --- output
full() {		# every program, -h and -V
	for p in $progs; do
		for a in -h -V; do
			exits 125 sh -c '"$@" >/dev/full 2>"$TMP/err"' sh "$p" "$a" || { echo "$p $a"; return 1; }
			grep -q "^$p: cannot write to stdout: No space left on device" "$TMP/err" || { cat "$TMP/err"; return 1; }
		done
	done
}
check 'a full stdout: 125 and a line, every program' full
seq 1000000 | robj put --name long >/dev/null
pipe() {		# a reader that goes away: death by SIGPIPE, without a word
	bash -c '{ '"$1"'; echo $? >&3; } 2>"$TMP/err" | head -c 1 >/dev/null' 3>"$TMP/status"
	[ "$(cat "$TMP/status")" -eq 141 ] && [ ! -s "$TMP/err" ] || { echo "$1: $(cat "$TMP/status" "$TMP/err")"; return 1; }
}
closed() { pipe 'robj cat long' && pipe 'seq 100000 | rmap -e "line:rep(100)"' && pipe 'rlua -e "while true do print(1) end"'; }
check 'a reader that goes away: SIGPIPE' closed

# --- tables
cat >"$TMP/keys.lua" <<'EOF'
local last, j = 0, io.open(arg[1]):read "a"
for c in io.lines(arg[2]) do
	local at = j:find('"' .. c .. '":', 1, true)
	if not at or at < last then print(c, j) os.exit(1) end
	last = at
end
EOF
keys() {		# keys of -J are the columns, all of them, in order
	for l in nodes drivers workers tasks actors objects; do
		rstat "$l" -J | head -1 >"$TMP/j"
		[ -s "$TMP/j" ] || continue
		rstat "$l" -o help >"$TMP/c"
		rlua "$TMP/keys.lua" "$TMP/j" "$TMP/c" || { echo "$l"; return 1; }
	done
}
check '-J: keys are the columns' keys
fields() {		# rstat LIST | column -t: each line has all fields
	rstat objects | awk -F '\t' 'NR == 1 { n = NF } NF != n || n < 10 { bad = 1 } { for (i = 1; i <= NF; i++) if ($i == "") bad = 1 } END { exit bad || NR < 1 }' &&
		rstat objects --header | awk -F '\t' 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad || NR < 2 }'
}
check 'rstat LIST | column -t: no field is empty or missing' fields
check 'the page promises that columns stay what they are' grep -q 'keys stay what they are' man/rota.7
check 'a wrong word gets the nearest right one' says "rstat: no list 'node'; did you mean 'nodes'?" rstat node
check 'an empty cell in a pipe is -' prints 'long -' sh -c 'robj ls -o name,ttl | xargs'
check 'as JSON null' prints '{"name":"long","ttl":null}' robj ls -J -o name,ttl
check 'in a pipe: bytes, no heading' prints 1 sh -c 'robj ls -o size | grep -cx "6888[0-9]*"'
check 'on a terminal: a heading, short sizes' sh -c 'command -v script >/dev/null || exit 0
	script -qec "robj ls -o name,size" /dev/null </dev/null | tr -d "\r" | xargs | grep -qx "NAME SIZE long 6.6M\|name size long 6.6M"'
printf 'a\377b' >"$TMP/odd"
check '-J: bytes that are no UTF-8' prints '"stdout":"a\ufffdb","stdout_base64":"Yf9i"' \
	sh -c 'rmap -J cat ::: $TMP/odd | grep -o "\"stdout\":.*\"stdout_base64\":\"[^\"]*\""'
plain() {		# no colour, no cursor moves in a listing, least of all with NO_COLOR or TERM=dumb
	skipped=
	for e in NO_COLOR=1 TERM=dumb; do
		tty "$e rstat nodes; $e robj ls; $e rota" >"$TMP/o"
		[ -n "$skipped" ] || [ -s "$TMP/o" ] || return 1
		! grep -q "$(printf '\033')" "$TMP/o" || { od -c "$TMP/o" | head; return 1; }
	done
}
check 'NO_COLOR, TERM=dumb' plain
width() { skipped=; tty 'rstat nodes' >"$TMP/o"; [ -n "$skipped" ] || awk 'length > 60 { print; bad = 1 } END { exit bad || NR < 2 }' "$TMP/o"; }
check 'a table is cut to the width' width
check 'numbers and times are those of C in every locale' prints 1.5 env LC_ALL=de_DE.UTF-8 rmap -e '3 / 2' ::: x

# --- progress, hints
bar() {		# $1: what to run on a terminal; its output is in $TMP/o
	skipped=; tty "$1" >"$TMP/o" 2>&1; [ -z "$skipped" ]
}
# shellcheck disable=SC2016
drawn() {		# stdout is a file: drawn after a second, erased at the end
	bar 'rmap -j 2 sleep ::: 1.6 1.6 >$TMP/none' || return 0
	grep -q 'rmap  0/2  0%  0/s  eta' "$TMP/o" && printf '\r\033[K' | cmp -s - "$TMP/tail" || tail -c 3 "$TMP/o" >"$TMP/tail"
	grep -q 'rmap  0/2  0%' "$TMP/o" && [ "$(tail -c 3 "$TMP/o" | od -An -c | xargs)" = '033 [ K' ] || { od -c "$TMP/o"; return 1; }
}
check 'progress: on a terminal, erased at the end' drawn
quiet() {		# not with -q, nor where stdout is the terminal, nor in a pipe, nor before a second is over
	tty 'rmap -q sleep ::: 1.4 >$TMP/none' >"$TMP/o" 2>&1 &
	tty 'rmap sleep ::: 1.4' >"$TMP/o2" 2>&1 &
	rmap --bar sleep ::: 1.2 >"$TMP/o3" 2>&1
	wait
	from=$(date +%s%N)
	tty 'rmap true ::: 1 >$TMP/none' >"$TMP/o4" 2>&1
	[ $(($(date +%s%N) - from)) -lt 1000000000 ] || : >"$TMP/o4"		# this machine has other things to do
	for o in "$TMP/o" "$TMP/o2" "$TMP/o3" "$TMP/o4"; do [ ! -s "$o" ] || { echo "${o##*/}"; od -c "$o"; return 1; }; done
}
check 'and nowhere else' quiet
wanted() { bar 'rmap --bar sleep ::: 1.6' || return 0; grep -q 'rmap  0/1' "$TMP/o" || { od -c "$TMP/o"; return 1; }; }
check '--bar: where stdout is the terminal too' wanted
background() {		# not where the program is in the background: the line is somebody else's
	command -v script >/dev/null || return 0
	script -qec 'bash -c "set -m; rmap sleep ::: 1.6 >$TMP/none & wait"' /dev/null </dev/null >"$TMP/o" 2>&1
	! grep -q 'rmap  0/1' "$TMP/o" || { od -c "$TMP/o"; return 1; }
}
check 'nor in the background' background
hints() {
	tty 'timeout --foreground 5 rmap gzip' >"$TMP/o1" 2>&1 &
	tty 'timeout --foreground 5 rmap wc Makefile README' >"$TMP/o2" 2>&1 &
	bar 'timeout --foreground 5 robj put' || return 0
	wait
	cat "$TMP/o1" "$TMP/o2" >>"$TMP/o"
	grep -q 'Ctrl-D (or: rmap wc ::: Makefile README)' "$TMP/o" || { cat "$TMP/o"; return 1; }
	grep -q 'rmap: reading items from the terminal, one a line; end with Ctrl-D (or: rmap gzip ::: ' "$TMP/o" && grep -q 'robj: reading' "$TMP/o" ||
		{ cat "$TMP/o"; return 1; }
}
check 'reading the terminal is said' hints

# --- what is gone
check 'rm of what is gone: 0 and a notice' says 'nothing to remove' robj rm nothing-of-that-name
check 'its status' exits 0 sh -c 'robj rm nothing-of-that-name 2>/dev/null'
check '-q: without' prints '' sh -c 'robj rm -q nothing-of-that-name 2>&1'

# --- completion
ids() {		# of objects, by the verbs that take them
	prints '--address|long' bash -c '. contrib/completion/rota.bash
	t() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _rota robj; printf "%s\n" "${COMPREPLY[@]}" | sort | paste -sd" "; }
	printf "%s|%s" "$(t robj show --a)" "$(t robj cat lo)"'
}
check 'completion: names of objects' ids
places() {		# of clusters, after -A
	prints 'local private|local' bash -c '. contrib/completion/rota.bash
	t() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _rota "$1"; printf "%s\n" "${COMPREPLY[@]}" | sort | paste -sd" "; }
	printf "%s|%s" "$(t rmap -A "")" "$(t rstat --address lo)"'
}
check 'completion: words for -A' places
alone() {		# the words of every program wait for nobody: not for the terminal, nor for a node that does not answer
	node=$(rstat nodes -o pid) && kill -STOP "$node" || return
	slow=
	for p in $progs; do
		timeout 30 "$p" --complete-words >"$TMP/o" <"$TMP/never" && [ -s "$TMP/o" ] || slow="$slow $p"
	done
	kill -CONT "$node"
	[ -z "$slow" ] || { echo "no words from:$slow"; return 1; }
}
mkfifo "$TMP/never" && exec 7<>"$TMP/never"
check 'completion: the words of every program, while the node is stopped and nothing comes from the terminal' alone
exec 7<&-
check 'completion: silent where no node runs' prints '' sh -c 'ROTA_DIR=$TMP/nowhere robj show --complete-words 2>&1 | grep -v ^-; :'
in_fish() {
	command -v fish >/dev/null || return 0
	HOME=$TMP prints '--tag --tagstring|long|nodes|pid,name' env fish --no-config -c 'source contrib/completion/rota.fish
	function t; complete -C $argv[1] | cut -f1 | sort | string join " "; end
	echo -n (t "rmap --ta")"|"(t "robj cat lo")"|"(t "rstat no")"|"(t "rstat nodes -o pid,nam")'
}
check 'completion: fish' in_fish
in_zsh() {
	command -v zsh >/dev/null || return 0
	prints '_rota' env zsh -f -c 'autoload -Uz compinit && compinit -u -d $TMP/zcompdump && . '"$O"'/env && complete -p rmap 2>/dev/null |
		grep -o -m 1 _rota | head -n 1 || echo ${_comps[rmap]} | grep -o _rota'
}
check 'completion: zsh' in_zsh
check 'rota down' rota down -q
check 'and again: 0' exits 0 sh -c 'rota down -q 2>/dev/null'
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
