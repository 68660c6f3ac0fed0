#!/bin/sh
# scale_slurm.t - nodes that are jobs of a real Slurm: they come with what waits and go when nothing does; what Slurm refuses is shown.
# ROTA_LONG only
. "${0%/*}/lib.sh"
. t/slurm.sh
[ -n "${ROTA_LONG-}" ] || skip_all 'make check-long'
slurm_find || skip_all "$slurm_why"
ROTA_STORE=64M XDG_STATE_HOME=$TMP/state XDG_CONFIG_HOME=$TMP/conf c=$TMP/c.lua
TMPDIR=$TMP/jobs && mkdir "$TMPDIR"
export TMPDIR ROTA_STORE XDG_STATE_HOME XDG_CONFIG_HOME
trap '[ ! -e "$TMP/conf/rota/el" ] || rota down -q --force -A el; slurm_down; rm -rf "$TMP"' EXIT
slurm_up 4 || { slurm_down; echo "1..0 # SKIP no Slurm here"; exit 0; }
until_() {		# until_ TEXT CMD...: within 40 s CMD prints TEXT
	text=$1; shift
	timeout 40 sh -c 'want=$1; shift; while shown=$("$@") && [ "$shown" != "$want" ]; do echo "$shown" >"$TMP/last"; done' - "$text" "$@" ||
		{ cat "$TMP/last"; cat "$XDG_STATE_HOME/rota/el.scale/log"; squeue; tail -n 5 "$TMP/slurm/slurmd.out"; return 1; }
}
up() { printf 'return { name = "el", provider = "local", nodes = 1, cpus = 1, store = "64M", types = { q = { provider = "slurm", cpus = 2, max = 2%s } }, scale = { idle = 2, list = 3 } }\n' "$1" >"$c"; rota up -q "$c" >/dev/null; }
cat >"$TMP/nodes" <<'END'
#!/bin/sh
ROTA_ADDRESS=el rstat nodes -o cpus,state | grep -v dead | sort | tr '\t' ' ' | paste -sd,
END
chmod +x "$TMP/nodes"
work() { ROTA_ADDRESS=el prints 42 timeout 60 rlua -e 'local rota = require "rota"
	print(rota.get(rota.task(function(x) return x * 2 end):with { cpus = 2 }(21)))' && squeue -h -t RUNNING -o %j | grep -q '^rota-el-q-1.1$'; }
check 'a cluster of one node' up ''
check 'work waits for a job of Slurm, and runs there' work
check 'idle it goes' until_ '1.0 alive' "$TMP/nodes"
check 'and its job' until_ '' squeue -h
check 'two are wanted' rota scale -A el --want 2 -c 2
check 'and come' until_ '1.0 alive,2.0 alive,2.0 alive' "$TMP/nodes"
cancelled() { before=$(squeue -h -o %i | sort | head -1) && scancel "$before" && timeout 40 sh -c 'until [ "$(squeue -h -t RUNNING -o %i | grep -vcx "$0")" = 2 ]; do :; done' "$before" && until_ '1.0 alive,2.0 alive,2.0 alive' "$TMP/nodes"; }
check 'one is cancelled by hand: another one comes' cancelled
refused() { rota scale -A el --want 0 && until_ '1.0 alive' "$TMP/nodes" && up ', options = { "--partition=none" }' && rota scale -A el --want 1 -c 2 && until_ 'Invalid partition name' sh -c 'rota ls -A el 2>&1 >/dev/null | grep -o "Invalid partition name" | head -1'; }
check 'what Slurm refuses is shown' refused
check 'down' rota down -A el --purge
check 'no job is left' until_ '' squeue -h
check 'no file' prints '' find "$TMP/conf" "$TMP/state" "$TMP/rota" "$TMP/jobs" -type f
done_testing
