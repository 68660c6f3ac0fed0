#!/bin/sh
# planted.t - what another user, or an accident, laid where a daemon keeps its state: it is refused in one line, and not touched
. "${0%/*}/lib.sh"
umask 022
trap 'rota down -q --force 2>/dev/null; rm -rf "$TMP"' EXIT
mkdir -m 700 "$ROTA_DIR"
d=$TMP/state
refuses() {		# refuses TEXT: rgcs ends with 125 and says TEXT alone
	exits 125 timeout 20 rgcs --dir "${dir:-$d}" 2>"$TMP/err" && [ "$(cat "$TMP/err")" = "rgcs: $1" ] && return
	cat "$TMP/err"; echo "wanted: rgcs: $1"; return 1
}
works() { serve rgcs --dir "$d" --ready-fd 3; kill "$pid" && wait "$pid" && [ -s "$d/gcs.db" ]; }
cannot="no place for the control store: '$d'"

link() { mkdir "$TMP/elsewhere"; ln -s elsewhere "$d"; refuses "$cannot is a symbolic link" && dir=$d// refuses "$cannot is a symbolic link" &&
	[ -z "$(ls "$TMP/elsewhere")" ]; }
check 'a link in the place of the directory' link
rm -f "$d"; touch "$d"
check 'a file there' refuses "$cannot is no directory"
rm -f "$d"; mkdir -m 777 "$d"
check 'a directory that others may write to' refuses "$cannot has mode 0777: others may write there"
chmod 755 "$d"
check 'one that others may read is good' works
chmod 777 "$d/gcs.db"
check 'a state that others may write to' refuses "'$d/gcs.db' has mode 0777: others may write to it"
chmod 600 "$d/gcs.db"
for f in gcs.db gcs.db-lock gcs.lock; do
	mv "$d/$f" "$TMP/was"
	planted() { cp "$TMP/was" "$TMP/copy"; "$@"; refuses "'$d/$f' is $what" && [ ! -e "$TMP/gone" ] && cmp "$TMP/was" "$TMP/copy"; }
	what='a symbolic link'
	check "a link in the place of $f" planted ln -s "$TMP/was" "$d/$f"
	rm "$d/$f"
	check "a link to nothing in the place of $f" planted ln -s "$TMP/gone" "$d/$f"
	rm "$d/$f"; what='no regular file'
	check "a fifo in the place of $f" planted mkfifo "$d/$f"
	rm "$d/$f"
	mv "$TMP/was" "$d/$f"
done
check 'as it was, it is good' works
if [ "$(id -u)" = 0 ]; then
	chown 33 "$d/gcs.db"
	check "another's gcs.db" refuses "'$d/gcs.db' belongs to uid 33"
	chown 0 "$d/gcs.db"; chown 33 "$d"
	check "another's directory" refuses "$cannot belongs to uid 33"
	chown 0 "$d"
fi

# the logs of a lasting node: a link in their place is not followed, neither to write nor to remove
export XDG_STATE_HOME="$TMP/home"
mkdir -p -m 700 "$TMP/home/rota" "$TMP/precious"
touch "$TMP/precious/1.2.log"
ln -s "$TMP/precious" "$TMP/home/rota/log"
logs() {
	rota up -q --store 16M && rlua -e 'local rota = require "rota" rota.get(rota.task(function() print "said" end)())' >/dev/null 2>&1
	rota down -q --force --purge 2>"$TMP/err"
	[ "$(ls "$TMP/precious")" = 1.2.log ] || { ls "$TMP/precious"; return 1; }
}
check 'a link in the place of the logs' logs
rm -f "$ROTA_DIR"/*.lock
check 'nothing is left' t/leaks.sh "$ROTA_DIR"
done_testing
