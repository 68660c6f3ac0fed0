#!/bin/sh
# rmap.t - items arrive whole as arguments, placeholders, order, statuses, messages and blocks are as rmap(1) says
. "${0%/*}/lib.sh"

# --- items: every byte but the delimiter
cat >"$TMP/odd" <<'EOF'
a  b
it's $(id) `id`

"q" \t * ; & <x>
EOF
check 'an item is an argument, whatever is in it' sh -c 'rmap -k -a $TMP/odd printf "%s\n" | cmp - $TMP/odd'
check 'the last newline may be missing, CR stays' prints "61 0d 2e 62" \
	sh -c 'printf "a\r\nb" | rmap -k printf %s. | od -An -tx1 | xargs | sed "s/ 2e$//"'
check 'no items: nothing runs' prints '' sh -c 'rmap echo </dev/null'
check 'an empty item is one' prints x sh -c 'echo | rmap sh -c "test -z \"\$1\" && echo x" sh'
check '-0: newlines in items' prints 'a
b|c|' sh -c 'printf "a\nb\0c" | rmap -0 -k printf "%s|"'
check '-d' prints 'a|b
|' sh -c 'printf "a,b\n" | rmap -d , -k printf "%s|"'
check '-a FILE and stdin of an item' prints '1 0' \
	sh -c 'echo 1 >$TMP/a; echo no | rmap -a $TMP/a sh -c "echo \$1 \$(wc -c)" sh'
check ':::' prints 'x 1
y z 2' rmap -k echo {} {#} ::: x 'y z'
check 'a NUL in a line fails that line' says 'is no such' sh -c 'printf "a\0b\n" | rmap echo 2>&1 | sed "s/.*NUL byte.*are the items.*/is no such/;/first/d" >&2'
check '-n' prints '1 2 3
4 5 6
7' sh -c 'seq 7 | rmap -k -n 3 echo'
check '-n: {2}, and {} within a word' prints '2 x1 2x
4 x3 4x' sh -c 'seq 4 | rmap -k -n 2 echo {2} x{}x'
check '-X: as many as fit' prints '20000 yes' \
	sh -c 'seq 20000 | rmap -X sh -c "echo \$#" sh | awk "{ n += \$1 } END { print n, NR < 5 ? \"yes\" : NR }"'
check '-C columns' prints 'b a' sh -c 'printf "a\tb\n" | rmap -C "\t" echo {2} {1}'
check '-C regular expression, a column that is not there' prints 'b||' sh -c 'echo "a  b" | rmap -C " +" printf "%s|%s|" {2} {3}'

# --- placeholders
check 'parts of a name' prints 'a.b/c.tar.gz a.b/c.tar c.tar.gz a.b c.tar' rmap echo {} {.} {/} {//} {/.} ::: a.b/c.tar.gz
check 'parts of a bare name' prints 'x x x . x' rmap echo {} {.} {/} {//} {/.} ::: x
check 'parts of names at the root' prints '/ /' rmap echo {//} {//} ::: /x
check 'a hidden file has no extension' prints '.x .x' rmap echo {.} {/.} ::: .x
check '{1} is text without columns' prints 'a{1} x' sh -c 'echo x | rmap echo "a{1}"'
check '-I STR frees {} for the command' prints 'a {}' rmap -I @ echo @ {} ::: a
check '-I' prints '{}x' sh -c 'echo x | rmap -I % echo {}%'
check 'none: the item comes last' prints 'a x' sh -c 'echo x | rmap echo a'
check '{%} is at most -j' prints 2 sh -c 'seq 30 | rmap -j 2 echo {%} | sort -n | tail -1'

# --- shell text
check '-s quotes' prints "it's; \$(id) *" sh -c 'echo "it'"'"'s; \$(id) *" | rmap -s "echo {}"'
check '-s leaves plain words plain' prints 6 sh -c 'echo 3 | rmap -s "echo \$(({} * 2))"'
check '-s: the item is $1 too' prints 'a b' sh -c 'echo "a b" | rmap -s "echo \"\$1\""'
check '-s: none: the item comes last' prints 'x y' sh -c 'echo y | rmap -s "echo x"'
check 'text without -s' says "for shell text use: rmap -s 'ls && x'" rmap 'ls && x' ::: a

# --- output
check '-k keeps order' prints "$(seq 200)" sh -c 'seq 200 | rmap -k echo'
check 'without -k nothing is lost' prints "$(seq 200)" sh -c 'seq 200 | rmap echo | sort -n'
check 'output of an item is whole' prints '40' \
	sh -c 'seq 40 | rmap -j 4 -s "for i in 1 2 3; do echo {}; done" | uniq -c | grep -c " 3 "'
check '--tag' prints 'p	a
p	b' rmap --tag -s 'printf "a\nb"; : {}' ::: p
check 'stderr goes to stderr' prints 'e1' sh -c 'rmap -s "echo e{} >&2" ::: 1 2>&1 >/dev/null'
check 'much output' prints 30000000 sh -c 'rmap -s "head -c 30000000 /dev/zero; : {}" ::: 1 | wc -c'

# --- statuses
check 'status 1' exits 1 sh -c 'rmap false ::: a 2>/dev/null'
check 'summary' says "2 of 3 failed; first: line 2 '1': exit 1" sh -c 'printf "0\n1\n2\n" | rmap -k -s "exit {}"'
check 'summary: signals' says "1 of 1 failed; first: item 1 'x': signal 9 (KILL)" rmap -s 'kill -9 $$; : {}' ::: x
check '--ok' exits 0 sh -c 'seq 3 | rmap --ok 1,2,3 -s "exit {}"'
check '--retries' prints 3 sh -c 'rmap --retries 2 -s "echo \$ROTA_ATTEMPT >>$TMP/tries; test \$ROTA_ATTEMPT = 3; : {} && test \$ROTA_ATTEMPT = 3" ::: a; wc -l <$TMP/tries'
check '-t: 124' exits 124 sh -c 'rmap -t 100ms sleep ::: 100 2>/dev/null'
check '-t: message' says 'took longer than 100ms' rmap -t 100ms sleep ::: 100
check '-t: who ignores TERM is killed' exits 124 sh -c 'rmap -t 50ms -s "trap : TERM; while :; do sleep {}; done" ::: 100 2>/dev/null'
check '127' exits 127 sh -c 'rmap no-such-program ::: a 2>/dev/null'
check '127 before any item is read' says "no program 'no-such-program'" rmap no-such-program
check '126' exits 126 sh -c 'rmap /etc/passwd ::: a 2>/dev/null'
check '127 of an item' says "line 1 './a': exit 127" sh -c 'echo ./a | rmap -s "exit 127; {}"'
check 'shell text with a placeholder: 127' exits 127 sh -c "rmap 'gzip {} && mv {}.gz out' ::: a 2>/dev/null"
check 'and the hint' says "for shell text use: rmap -s 'gzip {} && mv" rmap 'gzip {} && mv {}.gz out' ::: a
check 'a whole command as one word: the hint, once, before any item' says "for shell text use: rmap -s 'cat {}'" rmap 'cat {}' ::: a b c
check 'a file whose name has blanks and items is run' prints ran sh -c 'mkdir $TMP/d; printf "#!/bin/sh\necho ran" >"$TMP/d/x y"; chmod +x "$TMP/d/x y"; rmap "$TMP/d/x {}" ::: y'
check 'with --wd too 127 is known before any item' says "no program 'no-such-program' in PATH" rmap --wd / no-such-program
check 'a file of items that is not there: 2' exits 2 sh -c 'rmap -a /nofile true 2>/dev/null'
check 'nobody has that pid: 125' exits 125 sh -c 'rmap -A pid:4194305 true ::: a 2>/dev/null'
check 'infeasible: 125 at once' exits 125 sh -c 'rmap -c 10000 true ::: a 2>/dev/null'
check 'infeasible: what is missing' says 'needs 10000 cpus' rmap -c 10000 true ::: a
check 'full output: 125' exits 125 sh -c 'rmap echo ::: a >/dev/full 2>/dev/null'
check 'closed output: message' says 'cannot write to stdout: Bad file descriptor' sh -c 'rmap -e line ::: a >&-'
check 'full output: message' says 'cannot write to stdout: No space left' sh -c 'rmap echo ::: a >/dev/full'

# --- logs and halting
check '--joblog: a heading and a line each' prints 'Seq Host Starttime JobRuntime Send Receive Exitval Signal Command
1 0 2 0 0 echo a
2 0 4 0 0 echo "b c"' sh -c 'rmap -k -j 1 --joblog $TMP/jl echo ::: a "b c" >/dev/null; tr "\t'"'"'" " \"" <$TMP/jl | cut -d" " -f 1,5- | sed "1s/.*/Seq Host Starttime JobRuntime Send Receive Exitval Signal Command/"'
check '--resume does what is missing' prints 'c' sh -c 'rmap --joblog $TMP/jl --resume echo ::: a "b c" c'
check '--resume: another command' says 'joblog line 2: command differs' rmap --joblog "$TMP/jl" --resume echo ::: x
check 'is 2, and what it may be' sh -c 'rmap --joblog $TMP/jl --resume echo ::: x 2>$TMP/e; test $? = 2 && grep -q "the input or the command has changed" $TMP/e'
check '--joblog: appended at the end of each item' prints '1 2' sh -c 'rmap -k -j 1 --joblog $TMP/jl3 -s "wc -l <$TMP/jl3; : {}" ::: a b | xargs'
check '--resume-failed' prints '2' sh -c 'rmap --joblog $TMP/jl2 -s "test {} != 2" ::: 1 2 3 2>/dev/null
	rmap --joblog $TMP/jl2 --resume-failed -v -s "test {} != 2" ::: 1 2 3 2>&1 | grep -c "test 2\|1 of 1 failed"'
# --- a job log that something happened to: what it says is believed, what it does not say is done again
jl=$TMP/jl4
log() { rmap -q -k -j 1 --joblog "$jl" "$@" echo ::: a b c; }
log >/dev/null; cp "$jl" "$jl.whole"
resumes() { prints "$1" log --resume && [ "$(cut -f 1,9 "$jl" | sort -n)" = "$(cut -f 1,9 "$jl.whole" | sort -n)" ] && prints '' log --resume; }
cut_at() { head -c "$(($(wc -c <"$jl.whole") - $2))" "$jl.whole" >"$jl"; resumes "$1"; }
check '--resume: its last line was cut' cut_at c 10
check '--resume: in the command' cut_at c 3
check '--resume: after a field' cut_at c 7
check '--resume: the newline at its end is missing' cut_at '' 1
check '--resume: a line and a half are missing' cut_at 'b
c' "$(($(tail -1 "$jl.whole" | wc -c) + 4))"
heading_cut() { head -c 20 "$jl.whole" >"$jl"; resumes 'a
b
c'; }
check '--resume: half a heading' heading_cut
none() { : >"$jl"; resumes 'a
b
c'; }
check '--resume: empty' none
zeros() { { head -n -1 "$jl.whole"; head -c 100 /dev/zero; } >"$jl"; resumes c; }
check '--resume: zeros at the end, as power cuts leave them' zeros
doubled() { { cat "$jl.whole"; tail -n +2 "$jl.whole"; } >"$jl"; prints '' log --resume && prints '' log --resume-failed; }
check '--resume: each line doubled' doubled
later() { { cat "$jl.whole"; sed -n '2s/	0	0	echo/	7	0	echo/p' "$jl.whole"; } >"$jl"; prints '' log --resume && prints a log --resume-failed; }
check '--resume-failed: of two lines of an item the later one holds' later
refused() { text=$1; shift; "$@"; [ ! -f "$jl" ] || cp "$jl" "$jl.is"; exits 2 timeout 20 rmap --joblog "$jl" --resume echo ::: a b c 2>"$TMP/e" </dev/null && grep -qF "$text" "$TMP/e" &&
	[ "$(wc -l <"$TMP/e")" -eq 1 ] && { [ ! -f "$jl" ] || cmp "$jl" "$jl.is"; } && return; cat "$TMP/e"; return 1; }
into() { sed "$1" "$jl.whole" >"$jl"; }
check '--resume: a damaged line is named' refused "'$jl', line 3: not a line of a job log" into '3s/	/ /3'
check '--resume: one with a number that is none' refused "line 2: not a line of a job log" into '2s/^1/1x/'
check '--resume: zeros within' refused "line 2: not a line" into '2s/0	0	e/\x00	0	e/'
check '--resume: of something else' refused 'no job log' into '1s/Seq/Nr/'
check '--resume: without its heading' refused 'no job log' into 1d
check '--resume: a directory' refused "cannot resume from '$jl': no regular file" sh -c "rm -f '$jl'; mkdir '$jl'"
rmdir "$jl"
check '--resume: a fifo: nobody waits' refused "cannot resume from '$jl': no regular file" mkfifo "$jl"
rm "$jl"
check '--resume: a device' refused "cannot resume from '$jl': no regular file" ln -s /dev/zero "$jl"
rm "$jl"
check '--results' prints 'a
3' sh -c 'rmap --results $TMP/res -s "echo {}; exit 3" ::: a >/dev/null 2>&1; cat $TMP/res/1/stdout $TMP/res/1/status'
check '-J' prints '"seq":1,"item":"a b","attempts":1,"status":2,"signal":0,"timeout":false,"stdout":"x\n","stderr":"\ufffd","stderr_base64":"/w=="' \
	sh -c 'rmap -J -s "echo x; printf \"\\377\" >&2; exit 2; {}" ::: "a b" 2>/dev/null | sed "s/^{//; s/}$//; s/\"start\":\"[0-9T:.-]*Z\",\"runtime\":[0-9.e-]*,//"'
check '--halt now,fail=1: the status is the command'"'"'s' exits 7 sh -c 'rmap --halt now,fail=1 -j 2 -s "test {} = 1 && exit 7; exec sleep 1000" ::: 1 2 3 4 2>/dev/null'
check '--halt soon,success=1' prints 1 sh -c 'rmap -j 1 --halt soon,success=1 echo ::: 1 2 3'
check '--dry-run' prints "echo 'a b' x" rmap --dry-run echo {} x ::: 'a b'
check '--dry-run needs no node' prints 'echo a' env ROTA_ADDRESS=local rmap --dry-run echo ::: a
check '--tagstring' prints '1-b	x' rmap --tagstring '{#}-{/}' -s 'echo x; : {}' ::: a/b
check '-v' prints 'echo a' sh -c 'rmap -v echo ::: a 2>&1 >/dev/null'
check '--delay' exits 0 sh -c 'rmap --delay 1ms true ::: 1 2 3'

# --- usage
check 'no command' says 'no command; see rmap -h' rmap
check 'one list of items' says "a second ':::': there is one list of items" rmap echo ::: a ::: b
check 'unknown option' says "unknown option '--tagg'; did you mean '--tag'?" rmap --tagg true
check 'no name is near: no guess' says "rmap: unknown option '--foo'; see rmap -h" rmap --foo
check 'usage is 2' exits 2 sh -c 'rmap -n x true 2>/dev/null'
check '-S' says 'name a node with -A' rmap -S host true
check 'what does not go together' says '-C does not go with -n' rmap -C , -n 2 echo
check 'missing file' says "cannot read '/no/such': No such file" rmap -a /no/such true
help_text() {		# each part of it, in its place
	for l in 'words: {} item  {.} without extension' 'input:  -0 NUL ends items' 'run:    -j N at once (CPUs)' 'files:  -D DIR send, run in' 'output: -k input order' \
		'where:  -A ADDRESS' 'exit:   0 all well, 1 some failed, 2 usage, 124 time, 125 rota failed,' 'See man rmap.'; do
		rmap -h | grep -qF -e "$l" || { echo "no $l"; return 1; }
	done
}
check '-h: words, input, run, files, output, where, exit' help_text
check '-h is short' sh -c 'test "$(rmap -h | wc -l)" -le 24 && ! rmap -h | grep -q "^.\{81\}"'
check '-h stops at the first operand' prints '-h x' sh -c 'echo x | rmap echo -h'

# --- blocks
check '--pipe: every byte once, in whole lines' prints "$(seq 100000 | md5sum)" sh -c 'seq 100000 | rmap --pipe=64K -k cat | md5sum'
check '--pipe -n' prints '3 3 3 1' sh -c 'seq 10 | rmap --pipe -n 3 -k wc -l | xargs'
check '--pipe --header' prints '1,2,3
1,4' sh -c 'seq 4 | rmap --pipe -n 2 --header -k paste -s -d ,'
check '--recend' prints 'a;b;|c|' sh -c 'printf "a;b;c" | rmap --pipe -n 2 --recend ";" -k -s "cat; printf \"|\""'
check '--pipe: a line longer than a block' prints 100001 sh -c '{ head -c 100000 /dev/zero | tr "\0" x; echo; } | rmap --pipe=1K wc -c'
done_testing
