#!/bin/sh
# pages.t - every program has a page, pages are clean, complete and name every option of their program
. "${0%/*}/lib.sh"
progs=$(cd "$O/bin" && ls)
page() { ls man/"$1".1 man/"$1".8 2>/dev/null; }
has_page() { [ -n "$(page "$1")" ] || { echo "no page for $1"; return 1; }; }
sections() {		# 60 to 200 lines are meant; EXIT STATUS and EXAMPLES are there in sections 1 and 8, in the usual order
	for s in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES; do
		grep -qx "\.Sh $s" "$1" || { echo "no section $s"; return 1; }
	done
	sed -n 's/^\.Sh //p' "$1" | awk 'BEGIN { n = split("NAME,SYNOPSIS,DESCRIPTION,ENVIRONMENT,FILES,EXIT STATUS,EXAMPLES,SEE ALSO,CAVEATS", a, ",")
		for (i = 1; i <= n; i++) at[a[i]] = i }
		$0 in at { if (at[$0] < last) { print $0 " is late"; bad = 1 } last = at[$0] } END { exit bad }'
}
options() {		# options PROGRAM PAGE: long names, and letters that have none, as the program says them for completion
	mandoc -Tascii "$2" | sed 's/.\x08//g' | tr -s ' \n' ' ' >"$TMP/text" || return
	"$1" --complete-words | grep '^-' | sort -u >"$TMP/words"
	[ "$(wc -l <"$TMP/words")" -ge 4 ] || { echo "$1 --complete-words names no options"; return 1; }
	missing=''
	while read -r w; do
		case $w in --help|--version|-h|-V) continue ;; esac
		grep -qE -e "(^|[^-a-z])$w([^-a-z]|\$)" "$TMP/text" && continue
		missing="$missing $w"
	done <"$TMP/words"
	[ -z "$missing" ] || { echo "$2 does not name:$missing"; return 1; }
}
verbs() {		# verbs PROGRAM PAGE
	"$1" --complete-words | grep -v '^-' | while read -r w; do
		grep -qE "(Cm|Ar|Ic|Ql|Nm)( $1)?( [a-z]+)* $w( |\$)|Op $w|^\.Ss $w|^\.It (Cm|Ic) $w" "$2" || { echo "$2 does not name '$w'"; exit 1; }
	done
}
names_all() {		# rota(7) has a line for each program and page
	for p in $progs; do grep -q "Xr $p [18]" man/rota.7 || { echo "rota(7) does not name $p"; return 1; }; done
	for p in man/*.7; do
		p=${p##*/} p=${p%.7}
		[ "$p" = rota ] || grep -q "Xr $p 7" man/rota.7 || { echo "rota(7) does not name $p(7)"; return 1; }
	done
}
refers() {		# every page that is referred to exists
	sed -n 's/^\.Xr \(r[a-z-]*\) \([1378]\).*/\1.\2/p; s/^\.It Xr \(r[a-z-]*\) \([1378]\).*/\1.\2/p' man/* | sort -u | while read -r p; do
		[ -e "man/$p" ] || { echo "no man/$p"; exit 1; }
	done
}
words() {		# every code word of errors is in rota-values(7) and rota-lua(7)
	sed -n 's/^	X(ERR_[A-Z_]*, *-[0-9]*, "\([a-z_]*\)".*/\1/p' lib/base/err.h >"$TMP/codes"
	[ -s "$TMP/codes" ] || return 1
	while read -r w; do grep -qw "$w" man/rota-values.7 || { echo "rota-values(7) lacks $w"; return 1; }; done <"$TMP/codes"
}
lua_options() {		# every option of with, there and to come, is in rota-lua(7)
	rlua -e 'package.loaded["rota.core"] = setmetatable({}, {__index = function() return function() end end})
	local _, check = 1, require "rota.options"
	for i = 1, 20 do
		local name, known = debug.getupvalue(check, i)
		if name == "known" then for kind, t in pairs(known) do for k in pairs(t) do print(k) end end end
		if name == "later" then for k in pairs(known) do print(k) end end
	end' | sort -u >"$TMP/options"
	[ "$(wc -l <"$TMP/options")" -gt 20 ] || { cat "$TMP/options"; return 1; }
	while read -r w; do grep -qw "$w" man/rota-lua.7 || { echo "rota-lua(7) lacks $w"; return 1; }; done <"$TMP/options"
}
lua_functions() {	# every function of the module is in rota-lua(7), and none is that the module lacks
	rlua -e 'for k, v in pairs(require "rota") do if type(v) == "function" then print(k) end end' | sort >"$TMP/have"
	sed -n 's/^\.It Fn rota\.\([a-z_]*\).*/\1/p' man/rota-lua.7 | sort -u >"$TMP/said"
	diff "$TMP/have" "$TMP/said"
}

told() {		# told PAGE WORDS...: what cannot be caught at run time is in the page, as these words in turn, over its lines
	tr -s ' \n' ' ' <"man/$1" >"$TMP/flat"; shift
	for w; do grep -qF -e "$w" "$TMP/flat" || { echo "no '$w'"; return 1; }; done
}
check 'a ref is true: in CAVEATS' told rota-lua.7 'A ref is true:'
check 'an upvalue that is assigned to: in CAVEATS' told rota-lua.7 'changes the copy of its worker' 'State belongs in actors.'
check 'what counts from 1, and what from 0' told rota-lua.7 'Numbers that index a list count from 1' 'as GPU 0 and rank 0'
check 'in the prompt a local lives for one line' told rlua.1 'lives for one line'
check 'a lost command runs again: at least once' told rmap.1 'at least once'
check 'columns of -J are kept' told rota.7 'whose keys stay what they are'
check 'where robj put leaves what it puts' told robj.1 'belongs to the node, not to the program that made it'

for p in $progs; do
	check "$p has a page" has_page "$p"
	f=$(page "$p")
	[ -n "$f" ] || continue
	check "$f names the options of $p" options "$p" "$f"
	check "$f names the verbs of $p" verbs "$p" "$f"
	check "$f has its sections" sections "$f"
done
command -v mandoc >/dev/null && for f in man/*; do check "$f is clean" mandoc -Tlint -W warning "$f"; done
check 'rota(7) names all programs and pages' names_all
check 'pages refer to pages that exist' refers
check 'code words of errors' words
check 'options of with' lua_options
check 'functions of the module' lua_functions
done_testing
