#!/bin/sh
# up_ssh.t - rota up on hosts of their own over a real sshd: from nothing but the built tree to a cluster, repaired, and gone again;
# hosts that cannot be had.  ROTA_LONG: a host that is booted, one behind another, one that cannot reach the head, the ssh program
. "${0%/*}/lib.sh"
. t/sshd.sh
NET=$TMP/net net=t/net.sh tab=$(printf '\t')
export NET ROTA_STORE=64M
trap '$net down; rm -rf "$TMP"' EXIT
sshd_find || skip_all 'needs sshd (make deps, or openssh-server)'
command -v ssh >/dev/null || skip_all 'needs ssh'
[ -z "$(sanitizer)" ] || skip_all 'a sanitized tree is too large to send'
tar -tzf /dev/null 2>/dev/null; build/libexec/rota/rpack </dev/null >/dev/null 2>"$TMP/why" || skip_all "$(cat "$TMP/why")"
OWNER=$$ $net up 4 2>"$TMP/why" || { [ $? -eq 77 ] && skip_all "$(tail -1 "$TMP/why")"; cat "$TMP/why"; exit 1; }
sshd_keys 4 && sshd_run 1 && sshd_run 2 && sshd_run 3 || exit 1
# host 4 is ours: it has the tree, and no sshd
mkdir -p "$NET/4/home/.ssh" && cp "$TMP/ssh_config" "$NET/4/home/.ssh/config"
here() { $net exec 4 "$@"; }
up() { here rota up -q -c 1 --name lab "$@"; }
two="h1:7411${tab}2 nodes${tab}2 cpus${tab}0 gpus"
three="h1:7411${tab}3 nodes${tab}3 cpus${tab}0 gpus"

# --- from nothing to a cluster
mixed() {		# of six hosts four fail, each with its line; the others are up
	prints "$two" eval 'up h1 h9 h4 10.77.0.2 nobody@h3 h2 2>"$TMP/err"; [ $? -eq 1 ]' || return
	for line in 'h9: Could not resolve hostname h9: .*' 'h4: connect to host h4 port 22: Connection refused' \
		"10.77.0.2: host key not known: run 'ssh 10.77.0.2' once" 'nobody@h3: permission denied (tried .*'; do
		grep -qx -e "rota: $line" "$TMP/err" || { echo "no $line"; cat "$TMP/err"; return 1; }
	done
	[ "$(wc -l <"$TMP/err")" = 4 ]
}
check 'of six hosts four fail: the others are up' mixed
check 'once more, without them' prints "$two" up 'h[1-2]'
check 'exec' prints 'h1: h1 h2: h2' sh -c 't/net.sh exec 4 rota exec -A lab -- uname -n | sort | paste -sd" "'
run() { $net exec "$1" sh -c '$HOME/.local/share/rota/*/bin/rlua -e "local rota = require \"rota\" print(rota.get(rota.task(function(x) return x * 2 end)(21)))"'; }
check "tasks run on host 1" prints 42 run 1
check "tasks run on host 2" prints 42 run 2
named() { $net exec 2 sh -c 'ROTA_ADDRESS=lab $HOME/.local/share/rota/*/bin/rstat nodes -o cpus' | grep -c 1; }
check 'a host knows its cluster by name' prints 2 named
elsewhere() { says "cluster 'lab' has no node on this machine: start programs on its hosts" here env ROTA_ADDRESS=lab robj ls; }
check 'who is no host of it is told so' elsewhere
check 'add' prints "$three" here rota add -q -A lab -c 1 h3
check 'ls' prints 'h1 h2 h3' sh -c 't/net.sh exec 4 rota ls -A lab -o name,state | sed -n "s/.alive//p" | sort | paste -sd" "'
check 'rm' here rota rm -A lab --purge h3
check 'it is gone' prints 'h1 h2' sh -c 't/net.sh exec 4 rota ls -A lab -o name | sort | paste -sd" "'
check 'the key is private' prints 600 stat -c %a "$NET/2/home/.config/rota/lab.key"
check 'they use the libraries that were sent' sh -c '[ "$(t/net.sh exec 2 sh -c "ldd ~/.local/share/rota/*/bin/rlet" | grep -c "=> /root/.local/share/rota/.*/lib/rota/")" -ge 3 ]'
heads() { here rota up -q --name other h2 h3 2>"$TMP/err"; [ $? -eq 1 ] && grep -q '^rota: h2: a node of the cluster lab runs there already; end that first: rota down -A lab$' "$TMP/err" || { cat "$TMP/err"; return 1; }; }
check 'a host of another cluster is not taken' heads
nothing() {
	here rota down -A lab --purge || return
	for k in 1 2 3; do
		$net exec $k pgrep -l 'rlet|rgcs|rwork' && return 1
		left=$(find "$NET/$k/home" "$NET/$k/run" ! -type d ! -path '*/.ssh/*')
		[ -z "$left" ] || { echo "$left"; return 1; }
	done
}
check 'down --purge leaves nothing' nothing

# --- longer ones
if [ -n "${ROTA_LONG-}" ]; then
	# a head that cannot be had; nothing is left behind
	cp "$TMP/known" "$TMP/fewer"
	changed() {
		sed "s|^h2.*|h2 $(cut -d' ' -f1,2 "$TMP/host3.pub")|" "$TMP/fewer" >"$TMP/known"
		here rota up -q h2 2>"$TMP/err"; [ $? -eq 1 ] && grep -q "^rota: h2: host key differs from the one in known_hosts" "$TMP/err" || { cat "$TMP/err"; return 1; }
		cp "$TMP/fewer" "$TMP/known"
	}
	check 'another one than we know' changed
	refused() {
		mv "$NET/2/home/.ssh/authorized_keys" "$TMP/keys"
		here rota up -q h2 2>"$TMP/err"; s=$?
		mv "$TMP/keys" "$NET/2/home/.ssh/authorized_keys"
		[ $s -eq 1 ] && grep -q '^rota: h2: permission denied (tried ' "$TMP/err" || { cat "$TMP/err"; return 1; }
	}
	check 'our key is not theirs' refused
	liar() {		# liar PROGRAM TEXT MESSAGE: host 3 has a program that says TEXT
		printf '#!/bin/sh\necho "%s"\n' "$2" >"$TMP/$1" && chmod +x "$TMP/$1" && p=$(command -v "$1") || return
		$net exec 3 mount --bind "$TMP/$1" "$p" || return
		here rota up -q h3 2>"$TMP/err"; s=$?
		$net exec 3 umount "$p" && [ $s -eq 1 ] && grep -qE -e "^rota: h3: $3" "$TMP/err" || { cat "$TMP/err"; return 1; }
	}
	check 'another C library' liar getconf 'glibc 2.17' 'glibc 2.17, this build needs 2\.'
	check 'another architecture' liar uname Plan9 'Plan9: rota runs on Linux'
	full() {
		mkdir -p "$NET/3/home/.local" && $net exec 3 mount -t tmpfs -o size=9m none /root/.local || return
		here rota up -q h3 2>"$TMP/err"; s=$?
		$net exec 3 umount /root/.local && [ $s -eq 1 ] && grep -qx 'rota: h3: 9 MB are free below /root, rota needs 200' "$TMP/err" || { cat "$TMP/err"; return 1; }
	}
	check 'a full disk' full
	check 'no key was made for nothing' sh -c '! ls "$NET/4/home/.config/rota/"h[23].key'
	check 'three hosts' prints "$three" up 'h[1-3]'
	again() { $net kill 3 && $net boot 3 && sshd_run 3 && prints "$three" up 'h[1-3]' && prints 42 run 3; }
	check 'a host was booted: up repairs' again
	store() { $net exec 1 pkill -9 rgcs && prints "$three" up 'h[1-3]' && prints 42 run 2; }
	check 'the control store was killed: up repairs' store
	check 'a new key' eval 'here rota key --rotate lab >/dev/null && prints 42 run 2'
	cut() {
		here rota rm -A lab h3 && $net cut 1 3 || return
		up 'h[1-3]' >"$TMP/out" 2>"$TMP/err"; s=$?
		$net heal 1 3
		[ $s -eq 1 ] && grep -qE '^rota: h3: cannot reach 10.77.0.1:7411 \(it does not answer; a firewall\?\)' "$TMP/err" || { cat "$TMP/err"; return 1; }
	}
	check 'a host that cannot reach the head' cut
	pair() {
		up 'h[1-3]' >"$TMP/out" && $net cut 2 3 || return
		up 'h[1-3]' >"$TMP/out" 2>"$TMP/err"; s=$?
		$net heal 2 3
		[ $s -eq 1 ] && grep -q '^rota: h2: cannot reach h3:7412 (timed out): a firewall?' "$TMP/err" || { cat "$TMP/err"; return 1; }
	}
	check 'two hosts that cannot reach each other' pair
	check 'when it can' prints "$three" up 'h[1-3]'
	check 'down' here rota down -A lab
	jump() {		# host 2 from here only by way of host 1
		$net cut 4 2
		printf 'return { name = "lab", hosts = { "h1", { "h2", jump = "h1" } }, cpus = 1 }\n' >"$TMP/c.lua"
		prints "$two" here rota up -q "$TMP/c.lua" && here rota down -A lab && $net heal 4 2
	}
	check 'by way of another host' jump
	slurm() { here env SLURM_JOB_NODELIST='h[1-2]' SLURM_JOB_ID=7 rota run -q -- sh -c 'echo $ROTA_ADDRESS; rstat nodes -o state; exit 9' >"$TMP/out"; [ $? -eq 9 ] && prints 'local alive alive' paste -sd' ' "$TMP/out"; }
	check 'an allocation of Slurm' slurm
	export ROTA_SSH=ssh
	check 'by the ssh program' prints "$two" up 'h[1-2]'
	check 'run' prints 'x 42' sh -c 't/net.sh exec 4 rota down -A lab && t/net.sh exec 4 rota run -q h1 -- sh -c "echo x 42"'
fi
done_testing
