#!/bin/sh
# rmap_lua.t - rmap -e and -f: what is an expression, what a result prints, errors per line, columns, order
. "${0%/*}/lib.sh"
printf '%s\n' 'local k = 10' 'return function(line, n)' '	return line * k, n' 'end' >"$TMP/f.lua"
printf '%s\n' '#!/usr/bin/env rlua' 'return 5' >"$TMP/five.lua"
mkdir "$TMP/lib"; echo 'return { twice = function(x) return x .. x end }' >"$TMP/lib/dup.lua"

check 'expression' prints '1
4
9' sh -c 'seq 3 | rmap -k -e "line * line"'
check 'a function' prints 'a1 b2' sh -c 'printf "a\nb\n" | rmap -k -e "function(line, n) return line .. n end" | xargs'
check 'statements' prints '2 4' sh -c 'seq 5 | rmap -k -e "if n % 2 == 0 then return line end" | xargs'
check '-f' prints '30	1' rmap -f "$TMP/f.lua" ::: 3
check '-f without a function' says "returns no function" rmap -f "$TMP/five.lua" ::: 3
check 'nil prints nothing' prints 2 sh -c 'seq 5 | rmap -e "n < 3 and line or nil" | wc -l'
check 'several values' prints 'a	1		true' rmap -e 'line, n, nil, true' ::: a
check 'tables' prints '{"x":[1,2]}' rmap -e '{x = {1, 2}}' ::: a
check 'a table with a long string' prints 5003 sh -c 'rmap -e "{line:rep(4998)}" ::: a | wc -c | xargs'
check 'numbers are as tostring writes them' sh -c '
	for v in 0 -0.0 1.5 3.0 1e14 1e15 -1e13 99999999999999.0 100000000000000.0 1e100 -1/0 1/3 math.mininteger math.maxinteger 2^53 0.1 -7 -12345678901 2^-1074; do
		printf "%s\n" "$v"; done >$TMP/numbers
	rmap -k -a $TMP/numbers -e "load(\"return \" .. line)()" >$TMP/ours
	rmap -k -a $TMP/numbers -e "tostring(load(\"return \" .. line)())" | cmp - $TMP/ours && test "$(wc -l <$TMP/ours)" = 19'
check 'n counts lines over all blocks' prints "$(seq 100000 | md5sum)" sh -c 'yes | head -100000 | rmap -k -b 999 -e n | md5sum'
check '-k over many blocks' prints "$(seq 300000 | md5sum)" sh -c 'seq 300000 | rmap -k -e line | md5sum'
check 'without -k nothing is lost' prints "$(seq 300000 | md5sum)" sh -c 'seq 300000 | rmap -e line | sort -n | md5sum'
check 'a line longer than a block' prints 1000001 sh -c '{ head -c 1000000 /dev/zero | tr "\0" x; echo; } | rmap -e "#line + 1"'
check 'the last newline may be missing; bytes are bytes' prints '1 3' sh -c 'printf "a\n\0\377b" | rmap -k -e "#line" | xargs'
check 'an empty line' prints '0' sh -c 'echo | rmap -e "#line"'
check 'no lines' prints '' sh -c 'rmap -e line </dev/null'
check '-0' prints '3 1' sh -c 'printf "a\nb\0c\0" | rmap -0 -k -e "#line" | xargs'
check ':::' prints '3' rmap -e '#line' ::: 'a
b'
check '-C' prints 'b 2' sh -c 'printf "a\tb\n" | rmap -C "\t" -e "f[2] .. \" \" .. #f"'
check '-C regular expression' prints 'a-b-c' sh -c 'echo "a, b,c" | rmap -C ", *" -e "table.concat(f, \"-\")"'
check '--require' prints abab env LUA_PATH="$TMP/lib/?.lua;$LUA_PATH" rmap --require dup -e 'dup.twice(line)' ::: ab
check 'an error names its line and place' says 'rmap: line 2: boom (-e:1)' \
	sh -c 'seq 3 | rmap -k -e "n == 2 and error(\"boom\") or line" 2>&1 >/dev/null | head -1 >&2'
check 'the others go on, status 1' sh -c 'seq 3 | rmap -k -e "n == 2 and error() or line" >$TMP/out 2>/dev/null; test $? = 1 && test "$(xargs <$TMP/out)" = "1 3"'
check 'summary' says '2 of 3 failed; first: line 1: boom' sh -c 'seq 3 | rmap -e "n ~= 2 and error(\"boom\", 0) or line" 2>&1 | tail -1 >&2'
check 'a syntax error: 2, before anything is read' says '-e:1: unexpected symbol near <eof>' rmap -e 'line *'
check 'its status' exits 2 sh -c 'rmap -e "line *" 2>/dev/null'
check 'a syntax error in a file' sh -c 'printf "return function(\n  x y)" >$TMP/bad.lua; rmap -f $TMP/bad.lua 2>&1 | grep -q "bad.lua:2: "'
check 'what is for commands only' says '-s does not go with -e' rmap -s -e line
check '-n' says 'is -b meant' rmap -n 3 -e line
check 'a worker that dies: its block again' prints '1 2 3' sh -c 'seq 3 | rmap -k -e "
	local f = io.open(\"$TMP/once\"); if not f then io.open(\"$TMP/once\", \"w\"):close(); os.execute(\"kill -9 \$PPID\") end; return line" | xargs'
check 'much output of one line' prints 50000001 sh -c 'rmap -e "line:rep(50000000)" ::: x | wc -c'
done_testing
