# page.sh - the examples of a manual page as tests: source it after lib.sh
# In EXAMPLES a line '$ COMMAND' runs, all in one shell; the lines after it are what it prints.  '$ cat FILE' makes FILE.
# shellcheck shell=sh
split_page() {		# split_page PAGE: $TMP/page/N.cmd and N.want
	rm -rf "$TMP/page" && mkdir -p "$TMP/page/work"
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$1" | sed 's/\\e/\\/g' | awk -v dir="$TMP/page" '
		/^\./ { k = 0; next }
		/^\$ / { k = ++n; print substr($0, 3) >(dir "/" k ".cmd"); printf "" >(dir "/" k ".want"); next }
		k { print >(dir "/" k ".want") }'
}
one_example() {		# one_example N COMMAND: here, not in a child, so that what it sets is there for the next one
	case $2 in
	'cat '*) cp "$TMP/page/$1.want" "${2#cat }"; return ;;
	esac
	eval "$2" >"$TMP/got" 2>"$TMP/err" </dev/null || { echo "status $?"; cat "$TMP/got" "$TMP/err"; return 1; }
	cat "$TMP/err"
	sed 's/ *$//' "$TMP/page/$1.want" >"$TMP/want"
	sed 's/ *$//' "$TMP/got" | diff "$TMP/want" -
}
page_examples() {	# page_examples PAGE
	split_page "$1"
	here=$PWD i=1
	while [ -e "$TMP/page/$i.cmd" ]; do
		cmd=$(cat "$TMP/page/$i.cmd")
		cd "$TMP/page/work" || return
		check "${1##*/}: $cmd" one_example "$i" "$cmd"
		cd "$here" || return
		i=$((i + 1))
	done
	check "${1##*/} has examples" [ "$i" -gt 3 ]
}
