# slurm.sh - a real Slurm for a test: munged, slurmctld, and slurmd for the hosts that it names; for tests that read lib.sh.
# slurm_find: the system's, or the one that make check-long unpacked.  slurm_up; slurm_down in the test's trap
# shellcheck shell=sh
slurm_pids=''
slurm_find() {
	[ "$(id -u)" -eq 0 ] || { slurm_why='needs root'; return 1; }
	slurm_why='needs Slurm and munge (make check-long unpacks them)' slurm_root=''
	for d in "" "$O/deps/slurm"; do
		for s in slurmctld slurmctld-wlm; do
			[ -x "$d/usr/sbin/$s" ] && [ -x "$d/usr/sbin/munged" ] || continue
			slurm_root=$d slurm_suffix=${s#slurmctld}
			PATH=$d/usr/bin:$d/usr/sbin:$PATH
			slurm_plugins=$(dirname "$(find "$d/usr/lib" -name auth_munge.so 2>/dev/null | head -1)")
			[ -z "$d" ] || LD_LIBRARY_PATH=$(dirname "$slurm_plugins"):$slurm_plugins${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
			SLURM_CONF=$TMP/slurm/conf
			export PATH SLURM_CONF
			[ -z "$d" ] || export LD_LIBRARY_PATH
			return 0
		done
	done
	return 1
}
slurm_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo $((20000 + $$ % 10000 + ${1-0})); }
slurm_up() {		# slurm_up CPUS: one host, this machine
	s=$TMP/slurm host=$(hostname -s)
	mkdir -p "$s/state" "$s/spool" "$s/munge" && chmod 711 "$TMP" "$s" "$s/munge" && head -c 1024 /dev/urandom >"$s/munge/key" && chmod 400 "$s/munge/key" || return
	cat >"$s/conf" <<-END
	ClusterName=t
	SlurmctldHost=$host(127.0.0.1)
	SlurmUser=root
	SlurmdUser=root
	AuthType=auth/munge
	AuthInfo=socket=$s/munge/socket
	CredType=cred/munge
	SlurmctldPort=$(slurm_port 0)
	SlurmdPort=$(slurm_port 1)
	StateSaveLocation=$s/state
	SlurmdSpoolDir=$s/spool
	SlurmctldPidFile=$s/slurmctld.pid
	SlurmdPidFile=$s/slurmd.pid
	SlurmctldLogFile=$s/slurmctld.log
	SlurmdLogFile=$s/slurmd.log
	PluginDir=$slurm_plugins
	ProctrackType=proctrack/pgid
	TaskPlugin=task/none
	SwitchType=switch/none
	MpiDefault=none
	JobAcctGatherType=jobacct_gather/none
	AccountingStorageType=accounting_storage/none
	SelectType=select/cons_tres
	SelectTypeParameters=CR_Core
	SchedulerParameters=batch_sched_delay=0,sched_interval=1
	SlurmdParameters=config_overrides
	ReturnToService=2
	KillWait=5
	NodeName=s1 NodeHostname=$host NodeAddr=127.0.0.1 CPUs=$1 State=UNKNOWN
	PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
	END
	munged -F --force --key-file="$s/munge/key" --socket="$s/munge/socket" --pid-file="$s/munge/pid" --log-file="$s/munge/log" \
		--seed-file="$s/munge/seed" >"$s/munge/out" 2>&1 & slurm_pids=$!
	timeout 10 sh -c 'until [ -S "$0" ]; do :; done' "$s/munge/socket" || { cat "$s/munge/out"; return 1; }
	"slurmctld$slurm_suffix" -D >"$s/slurmctld.out" 2>&1 & slurm_pids="$slurm_pids $!"
	"slurmd$slurm_suffix" -D -N s1 -d "$slurm_root/usr/sbin/slurmstepd$slurm_suffix" >"$s/slurmd.out" 2>&1 & slurm_pids="$slurm_pids $!"
	timeout 30 sh -c 'until sinfo -h -o %t 2>/dev/null | grep -q idle; do :; done' || { cat "$s"/*.out; return 1; }
}
slurm_down() {
	[ -z "$slurm_pids" ] || scancel --me 2>/dev/null
	for p in $slurm_pids; do kill "$p" 2>/dev/null; done
	for p in $slurm_pids; do gone "$p" || kill -9 "$p"; done
	slurm_pids=''
}
