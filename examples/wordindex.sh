#!/bin/sh
# wordindex.sh LIST - counts the words of documents: "word<TAB>count" on stdout, sorted
# LIST: their names, each ended by NUL.  rmap counts batches on all CPUs and leaves each batch's counts with the node
# as an object, named by the id that robj prints; then the objects are added up.
list=${1:?usage: wordindex.sh LIST}
LC_ALL=C
export LC_ALL
newline=$(mktemp) && ids=$(mktemp) || exit 1
echo >"$newline"	# after each document, so that no word runs into the next one
export newline
started=$(rota up) || exit 1		# objects live as long as a node does
trap 'rm -f "$newline" "$ids"; rota down -q' EXIT
rmap -0 -n 64 -s 'for f in {}; do echo "$f" "$newline"; done | xargs zcat -f | tr -cs A-Za-z "\n" | tr A-Z a-z |
	sort | uniq -c | robj put' <"$list" >"$ids" || exit 1
xargs robj cat <"$ids" | awk 'NF == 2 { n[$2] += $1 } END { for (w in n) print w "\t" n[w] }' | sort
