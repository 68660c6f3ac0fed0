#!/bin/sh
# examples.t - every command of README works as written there, every file of examples/ prints what it says
. "${0%/*}/lib.sh"
top=$PWD
XDG_STATE_HOME=$TMP/state
export XDG_STATE_HOME
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT

# --- README: '    $ command', then the lines that it prints, if they are given; all in one shell
mkdir -p "$TMP/readme" "$TMP/bin" || exit 1
cd "$TMP/readme" || exit 1
for i in 1 2 3; do seq "$i" 500 >"$i.log"; done
for i in 'a b' "it's"; do echo "sound of $i" >"$i.wav"; done
seq 1000 | awk '{ print "h - - [d] \"GET / 1\" x", $1 % 2 ? 200 : $1 % 4 ? 404 : 503, $1 }' | gzip >access.log.gz
sed '/^#!/d; /^--/d' "$top/examples/squares.lua" >squares.lua
ln -s "$O" build
printf '#!/bin/sh\nexit 0\n' >"$TMP/bin/make"			# make demo is not run within make check
printf '#!/bin/sh\ncp "$2" "$3"\n' >"$TMP/bin/ffmpeg"
chmod +x "$TMP/bin/make" "$TMP/bin/ffmpeg"
PATH=$TMP/bin:$PATH
commands() { sed -n 's/^    \$ //p' "$top/README"; }
wanted() {		# wanted N: what follows the Nth command
	awk -v n="$1" '/^    \$ / { k++; next } !/^    / { k += k == n ? 0.5 : 0 } k == n { print substr($0, 5) }' "$top/README"
}
readme() {		# readme N COMMAND
	# the command is run here, not in a child, so that what it sets is there for the next one
	eval "$2" >"$TMP/got" 2>"$TMP/err" </dev/null || { echo "status $?"; cat "$TMP/err"; return 1; }
	cat "$TMP/err"
	wanted "$1" >"$TMP/want"
	[ ! -s "$TMP/want" ] || diff "$TMP/want" "$TMP/got"
}
k=0
commands >"$TMP/commands"
while IFS= read -r line <&4; do
	k=$((k + 1))
	check "README: $line" readme "$k" "$line"
done 4<"$TMP/commands"
results() {		# what the commands left behind
	gzip -t ./*.log.gz && [ "$(cat "a b.mp3" "it's.mp3" | wc -l)" -eq 2 ] && [ "$(awk 'END { print NR }' "$TMP/commands")" -ge 9 ]
}
check 'README: its commands did what they say' results
cd "$top" || exit 1

# a program in C is its own shared object of tasks; both are compiled as its head says
export SAN="$(sanitizer)"
mkdir -p "$TMP/c" && cat >"$TMP/c/c" <<'END'
#!/bin/sh
n=${1##*/} n=${n%.c}
cp "$1" "$TMP/c" && cd "$TMP/c" && export PKG_CONFIG_PATH="$O/lib/pkgconfig" || exit 1
sed -n 's/^ \*	\(cc .*\)/\1/p' "$n.c" >"$n.sh"
[ "$(wc -l <"$n.sh")" -eq 2 ] || { echo "its head does not say how it is compiled" >&2; exit 1; }
sed -i 's/^cc/${CC:-cc} -std=c11 -Wall -Wextra -Werror $SAN/' "$n.sh"
sh -e "$n.sh" && exec "./$n"
END
chmod +x "$TMP/c/c"

# --- examples: lines that begin with '--> ' or '#> ' are the output
example() {
	case $1 in *.lua) run=rlua mark=-- ;; *.c) run=c mark='/\*' ;; *) run=sh mark='#' ;; esac
	sed -n "s|^$mark> ||p" "$1" | sed 's| \*/$||' >"$TMP/want"
	[ -s "$TMP/want" ] || { echo "$1 does not say what it prints"; return 1; }
	PATH=$TMP/c:$PATH timeout 100 "$run" "$1" >"$TMP/got" 2>"$TMP/err" || { echo "status $?"; cat "$TMP/got" "$TMP/err"; return 1; }
	[ ! -s "$TMP/err" ] || { cat "$TMP/err"; return 1; }
	diff "$TMP/want" "$TMP/got"
}
short() { [ "$(wc -l <"$1")" -lt 60 ] || { echo "$(wc -l <"$1") lines"; return 1; }; }
for f in examples/*; do
	case $f in examples/README) continue ;; esac
	check "$f is in the list" grep -q "^    ${f#examples/} \|(${f#examples/})" examples/README
	case $f in examples/wordindex.*|examples/demo|*.py|examples/cluster.lua) continue ;; esac
	if [ -n "$SAN" ] && [ "$f" = examples/memory.lua ]; then echo "# a sanitizer has taken the address space: $f is not run"; continue; fi
	if grep -q python3 "$f" && ! command -v python3 >/dev/null; then echo "# python3 is not here: $f is not run"; continue; fi
	check "$f" example "$f"
	check "$f is short" short "$f"
done
for f in $(sed -n 's/^    \([^ ]*\) .*/\1/p' examples/README); do check "$f of the list is there" [ -f "examples/$f" ]; done

# --- the main job, on two texts: make demo does it with all of this machine
printf '%s\0' "$top/LICENSE" "$top/README" >"$TMP/list"
cat LICENSE README | tr -cs A-Za-z '\n' | tr A-Z a-z | sort | uniq -c | awk 'NF == 2 { print $2 "\t" $1 }' >"$TMP/words"
by_lua() { rlua examples/wordindex.lua "$TMP/list" "$TMP/lua" && diff "$TMP/words" "$TMP/lua" | head; cmp -s "$TMP/words" "$TMP/lua"; }
by_sh() { sh examples/wordindex.sh "$TMP/list" >"$TMP/sh" && diff "$TMP/words" "$TMP/sh" | head; cmp -s "$TMP/words" "$TMP/sh"; }
check 'examples/wordindex.lua' by_lua
check 'examples/wordindex.sh' by_sh
check 'examples/demo can be read by sh' sh -n examples/demo
left() { [ ! -e "$ROTA_DIR/local.sock" ] && [ ! -e "$ROTA_DIR/gcs.sock" ]; }
check 'no lasting node is left' left
done_testing
