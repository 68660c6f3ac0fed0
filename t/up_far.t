#!/bin/sh
# up_far.t - rota up on hosts where the way there is a program of ours that stands for ssh: each is a directory of this machine
. "${0%/*}/lib.sh"
[ -z "$(sanitizer)" ] || skip_all 'a sanitized tree is too large to send'
"$O/libexec/rota/rpack" </dev/null >/dev/null 2>"$TMP/err" || skip_all "$(cat "$TMP/err")"
ROTA_STORE=64M XDG_STATE_HOME=$TMP/state XDG_CONFIG_HOME=$TMP/conf c=$TMP/c.lua tab=$(printf '\t')
export ROTA_STORE XDG_STATE_HOME XDG_CONFIG_HOME
trap '[ ! -e "$TMP/conf/rota/far" ] || ROTA_SSH=$TMP/ssh rota down -q --force -A far; rm -rf "$TMP"' EXIT
cat >"$TMP/ssh" <<'END'
#!/bin/sh
for a; do host=$command command=$a; done
case $host in
gone) echo "ssh: connect to host gone port 22: Connection refused" >&2; exit 255 ;;
mute) kill -9 $$ ;;
odd) HOME=/proc/nowhere; export HOME ;;
*) HOME=$TMP/hosts/$host; mkdir -p "$HOME/run"; export HOME ;;
esac
unset ROTA_DIR XDG_STATE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
XDG_RUNTIME_DIR=$HOME/run SSH_CONNECTION='127.0.0.1 1 127.0.0.1 22' exec sh -c "$command"
END
chmod +x "$TMP/ssh"
hosts() { printf 'return { name = "far", listen = 0, links = 0, cpus = 1, address = "127.0.0.1", labels = { zone = "eu" }, hosts = { %s } }' "$1" >"$c"; ROTA_SSH=$TMP/ssh rota up -q "$c"; }
check 'no program' says "a: cannot run '$TMP/none': not found" sh -c 'ROTA_SSH=$TMP/none rota up -q a 2>&1 | head -1 >&2'
far() { prints "a:P${tab}2 nodes${tab}2 cpus${tab}0 gpus" eval 'hosts "\"a\", \"gone\", \"b\", \"mute\", \"odd\"" >"$TMP/out" 2>"$TMP/err"; [ $? -eq 1 ] && sed "s/:[0-9]*/:P/" "$TMP/out"' || { cat "$TMP/err"; return 1; }; }
check 'the tree is sent, two of five hosts are up' far
lines() { grep -qx 'rota: gone: connect to host gone port 22: Connection refused' "$TMP/err" && grep -q '^rota: mute: status 137' "$TMP/err" && grep -q '^rota: odd: ' "$TMP/err" || { cat "$TMP/err"; return 1; }; }
check 'the others are named' lines
check 'their nodes know each other, and their labels' prints 2 sh -c 'HOME=$TMP/hosts/b; export HOME; unset ROTA_DIR XDG_STATE_HOME XDG_CONFIG_HOME; XDG_RUNTIME_DIR=$HOME/run ROTA_ADDRESS=far rstat nodes -o labels | grep -c zone=eu'
check 'again, without those' eval 'hosts "\"a\", \"b\"" >/dev/null'
far_down() { ROTA_SSH=$TMP/ssh rota down -A far --purge && left=$(find "$TMP/hosts" ! -type d) && [ -z "$left" ] || { echo "$left"; return 1; }; }
check 'down --purge leaves nothing there' far_down
done_testing
