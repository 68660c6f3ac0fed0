#!/bin/sh
# house.t - what make promises beside building: env, installation and its way back, completion, deps, the tree's manners
. "${0%/*}/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
mk() { make -s O="$O" READY= "$@"; }
progs=$(cd "$O/bin" && ls)

env_works() {		# in a bare shell, from another directory, twice
	prints "$O/bin:/usr/bin:/bin $O/man:" env -i PATH=/usr/bin:/bin sh -c "cd / && . '$O/env' && . '$O/env' && echo \$PATH \$MANPATH"
}
complete() { bash -c '. contrib/completion/rota.bash; for p; do complete -p "$p"; done' - $progs; }
completes() {		# the words of a program and of its verb, no letters; columns
	cat >"$TMP/tool" <<-'END'
	#!/bin/sh
	case $* in
	--complete-words) printf '%s\n' --jobs -j --json --bar ls logs show ;;
	'ls --complete-words') printf '%s\n' --columns -o --json ;;
	'ls -o help') printf '%s\n' name node pid ;;
	esac
	END
	chmod +x "$TMP/tool"
	prints "--jobs --json|logs ls||--columns --json|pid,name pid,node|" bash -c '. contrib/completion/rota.bash
	t() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _rota "$1"; echo -n "$(printf "%s\n" "${COMPREPLY[@]}" | sort | paste -sd" ")|"; }
	t "$0" --j; t "$0" l; t "$0" ls l; t "$0" ls --; t "$0" ls -o pid,n' "$TMP/tool"
}
speaks() {		# every program: -V of one shape, words, help within 24 x 80, an unknown option
	for p in $progs; do
		"$p" -V | grep -qx "$p (rota) [0-9.]*, Lua 5\.4\.[0-9]*, protocol [0-9]*" || { echo "$p -V"; "$p" -V; return 1; }
		"$p" --complete-words | grep -qx -e --help || { echo "$p --complete-words"; return 1; }
		"$p" -h | awk -v p="$p" 'length > 80 { print p ": " $0; bad = 1 } END { exit bad || NR > 24 || NR == 0 }' ||
			{ echo "$p -h is over 24 x 80"; return 1; }
		says "$p: unknown option '--no-such-option'" "$p" --no-such-option || return
		exits 2 "$p" --no-such-option || return
	done
}
fresh() { find "$TMP/root" -type f -o -type l; }
installs() { mk install DESTDIR="$TMP/root" PREFIX=/usr && [ -x "$TMP/root/usr/sbin/rlet" ] && [ -x "$TMP/root/usr/libexec/rota/rwork" ]; }
manifest() {		# every file is listed and every listed file is there
	sed "s|^|$TMP/root/usr/|" "$TMP/root/usr/lib/rota/manifest" | sort >"$TMP/listed"
	fresh | sort | diff "$TMP/listed" -
}
uninstalls() {		# ours go, theirs stay
	echo theirs >"$TMP/root/usr/bin/other"
	mk uninstall DESTDIR="$TMP/root" PREFIX=/usr && [ "$(fresh)" = "$TMP/root/usr/bin/other" ] && [ ! -e "$TMP/root/usr/lib/rota" ]
}
again() { ! mk uninstall DESTDIR="$TMP/root" PREFIX=/usr 2>"$TMP/err" && grep -q 'no rota in' "$TMP/err"; }
no_debian() {		# the list, status 2, and how to go on
	mkdir -p "$TMP/bin"
	for p in make sh uname nproc find awk echo env; do ln -sf "$(command -v $p)" "$TMP/bin/$p"; done
	exits 2 env -i PATH="$TMP/bin" make deps >"$TMP/out" 2>&1 && grep -q 'liblmdb-dev' "$TMP/out" && grep -q 'READY=' "$TMP/out"
}
have() { exits 2 make have PACKAGES='make no-such-package' 2>&1 | grep -q 'not installed: no-such-package;'; }
executable() { for f in t/*.t .ci/run; do [ -x "$f" ] || { echo "$f"; return 1; }; done; }
first_lines() {		# the first comment of a test says what it proves
	for f in t/*.c t/*.t t/*.lua; do
		[ -e "$f" ] || continue
		b=${f##*/}
		head -2 "$f" | grep -qF "$b - " || { echo "$f does not begin with its name and what it proves"; return 1; }
	done
}
marks() { ! grep -rnE 'TODO|FIXME|XXX' Makefile lib cmd lua man examples t contrib README 2>/dev/null | grep -v '^t/house.t:' | grep -v '^t/corpus/\|XXXXXX'; }

check 'build/env sets the paths once' env_works
check 'completion knows every program' complete
check 'completion asks the program' completes
check 'every program: -V, -h, words, unknown options' speaks
check 'make install' installs
check 'the manifest is the truth' manifest
check 'make uninstall removes ours and no more' uninstalls
check 'a second uninstall says that there is none' again
check 'deps without apt prints the list, status 2' no_debian
check 'a missing package is named' have
check 'tests can be executed' executable
check 'tests say what they prove' first_lines
check 'no marks of unfinished work' marks
done_testing
