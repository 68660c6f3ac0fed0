#!/bin/sh
# up_four.t - from nothing but the built tree to a cluster of four hosts with a real sshd each, operated from a fifth: jump host, agent;
# after down there is no file, process, socket or shared memory.  ROTA_LONG: what is damaged is repaired, hosts that fail hinder nobody
. "${0%/*}/lib.sh"
. t/sshd.sh
NET=$TMP/net net=t/net.sh tab=$(printf '\t')
export NET ROTA_STORE=64M
agent=
trap '[ -z "$agent" ] || kill $agent 2>/dev/null; $net down; rm -rf "$TMP"' EXIT
sshd_find || skip_all 'needs sshd (make deps, or openssh-server)'
for p in ssh ssh-agent ssh-add; do command -v $p >/dev/null || skip_all "needs $p"; done
[ -z "$(sanitizer)" ] || skip_all 'a sanitized tree is too large to send'
build/libexec/rota/rpack </dev/null >/dev/null 2>"$TMP/why" || skip_all "$(cat "$TMP/why")"
OWNER=$$ $net up 5 2>"$TMP/why" || { [ $? -eq 77 ] && skip_all "$(tail -1 "$TMP/why")"; cat "$TMP/why"; exit 1; }
sshd_keys 4 && sshd_run 1 && sshd_run 2 && sshd_run 3 && sshd_run 4 || exit 1

# host 5 is ours: it has the tree and an agent that alone has the key; host 4 is reached by way of host 1 only
mkdir -p "$NET/5/home/.ssh" && sed 's/^Identit.*//' "$TMP/ssh_config" >"$NET/5/home/.ssh/config" || exit 1
agent_here() {		# it ends with us: its pid is ours to end
	SSH_AUTH_SOCK=$TMP/agent
	export SSH_AUTH_SOCK
	ssh-agent -D -a "$SSH_AUTH_SOCK" >/dev/null 2>&1 & agent=$!
	timeout 10 sh -c 'while ! ssh-add -q "$1"; do [ -S "$SSH_AUTH_SOCK" ] || continue; done' - "$TMP/id" 2>/dev/null
	mv "$TMP/id" "$TMP/id.away"
}
agent_here || exit 1
$net cut 5 4
here() { $net exec 5 "$@"; }
files() { for k in 1 2 3 4; do (cd "$NET/$k" && find home run \( ! -type d -o -name '*rota*' \) ! -path '*/.ssh/*' ! -path 'run/sshd*' | sed "s/^/$k /"); done; ls /dev/shm | grep -i rota; true; }
files >"$TMP/before"
cat >"$TMP/c.lua" <<'END'
return { name = "lab", cpus = 1, hosts = { "h[1-3]", { "h4", jump = "h1" } } }
END
four="h1:7411${tab}4 nodes${tab}4 cpus${tab}0 gpus"
up() { here rota up -q "$TMP/c.lua"; }
tree() { echo "$NET/$1"/home/.local/share/rota/*; }
alive() { here rota exec -A lab -- sh -c 'ROTA_ADDRESS=local rstat nodes -o state | grep -c alive' | sort | paste -sd' '; }
all='h1: 4 h2: 4 h3: 4 h4: 4'
pid_of() { $net exec "$1" pgrep -o "$2"; }

check 'four hosts' prints "$four" up
check 'each knows all' prints "$all" alive
run() { $net exec "$1" sh -c '$HOME/.local/share/rota/*/bin/rlua -e "local rota = require \"rota\" print(rota.get(rota.task(function(x) return x * 2 end)(21)))"'; }

check 'tasks run on the last one' prints 42 run 4
if [ -n "${ROTA_LONG-}" ]; then
	again() { before=$(pid_of 3 rlet) && prints "$four" up && [ "$(pid_of 3 rlet)" = "$before" ]; }
	check 'again: nothing changes' again

	# --- repairs, all in one: a node killed, a node whose tree lacks one file and has another changed
	hurt() {
		$net exec 2 pkill -9 -x rlet && rm "$(tree 3)/bin/rmap" && echo 'error "damaged"' >>"$(tree 3)/share/lua/5.4/rota.lua" || return
		before=$(pid_of 3 rlet) && prints "$four" up && [ "$(pid_of 3 rlet)" = "$before" ] && [ -x "$(tree 3)/bin/rmap" ] && prints 42 run 3 && prints 42 run 2
	}
	check 'a node was killed, a tree damaged: up repairs' hurt

	# --- hosts that fail, the rest goes on
	full() {		# no room for files on host 3, which has forgotten all; nobody knows h9; host 2 is another machine than before; nobody may log in on host 4
		here rota down -q -A lab --purge && mkdir -p "$NET/3/home/.local" && $net exec 3 mount -t tmpfs -o nr_inodes=20 none /root/.local || return
		cp "$TMP/known" "$TMP/fewer" && mv "$NET/4/home/.ssh/authorized_keys" "$TMP/keys" || return
		sed "s|^h2.*|h2 $(cut -d' ' -f1,2 "$TMP/host3.pub")|" "$TMP/fewer" >"$TMP/known"
		sed 's/"h\[1-3\]"/"h9", &/; s/return {/& head = "h1",/' "$TMP/c.lua" >"$TMP/five.lua"
		prints "h1:7411${tab}1 nodes${tab}1 cpus${tab}0 gpus" eval 'here rota up -q "$TMP/five.lua" 2>"$TMP/err"; [ $? -eq 1 ]'; s=$?
		$net exec 3 umount /root/.local; cp "$TMP/fewer" "$TMP/known"; mv "$TMP/keys" "$NET/4/home/.ssh/authorized_keys"
		for line in "h9: Could not resolve hostname h9: .*" "h2: host key differs from the one in known_hosts.*" "h4: permission denied (tried .*"; do
			grep -qx -e "rota: $line" "$TMP/err" || { echo "no $line"; s=1; }
		done
		grep -A5 '^rota: h3: ' "$TMP/err" | grep -q 'No space left on device' && [ $s = 0 ] || { cat "$TMP/err"; return 1; }
	}
	check 'unknown, another machine, no key, no room: the others go on' full
	doctor() {		# clocks are the same here: a date that lies
	printf '#!/bin/sh\necho 1000000000.5\n' >"$TMP/date" && chmod +x "$TMP/date" && $net exec 2 mount --bind "$TMP/date" /usr/bin/date || return
	here rota doctor h1 h2 h9 >"$TMP/d"; s=$?
	$net exec 2 umount /usr/bin/date
	[ $s = 1 ] && grep -q "^h2${tab}note${tab}time${tab}-" "$TMP/d" && grep -q "^h1${tab}ok${tab}time" "$TMP/d" && grep -q "^h9${tab}bad${tab}ssh${tab}Could not resolve" "$TMP/d" &&
		grep -q "^h1${tab}ok${tab}kernel" "$TMP/d" || { cat "$TMP/d"; return 1; }
}
check 'doctor of hosts' doctor
check 'up again, when they can be had' prints "$four" up
fi

# --- the end
nothing() {
	here rota down -A lab --purge || return
	for k in 1 2 3 4; do $net exec $k pgrep -l 'rlet|rgcs|rwork|rota$' && return 1; $net exec $k ss -Hlnt | grep -v ':22 ' && return 1; done
	files | diff "$TMP/before" -
}
check 'down leaves nothing' nothing
check 'and nothing here' prints '' find "$NET/5/home" "$NET/5/run" ! -type d ! -path '*/.ssh/*'
done_testing
