#!/bin/sh
# run_slurm.t - rota run within an allocation of a real Slurm: a cluster on its hosts, the command, and nothing is left.  ROTA_LONG only
. "${0%/*}/lib.sh"
. t/slurm.sh
[ -n "${ROTA_LONG-}" ] || skip_all 'make check-long'
slurm_find || skip_all "$slurm_why"
ROTA_STORE=64M XDG_STATE_HOME=$TMP/state XDG_CONFIG_HOME=$TMP/conf
export ROTA_STORE XDG_STATE_HOME XDG_CONFIG_HOME
trap 'slurm_down; rm -rf "$TMP"' EXIT
slurm_up 4 || { slurm_down; echo "1..0 # SKIP no Slurm here"; exit 0; }
square='local rota = require "rota" print(rota.get(rota.task(function(x) return x * 2 end)(21)))'
run() { timeout 100 salloc -Q -N1 -n1 -c4 rota run "$@"; }
check 'its output' prints 42 run -- rlua -e "$square"
check 'its status' exits 7 run -- sh -c 'exit 7'
batch() { printf '#!/bin/sh\nexec rota run -- rlua -e "$SQUARE"\n' | SQUARE=$square timeout 100 sbatch -Q -W -N1 -n1 -c4 -o "$TMP/out" && prints 42 cat "$TMP/out"; }
check 'in a batch job' batch
none() { ! squeue -h | grep . && ! pgrep -f "rota-0-.*-s1" && [ -z "$(find "$TMP/conf" "$TMP/state" -type f; ls -d /tmp/rota-0-*-s1 2>/dev/null)" ]; }
check 'nothing is left' none
check 'no allocation' says 'expected hosts, or an allocation of Slurm' rota run -- true
done_testing
