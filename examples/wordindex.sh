#!/bin/sh
# wordindex.sh LIST - counts the words of documents: "word<TAB>count" on stdout, sorted
# LIST: their names, each ended by NUL.  rmap counts batches on all CPUs and leaves each batch's counts with the node
# as an object, named by the id that robj prints; then the objects are added up.
list=${1:?usage: wordindex.sh LIST}
dir=$(mktemp -d) || exit 1
LC_ALL=C ROTA_DIR=$dir/rota XDG_STATE_HOME=$dir/state newline=$dir/newline
export LC_ALL ROTA_DIR XDG_STATE_HOME newline
echo >"$newline"		# after each document, so that no word runs into the next one
rota up >"$dir/node" || exit 1	# objects live as long as their node
trap 'rota down -q --force; rm -rf "$dir"' EXIT
trap 'exit 143' HUP INT TERM
# shellcheck disable=SC2016
rmap -0 -n 64 -s 'for f in {}; do printf "%s\0%s\0" "$f" "$newline"; done | xargs -0 zcat -f |
	tr -cs A-Za-z "\n" | tr A-Z a-z | sort | uniq -c | robj put' <"$list" >"$dir/ids" || exit 1
echo "wordindex: $(wc -l <"$dir/ids") objects, $(robj ls | awk '{ n += $2 } END { print n + 0 }') bytes" >&2
xargs robj cat <"$dir/ids" | awk 'NF == 2 { n[$2] += $1 } END { for (w in n) print w "\t" n[w] }' | sort
