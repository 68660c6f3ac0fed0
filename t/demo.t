#!/bin/sh
# demo.t - examples/demo counts the words of odd documents in three ways alike, and notices when one differs
. "${0%/*}/lib.sh"

docs=$TMP/'some docs'
mkdir "$docs" "$TMP/bin"
printf "It's a test, a TEST-case of tests\n" >"$docs/it's one.txt"
printf 'no newline at the end' >"$docs/a b"
printf 'endless \303\274ber-words x1y2z3\000nul\n' >"$docs/c\$(d)"
: >"$docs/empty"
printf 'packed packed\tTwice twice\n' | gzip -9 >"$docs/packed.gz"
i=0
while [ $((i += 1)) -le 300 ]; do echo "document number $i of some x$i"; done | split -l 1 - "$docs/many"
find "$docs" -type f -print0 | sort -z >"$TMP/list"

count() { awk -F '\t' -v w="$1" '$1 == w { print $2 }' "$TMP/out"; }

check 'Lua, rmap and sort agree' sh -c 'examples/demo "$TMP/list" >"$TMP/stdout" 2>"$TMP/stderr" || { cat "$TMP/stdout" "$TMP/stderr"; exit 1; }'
check 'both comparisons were made' test "$(grep -c '^the same [0-9]* counts' "$TMP/stdout")" -eq 2
check 'the number of documents is said' grep -qx '305 documents' "$TMP/stdout"
check 'speeds are said' grep -Eqx '[0-9]+ documents/s, [0-9]+ tasks/s' "$TMP/stdout"
check 'progress off a terminal: ten lines' test "$(grep -c '^[0-9]*%$' "$TMP/stderr")" -eq 10
check 'the counts are written' exits 0 rlua examples/wordindex.lua "$TMP/list" "$TMP/out"
check 'a word of many documents' test "$(count document)" -eq 300
check 'case, quotes and hyphens' test "$(count a) $(count test) $(count tests) $(count s)" = '2 2 1 1'
check 'packed documents are read' test "$(count packed) $(count twice)" = '2 2'
check 'documents do not run into each other' test "$(count end) $(count endend)" = '1 '

printf '#!/bin/sh\n%s -c | sed "s/ 300 document/ 299 document/"\n' "$(command -v uniq)" >"$TMP/bin/uniq"
chmod +x "$TMP/bin/uniq"
differs() { PATH=$TMP/bin:$PATH exits 1 examples/demo "$TMP/list" 2>"$TMP/stderr" && grep -q 'the counts of Lua differ' "$TMP/stderr" &&
	grep -q '299' "$TMP/stderr"; }
check 'a difference ends it with 1 and is shown' differs
no_list() { exits 1 examples/demo "$TMP/absent"; }
check 'no list: 1' no_list
done_testing
