#!/bin/sh
# layers.t - an include points to a lower layer or stays in its own directory; lib/ neither prints nor exits
. "${0%/*}/lib.sh"
rank='base=1 os=2 nd=2 wire=3 ring=3 store=3 core=4 loop=4 link=5 node=6 client=6 capi=7 script=8 cmd=9'
upward() {		# upward DIR...
	find "$@" -name '*.[ch]' -exec grep -Hns '^#include ".*/' {} + | awk -v s="$rank" '
	BEGIN { n = split(s, a, /[ =]/); for (i = 1; i < n; i += 2) r[a[i]] = a[i + 1] }
	{ split($0, f, /[:"]/); k = split(f[1], p, "/"); split(f[4], q, "/"); me = p[k - 2] == "cmd" ? "cmd" : p[k - 1]
	  if (q[1] != me && (!(q[1] in r) || !(me in r) || r[q[1]] >= r[me])) { print f[1] ":" f[2] " -> " f[4]; x = 1 } }
	END { exit x }'
}
known() {		# every directory of lib/ has a rank
	for d in lib/*/; do
		d=${d#lib/} d=${d%/}
		case " $rank" in *" $d="*) ;; *) echo "lib/$d has no layer"; return 1 ;; esac
	done
}
forged() {		# the test itself: an upward and a sideways include are found
	mkdir -p "$TMP/lib/os" "$TMP/lib/ring"
	echo '#include "ring/ring.h"' >"$TMP/lib/os/a.c"
	echo '#include "wire/wire.h"' >"$TMP/lib/ring/b.c"
	! upward "$TMP/lib/os" && ! upward "$TMP/lib/ring"
}
quiet() {		# die, opt and table are for cmd/ and say so; script speaks for Lua, to stderr as Lua's own warn does; output has a worker's streams
	! grep -nE '(^|[^a-z_.>])(printf|puts|putchar|perror|exit|abort) ?\(|(stdout|stderr)[,)]|"base/(die|opt|table)\.h"' lib/*/*.c |
		grep -vE '^lib/base/(die|opt|table)\.c:|^lib/script/[a-z_]*\.c:.*(fprintf\(stderr,|setvbuf\()|^lib/(client|script)/output\.c:.*(fflush|__fpending)\(|^[^:]*:[0-9]*:[[:space:]]*(/?\*|//)'
}
check 'a forged upward include is seen' forged
check 'every layer is known' known
check 'includes point downwards' upward lib cmd
check 'lib does not print or exit' quiet
done_testing
