# sshd.sh - real sshd daemons in the hosts of t/net.sh, for tests that read lib.sh and set NET and net
# sshd_up N: host keys, a key of ours that all accept, their known_hosts; our side is host 1's home unless said otherwise
# shellcheck shell=sh
sshd_find() {		# the system's, or the one that make deps unpacked
	for d in "" "$O/deps/sshd"; do
		[ ! -x "$d/usr/sbin/sshd" ] || { sshd=$d/usr/sbin/sshd; sshd_libs=$d/lib/x86_64-linux-gnu:$d/usr/lib/x86_64-linux-gnu; return 0; }
	done
	return 1
}
sshd_keys() {		# sshd_keys N
	ssh-keygen -q -t ed25519 -N '' -f "$TMP/id" && mkdir -p "$TMP/ssh" || return
	i=0
	while [ $i -lt "$1" ]; do
		i=$((i + 1))
		ssh-keygen -q -t ed25519 -N '' -f "$TMP/host$i" || return
		echo "h$i $(cut -d' ' -f1,2 "$TMP/host$i.pub")"
	done >"$TMP/known"
	cp /etc/passwd "$TMP/passwd"
	grep -q ^sshd: /etc/passwd || echo 'sshd:x:65500:65534::/run/sshd:/usr/sbin/nologin' >>"$TMP/passwd"
	cat >"$TMP/ssh_config" <<-EOF
	IdentityFile $TMP/id
	IdentitiesOnly yes
	IdentityAgent none
	UserKnownHostsFile $TMP/known
	GlobalKnownHostsFile /dev/null
	EOF
}
sshd_run() {		# sshd_run K: in host K
	mkdir -p "$NET/$1/home/.ssh" && cp "$TMP/id.pub" "$NET/$1/home/.ssh/authorized_keys" || return
	chmod 700 "$NET/$1/home/.ssh"
	cat >"$TMP/sshd$1" <<-EOF
	HostKey $TMP/host$1
	PidFile none
	StrictModes no
	UsePAM no
	AcceptEnv none
	SetEnv XDG_RUNTIME_DIR=/run/user/0
	EOF
	# shellcheck disable=SC2016
	$net exec "$1" sh -c 'mount --bind "$TMP/passwd" /etc/passwd && LD_LIBRARY_PATH=$2 "$1" -f "$TMP/sshd$3"' - "$sshd" "$sshd_libs" "$1"
}
