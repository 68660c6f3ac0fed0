# lib.sh - TAP for shell tests; a failing command's output is shown as diagnostics
# Each test has its own TMP and ROTA_DIR and ends what it started.  Run by make check, or by hand after make.
# shellcheck shell=sh
cd "${0%/*}/.." || exit 1
unset ROTA_ADDRESS ROTA_NAMESPACE ROTA_KEY ROTA_STORE ROTA_SPILL COLUMNS
n=0 bad=0 pid='' TMP=$(mktemp -d) || exit 1
O=${O:-$PWD/build} ROTA_DIR=$TMP/rota LC_ALL=C
case :$PATH: in *":$O/bin:"*) ;; *) PATH=$O/bin:$PATH ;; esac
export PATH O ROTA_DIR LC_ALL TMP
trap 'test -z "$pid" || kill "$pid" 2>/dev/null; rm -rf "$TMP"' EXIT
trap 'exit 1' HUP INT TERM
check() {		# check NAME CMD...: CMD must exit 0
	name=$1 n=$((n + 1)); shift
	if "$@" >"$TMP/log" 2>&1; then echo "ok $n - $name"
	else echo "not ok $n - $name"; sed 's/^/# /' "$TMP/log"; bad=1; fi
}
exits() {		# exits CODE CMD...: CMD must exit with CODE
	want=$1 got=0; shift; "$@" || got=$?
	[ "$got" -eq "$want" ] || { echo "exit $got, not $want"; return 1; }
}
prints() {		# prints TEXT CMD...: CMD exits 0 with TEXT on stdout, newlines at the end apart
	text=$1; shift; shown=$("$@") || return
	[ "$shown" = "$text" ] || { printf 'printed: %s\nwanted: %s\n' "$shown" "$text"; return 1; }
}
says() {		# says TEXT CMD...: CMD writes one line with TEXT to stderr
	text=$1; shift; "$@" 2>"$TMP/err" >/dev/null || :
	[ "$(wc -l <"$TMP/err")" -eq 1 ] && grep -qF -e "$text" "$TMP/err" && return
	cat "$TMP/err"; echo "wanted: $text"; return 1
}
serve() {		# serve DAEMON...: returns once it wrote its newline to fd 3 (--ready-fd 3); its pid in $pid
	rm -f "$TMP/ready"; mkfifo "$TMP/ready"
	"$@" 3>"$TMP/ready" &
	pid=$!
	read -r _ <"$TMP/ready"
}
gone() {		# gone PID: waits until there is no such process, at most 10 s
	timeout 10 tail -s 0.02 --pid="$1" -f /dev/null
}
sanitizer() {		# how a program is compiled that is linked with $O/lib/librota, if that is sanitized
	nm -D "$O/lib/librota.so.0" | sed -n 's/.* __asan_init$/-fsanitize=address,undefined/p; s/.* __tsan_init$/-fsanitize=thread/p'
}
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
done_testing() { echo "1..$n"; exit "$bad"; }
