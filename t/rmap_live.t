#!/bin/sh
# rmap_live.t - --line-buffer writes whole lines as they come, -u what comes at once; nothing is lost, nothing mixed within a line
. "${0%/*}/lib.sh"
lines() {		# 8 at once write 2,000 lines in small pieces: each arrives whole and once
	seq 8 | rmap -j 8 --line-buffer -s 'i=0; while [ $i -lt 250 ]; do printf "%s:" {}; echo "$i"; i=$((i + 1)); done' >"$TMP/out" &&
	sort "$TMP/out" >"$TMP/got" && seq 8 | while read -r a; do seq 0 249 | sed "s/^/$a:/"; done | sort >"$TMP/want" && cmp "$TMP/got" "$TMP/want"
}
early() {		# the first line is there while the command still runs
	mkfifo "$TMP/go"
	rmap --line-buffer -s 'echo first; read -r x <"{}"; echo "$x"' ::: "$TMP/go" | {
		read -r a && [ "$a" = first ] && echo second >"$TMP/go" && read -r b && [ "$b" = second ]
	}
}
raw() {			# without an end of line too
	mkfifo "$TMP/go2"
	rmap -u -s 'printf ab; read -r x <"{}"; printf "$x"' ::: "$TMP/go2" | {
		[ "$(dd bs=1 count=2 2>"$TMP/dd")" = ab ] && echo cd >"$TMP/go2" && [ "$(cat)" = cd ]
	}
}
both() {		# stderr goes to stderr
	rmap --line-buffer --tag -s ': {}; echo out; echo err >&2' ::: x >"$TMP/o" 2>"$TMP/e" &&
	[ "$(cat "$TMP/o")" = 'x	out' ] && [ "$(cat "$TMP/e")" = 'x	err' ]
}
big() { rmap -u -s ': {}; head -c 30000000 /dev/zero' ::: a b | wc -c | grep -qx 60000000; }
retried() {		# what a failed try wrote has been written; the tag is there each time
	rmap --line-buffer --tag --retries 1 -s ': {}; echo "$ROTA_ATTEMPT"; test "$ROTA_ATTEMPT" = 2' ::: x >"$TMP/o" &&
	printf 'x\t1\nx\t2\n' | cmp - "$TMP/o" &&
	seq 40 | rmap -j 8 --line-buffer --tag --retries 3 -s ': {}; echo "$ROTA_ATTEMPT"; test "$ROTA_ATTEMPT" = 4' | sort >"$TMP/o" &&
	for i in $(seq 40); do printf "$i\t%d\n" 1 2 3 4; done | sort | cmp - "$TMP/o"
}
left() {		# a process that was left behind keeps nobody waiting
	timeout 20 rmap -u -s 'sleep 1000 & echo {}' ::: a b | sort | tr '\n' ' ' | grep -qx 'a b '
}
check 'lines of eight' lines
check 'a line as it comes' early
check 'bytes as they come' raw
check 'stdout and stderr, with a tag' both
check '60 MB' big
check 'a last line gets its end' prints 'a' rmap --line-buffer printf ::: a
check '-u adds nothing' sh -c 'rmap -u printf ::: a | od -An -c | grep -qx "   a"'
check 'retries' retried
check 'orphans' left
check 'a closed pipe ends it by SIGPIPE' sh -c '{ timeout 20 rmap -u yes ::: x; echo $? >&2; } 2>"$TMP/st" | head -n 1 && grep -qx 141 "$TMP/st"'
check 'status' exits 1 sh -c 'rmap -u -s ": {}; exit 3" ::: a 2>/dev/null'
check 'what does not go together' exits 2 sh -c 'rmap -u -k true 2>/dev/null'
check 'nor that' says '-u (is --line-buffer meant?) does not go with --tag' rmap -u --tag true
check '--send and --return have nothing to do here' prints a rmap --send x --return y echo ::: a
done_testing
