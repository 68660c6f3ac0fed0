#!/bin/sh
# robj.t - objects stay with the node byte by byte until they are removed; messages and statuses are as robj(1) says
. "${0%/*}/lib.sh"
. "${0%/*}/page.sh"
XDG_STATE_HOME=$TMP/state
export XDG_STATE_HOME
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT

# --- no node
check 'put without a node' says "robj: no node is running: an object would vanish at once. Start one with 'rota up', or name a cluster with -A" \
	sh -c 'echo x | robj put'
check 'is 125' exits 125 sh -c 'echo x | robj put'
for v in ls 'cat 1234' 'get 1234' 'rm 1234'; do
	check "$v without a node is 125" exits 125 robj $v
	check "and says so" says 'no node is running' robj $v
done
check '-A private starts none' exits 125 robj -A private ls
check 'an address that is none' says "no cluster 'x' is known" robj -A x ls
# --- usage
check 'no verb' exits 2 robj
check 'nearest verb' says "no verb 'gett'; did you mean 'get'?" robj gett
check 'nearest option' says "unknown option '--tll'; did you mean '--ttl'? see robj put -h" robj put --tll 3
check 'a time that is none' says "cannot use 'soon' for --ttl" robj put --ttl soon
check 'one name, two files' exits 2 robj put --name x /etc/passwd /etc/group
check '-o: nearest column' says "no column 'nam'; did you mean 'name'?" robj ls -o nam
check '-o help' prints 'id
size
name
age
ttl
state' sh -c 'robj ls -o help | head -6'

rota up -q -c 2 >/dev/null || exit 1

# --- bytes there and back
back() {		# back FILE: as a file, on stdin, through a pipe
	for how in 'robj put "$1"' 'robj put <"$1"' 'cat "$1" | robj put' 'cat "$1" | robj put -'; do
		id=$(sh -c "$how" sh "$1") || return
		robj cat "$id" | cmp - "$1" && robj get "$id" | cmp - "$1" && robj cat "$id" "$id" | cmp - "$TMP/twice" &&
			robj rm "$id" || { echo "$how"; return 1; }
	done
}
sizes='0 1 4095 4096 4097 70000 5000001'
for size in $sizes; do
	head -c "$size" /dev/urandom >"$TMP/f"
	cat "$TMP/f" "$TMP/f" >"$TMP/twice"
	check "$size bytes come back" back "$TMP/f"
done
check 'nothing is left' prints '' robj ls
check 'from where stdin stands' prints 'line 2' sh -c 'printf "line 1\nline 2\n" >$TMP/two; { read -r _; robj put; } <$TMP/two | robj cat; :' 
proc_file() { robj put /proc/version | robj cat | cmp - /proc/version; }
check 'a file that does not know its size' proc_file
many() { robj put "$TMP/f" "$TMP/two" | robj cat | cmp - "$TMP/all"; }
cat "$TMP/f" "$TMP/two" >"$TMP/all"
check 'several files, ids through a pipe' many
half() { exits 1 robj put "$TMP/none" "$TMP/two" >"$TMP/ids" 2>"$TMP/err2" && [ "$(wc -l <"$TMP/ids")" -eq 1 ]; }
check 'one that cannot be read: the others are put, 1' half
check 'and it is named' says "cannot read '$TMP/none': No such file or directory" robj put "$TMP/none"
check 'a directory' says "cannot read '$TMP': Is a directory" robj put "$TMP"
check 'empty the store' sh -c 'robj ls -o id | robj rm'

# --- names, prefixes, lists
check 'a name' sh -c 'echo hello | robj put --name n1 >$TMP/id'
check 'get by name' prints hello robj get n1
check 'get by prefix' prints hello sh -c 'robj get $(cut -c 1-16 $TMP/id)'
check 'a name is taken' says "an object 'n1' exists; remove it with 'robj rm n1'" sh -c 'echo x | robj put --name n1'
check 'is 1' exits 1 sh -c 'echo x | robj put --name n1'
echo more | robj put >"$TMP/id2"
check 'an ambiguous prefix' says 'is ambiguous: 2 objects begin so' robj get "$(cut -c 1-8 "$TMP/id")"
check 'rm does not guess' exits 1 robj rm "$(cut -c 1-8 "$TMP/id")"
check 'no such object' says "robj: no object 'nix'" robj get nix
check 'is 1' exits 1 robj get nix
check 'the others are shown all the same' prints hello sh -c 'robj get nix n1 2>/dev/null; :'
check 'ls' prints "$(cat "$TMP/id")	22	n1
$(cat "$TMP/id2")	21	-" robj ls -o id,size,name
check 'ls -r' prints "$(robj ls -o id | tac)" robj ls -r -o id
check 'ls --header' prints 'name	ttl' sh -c 'robj ls --header -o name,ttl | head -1'
check 'ls -J' sh -c 'robj ls -J | grep -q "^{\"id\":\"[0-9a-f]\{32\}\",\"size\":22,\"name\":\"n1\",\"age\":[0-9.]*,\"ttl\":null,\"state\":\"sealed\","'
check 'ls takes filters' prints n1 robj ls 'name~^n' size=22 -o name
check 'and nothing else' exits 2 robj ls n1
check 'rm of what is gone is said' says "no object 'nix'; nothing to remove" robj rm nix
check 'and is no failure' exits 0 robj rm nix
check 'not with -q' prints '' sh -c 'robj rm -q nix 2>&1'
check 'rm by name' sh -c 'robj rm n1 && exec test -z "$(robj ls -o name | grep n1)"'
check 'the name is free again' sh -c 'echo x | robj put --name n1'
ttl() {			# the end is waited for, not slept for: a read from the node until it says no
	echo x | robj put --name short --ttl 50ms >/dev/null || return
	i=0
	while robj get short >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 2000 ] || return 1; done
}
check 'its time is over' ttl
check 'the time that is left' sh -c 'echo x | robj put --ttl 1h --name hour; robj ls -J | grep -q "\"name\":\"hour\".*\"ttl\":3[56][0-9][0-9]"'

# --- all about one, how much in all, until it is there
about() { robj show -o name,size,state,where,owner,kept,ttl n1 | tr '\n\t' ' ='; }
check 'show' prints 'name=n1 size=18 state=sealed where=arena owner=node kept=true ttl=- ' about
check 'show by id, as JSON' sh -c 'robj show -J $(robj ls -J | sed -n "s/^{\"id\":\"\([0-9a-f]*\)\".*\"name\":\"n1\".*/\1/p") | grep -q "\"size\":18,\"name\":\"n1\","'
check 'show of what is not there' says "robj: no object 'nix'" robj show nix
check 'is 1' exits 1 robj show nix n1
check 'show -o: nearest column' says "no column 'were'; did you mean 'where'?" robj show -o were n1
check 'du' prints 'node true' sh -c 'set -- $(robj du -o owner,objects,bytes); echo $1 $([ $2 = $(robj ls | wc -l) ] && [ $3 = $(robj ls -o size | awk "{ s += \$1 } END { print s }") ] && echo true)'
watched() {		# a line when an object comes, one when it goes; TERM ends it
	mkfifo "$TMP/seen"
	robj ls -w -o name,state >"$TMP/seen" &
	watcher=$!
	exec 6<"$TMP/seen"
	while read -r a <&6 && [ "$a" != "n1	sealed" ]; do :; done
	echo x | robj put --name brief >/dev/null || return
	while read -r a <&6 && [ "$a" != "brief	sealed" ]; do :; done
	robj rm brief && read -r b <&6
	kill -TERM $watcher
	exits 143 wait $watcher || return
	exec 6<&-
	echo "$a, $b"
	[ "$a, $b" = 'brief	sealed, brief	gone' ]
}
check 'ls -w into a pipe: a line an event' watched
screen() {		# on the screen beside, anew each second; at the end the terminal is as it was
	command -v script >/dev/null || return 0
	: >"$TMP/tty"		# what is waited for is a line drawn: the command itself stands in the first line of that file
	SHELL=/bin/sh timeout 30 script -qefc 'robj du -w -o owner,objects & until grep -aq "^node" "$TMP/tty"; do :; done; kill $!; wait $! 2>/dev/null; echo $?' \
		"$TMP/tty" >"$TMP/drawn" </dev/null
	tr -d '\033\r' <"$TMP/drawn" | awk 'NR == 1 && !/^\[\?1049h\[\?25l\[Howner +objects\[K$/ { bad = 1 } { end = $0 }
		END { exit bad || end !~ /\[\?25h\[\?1049l143$/ }' || { od -c "$TMP/drawn"; return 1; }
}
check 'du -w on a terminal' screen
check 'du -o help' sh -c 'robj du -o help | grep -qx lineage_dropped'
check 'du takes no operand' exits 2 robj du n1
check 'wait for what is there' exits 0 robj wait n1
check 'wait for what never comes' says "robj: no object 'nix' came within the time" robj wait -t 10ms nix
check 'is 124' exits 124 robj wait -t 10ms n1 nix
check 'a time that is none' says "cannot use 'soon' for -t" robj wait -t soon nix
waiting() {		# three wait for two; one of them gives up, one is killed; a name and an id that come later
	robj wait -t 60 w1 w2 >"$TMP/w" 2>&1 & a=$!
	robj wait w1 & b=$!
	robj wait w2 & c=$!
	robj wait -t 20ms w2 2>/dev/null
	[ $? -eq 124 ] || return
	echo 1 | robj put --name w1 >/dev/null && wait $b || return
	kill -0 $a && kill -KILL $c && { wait $c; [ $? -eq 137 ]; } || return
	echo 2 | robj put --name w2 >/dev/null && wait $a && [ ! -s "$TMP/w" ] && robj rm w1 w2
}
check 'wait until they are there' waiting

# --- a program that reads an object where it lies
seq 100000 >"$TMP/seq"
robj put --name seq "$TMP/seq" >/dev/null
check 'exec: descriptor, offset, size' prints "$(wc -c <"$TMP/seq") 1 100000" robj exec seq sh -c 'echo $ROTA_SIZE $(head -c $ROTA_SIZE <&3 | sed -n "1p;\$p")'
check 'by offset' prints '2 3' sh -c 'robj exec seq sh -c "tail -c +\$((ROTA_OFFSET + 3)) /dev/fd/3 | head -n 2 | xargs"'
check 'its status' exits 7 robj exec seq sh -c 'exit 7'
check 'a signal' exits 143 robj exec seq sh -c 'kill $$'
check 'no such command' exits 127 robj exec seq nonesuch
check 'says so' says "robj: cannot run 'nonesuch': No such file or directory" robj exec seq nonesuch
check 'no command' exits 2 robj exec seq
check 'no object' exits 1 robj exec nix true
check 'its options are its own' prints -J robj exec seq echo -J
check 'removed while a program reads it' prints 100000 robj exec seq sh -c 'robj rm seq && head -c $ROTA_SIZE <&3 | tail -n 1'

# --- values of Lua
rlua -l rota -e '
	rota.keep(rota.put({1, 2.5, "x", {a = true}, ("y"):rep(5000)}), {name="table"})
	rota.keep(rota.put(("line\n"):rep(2000)), {name="string"})
	local b = rota.buffer(5000, "u8")
	for i = 1, #b do b[i] = i % 256 end
	rota.keep(rota.put(b), {name="buffer"})' || echo '# the Lua side failed'
check 'a table is a line of JSON' prints '[1,2.5,"x",{"a":true},"yyy' sh -c 'robj get table | cut -c 1-26'
check 'its end' prints 'y"]' sh -c 'robj get table | tail -c 4'
check 'and no bytes' says "'table' is no string or buffer; see it with 'robj get table'" robj cat table
check 'is 1' exits 1 robj cat table
check 'a string of Lua' prints '2000 line' sh -c 'robj cat string | uniq -c | xargs'
check 'a buffer of Lua' prints '5000 01 02 03' sh -c 'robj get buffer >$TMP/b; echo $(wc -c <$TMP/b) $(head -c 3 $TMP/b | od -An -tx1)'

cat >"$TMP/keep.lua" <<'END'
local rota = require "rota"
local function fails(...) local good, e = pcall(...) assert(not good) return tostring(e) end
local id = rota.keep(rota.put("a word"), { name = "word" })
assert(rota.get(rota.lookup "word") == "a word" and rota.lookup(id):get() == "a word", "a small value")
print(fails(rota.keep, rota.put("x"), { name = "word" }))
print(select(2, rota.lookup "nix"))
print((fails(rota.keep, rota.put("x"), { nmae = "y" }):match "did you mean 'name'"))
print((fails(rota.keep, rota.put("x"), { ttl = "soon" }):match "ttl is a time"))
print((fails(rota.keep, rota.task(error)("no")):match "no"))
local r = rota.put({ 1, "two", { x = 3 } }, "second")
rota.keep(r, { name = "several", ttl = "1h" })
local a, b = rota.get(rota.lookup "several")
print(a[3].x, b, r:get()[2])
rota.keep(rota.put("gone"), { name = "gone", ttl = "1ms" })
while rota.lookup "gone" do end
local f = rota.task(function() return rota.get(rota.lookup "word") end)
print(rota.get(f()))
END
check 'keep and lookup from Lua' prints "an object 'word' exists
no object 'nix'
did you mean 'name'
ttl is a time
no
3	second	two
a word" rlua "$TMP/keep.lua"
check 'and from here' prints 'a word' robj get word
# --- what goes wrong outside
check 'a full stdout' says 'robj: cannot write to stdout: No space left on device' sh -c 'robj cat string >/dev/full'
check 'is 125' exits 125 sh -c 'robj cat string >/dev/full'
lost() { a=$(robj ls -o id); exits 125 sh -c 'echo x | robj put 2>/dev/null >/dev/full' && [ "$a" = "$(robj ls -o id)" ]; }
check 'an id that nobody heard of is not kept' lost
check 'a closed pipe is silent' prints '' sh -c '{ robj put </bin/sh | robj cat | head -c 1 >/dev/null; } 2>&1'
pipe() { sh -c '{ robj cat string string string string string string string string string; echo $? >$TMP/st; } | head -c 1 >/dev/null'; [ "$(cat "$TMP/st")" -eq 141 ]; }
check 'and a death by SIGPIPE' pipe
held() {		# an object that is removed while it is read is read to its end
	robj put --name held "$TMP/f" >/dev/null
	mkfifo "$TMP/slow"
	robj cat held >"$TMP/slow" &
	p=$!
	exec 5<"$TMP/slow"
	head -c 1 <&5 >"$TMP/part" && robj rm held && cat <&5 >>"$TMP/part" && wait $p && exec 5<&-
	! robj get held 2>/dev/null && cmp "$TMP/part" "$TMP/f"
}
check 'removed while it is read' held
many_at_once() {
	for i in $(seq 60); do echo "$i" | robj put & done | sort >"$TMP/ids"
	[ "$(sort -u "$TMP/ids" | wc -l)" -eq 60 ] && robj cat <"$TMP/ids" | sort -n | cmp - "$TMP/sixty" && robj rm <"$TMP/ids"
}
seq 60 >"$TMP/sixty"
check 'sixty at once' many_at_once
check 'all is given back' prints '0' sh -c 'robj ls -o id | robj rm; robj ls | wc -l'
full() { head -c 300000000 /dev/zero | robj put >"$TMP/o"; }
rota down -q --force
rota up -q -c 1 --store 64M >/dev/null
check 'a store that is too small is 125' exits 125 full
check 'and keeps nothing' prints '' robj ls
check 'and says it' says "robj: cannot put 'stdin': " full
rota down -q --force

# --- a node that ends by itself
cat >"$TMP/holds.lua" <<'END'
local rota = require "rota"
rota.init { address = "private", store = "32M", cpus = 1 }
local a, b = rota.put(("a"):rep(8 << 20)), {}
for i = 1, 8 do b[i] = rota.put(("b"):rep(8 << 20)) end
os.execute("robj -A pid:$PPID show -o where,state,refs,size " .. a:id() .. "; robj -A pid:$PPID du -o owner,objects,bytes")
END
holds() {
	rlua "$TMP/holds.lua" >"$TMP/o" 2>&1
	for l in 'where	disk' 'state	spilled' 'refs	1' 'size	8388624' '[0-9]*	9	75497616'; do
		grep -qx "$l" "$TMP/o" || { echo "no line $l"; cat "$TMP/o"; return 1; }
	done
}
check 'show and du see what programs hold, on the disk too' holds
check 'a private node keeps it as long as it runs' sh -c 'exec 2>&1; rlua -l rota -e "rota.init{} os.execute([[echo x | robj put -q >/dev/null; robj ls | wc -l]])" | grep -qx 1'
check 'and put says so' says 'this node ends with the last program that uses it' sh -c 'rlua -l rota -e "rota.init{} os.execute([[echo x | robj put]])" >/dev/null'

page_examples man/robj.1
done_testing
