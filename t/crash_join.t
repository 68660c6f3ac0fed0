#!/bin/sh
# crash_join.t - a daemon is killed just as a program joins it, or comes back to it: the next one serves the program
. "${0%/*}/lib.sh"
nm -D "$O/bin/rlet" | grep -qE '__[at]san_init' && skip_all 'the daemon is a sanitized one, which wants to be first'
umask 077
mkdir -p "$ROTA_DIR" "$TMP/die"
cat >"$TMP/die.c" <<'END'
/* a daemon dies between taking a connection and answering, as often as there are files die/1, die/2, ... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int
accept4(int sock, struct sockaddr *sa, socklen_t *n, int flags)
{
	int (*real)(int, struct sockaddr *, socklen_t *, int);
	int fd;
	char path[4096];

	*(void **)&real = dlsym(RTLD_NEXT, "accept4");
	fd = real(sock, sa, n, flags);
	for (int i = 1; fd >= 0 && i < 10; i++) {
		snprintf(path, sizeof path, "%s/%d", getenv("DIE"), i);
		if (unlink(path) == 0)
			kill(getpid(), SIGKILL);
	}
	return fd;
}
END
${CC:-cc} -shared -fPIC -o "$TMP/die.so" "$TMP/die.c" -ldl || exit 1

joins() {	# while three daemons die of it
	touch "$TMP/die/1" "$TMP/die/2" "$TMP/die/3"
	prints 42 timeout 60 rlua -e 'local rota = require "rota" print(rota.get(rota.task(function() return 42 end)()))' &&
	[ -z "$(ls "$TMP/die")" ]
}
cat >"$TMP/back.lua" <<'END'
local rota = require "rota"
local half = rota.task(function(s) return #s // 2 end)
local kept = rota.put(("k"):rep(200000))
for round = 1, 3 do
	local refs = {}
	for i = 1, 50 do refs[i] = half(kept) end
	for i = 1, 6 do io.open(os.getenv "DIE" .. "/" .. i, "w"):close() end
	os.execute("kill -9 " .. rota.nodes()[1].pid)
	for _, v in ipairs(rota.get(refs, 60)) do assert(v == 100000, v) end
	assert(#rota.get(kept) == 200000)
	while io.open(os.getenv "DIE" .. "/6") do rota.sleep(0.01) end
end
print "fine"
END
returns() { prints fine timeout 60 rlua "$TMP/back.lua" && [ -z "$(ls "$TMP/die")" ]; }

DIE=$TMP/die; export DIE
LD_PRELOAD=$TMP/die.so serve rlet -p -q -c 2 --store 16M --ready-fd 3
check 'a program joins while daemons die of it' joins
check 'a program comes back while daemons die of it' returns
kill "$pid" && gone "$pid"
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
