#!/bin/sh
# scale.t - nodes that come and go with what is wanted: tasks that wait bring nodes of a type that can run them, idle ones are
# drained and given back; what is requested stays; a launch that fails is tried again and shown; the autoscaler is killed
. "${0%/*}/lib.sh"
ROTA_STORE=64M XDG_STATE_HOME=$TMP/state XDG_CONFIG_HOME=$TMP/conf c=$TMP/c.lua tab=$(printf '\t')
export ROTA_STORE XDG_STATE_HOME XDG_CONFIG_HOME
trap '[ ! -e "$TMP/conf/rota/el" ] || rota down -q --force -A el; rm -rf "$TMP"' EXIT
scale() {		# scale IDLE TYPES: the cluster with these types
	printf 'return { name = "el", provider = "local", nodes = 1, cpus = 1, store = "64M", types = { %s }, scale = { idle = %s, list = 3 } }\n' "$2" "$1" >"$c"
	rota up -q "$c" >/dev/null
}
bad() { says "rota: $1" scale 1 "$2" && exits 2 scale 1 "$2" 2>/dev/null; }
check 'a type without CPUs' bad "$c:1: 'gpus' of type 'x' is a number" 'x = { gpus = "a" }'
check 'min over max' bad "$c:1: 'min' of type 'x' is more than its 'max'" 'x = { min = 3, max = 2 }'
check 'no such word' bad "$c:1: no word 'mx' of type 'x'" 'x = { mx = 1 }'
check 'a pool without hosts' bad "$c:1: 'hosts' of type 'x' must be said" 'x = { provider = "ssh" }'

until_() {		# until_ TEXT CMD...: within 20 s CMD prints TEXT
	text=$1; shift
	timeout 20 sh -c 'want=$1; shift; while shown=$("$@") && [ "$shown" != "$want" ]; do echo "$shown" >"$TMP/last"; done' - "$text" "$@" || { cat "$TMP/last"; cat "$XDG_STATE_HOME/rota/el.scale/log"; return 1; }
}
cat >"$TMP/nodes" <<'END'
#!/bin/sh
ROTA_ADDRESS=el rstat nodes -o cpus,state | grep -v dead | sort | tr '\t' ' ' | paste -sd,
END
chmod +x "$TMP/nodes"
cat >"$TMP/work.lua" <<'END'
local rota = require "rota"
local f = rota.task(function(x) return x * 2 end):with { cpus = tonumber(arg[1]) }
local refs = {}
for i = 1, 8 do refs[i] = f(i) end
local sum = 0
for i = 1, 8 do sum = sum + rota.get(refs[i]) end
print(sum)
END
work() { ROTA_ADDRESS=el prints 72 timeout 20 rlua "$TMP/work.lua" "$1"; }

check 'a cluster of one node' scale 1 'small = { cpus = 2, max = 2 }, big = { cpus = 5, max = 1, resources = { ssd = 1 } }'
check 'only that' prints '1.0 alive' "$TMP/nodes"
check 'what no node can run brings one that can' work 2
check 'idle it goes' until_ '1.0 alive' "$TMP/nodes"
check 'another type for what the first cannot' work 4
check 'never: said at once' exits 1 sh -c "ROTA_ADDRESS=el timeout 20 rlua $TMP/work.lua 64 2>&1 | grep -q . && exit 1"
check 'that goes too' until_ '1.0 alive' "$TMP/nodes"
check 'a request' rota scale -A el --want 2 -c 2
check 'brings nodes' until_ '1.0 alive,2.0 alive,2.0 alive' "$TMP/nodes"
check 'they are shown' until_ "big${tab}local${tab}0${tab}1${tab}0${tab}0${tab}0 small${tab}local${tab}0${tab}2${tab}2${tab}0${tab}0" sh -c 'rota scale -A el | cut -f1-7 | paste -sd" "'
killed() {		# what another one finds is kept
	kill -9 "$(cat "$XDG_STATE_HOME/rota/el.scale/pid")" && rota up -q --name el >/dev/null &&
		until_ "small${tab}local${tab}0${tab}2${tab}2${tab}0${tab}0" sh -c 'rota scale -A el | cut -f1-7 | grep small' && prints '1.0 alive,2.0 alive,2.0 alive' "$TMP/nodes"
}
check 'another autoscaler finds them' killed
check 'no request any more' rota scale -A el --want 0
check 'they go' until_ '1.0 alive' "$TMP/nodes"
fails() {
	scale 1 'small = { cpus = 2, max = 2, min = 1, setup = { "echo no power >&2; exit 3" } }' && until_ 'no power' sh -c 'rota ls -A el 2>&1 >/dev/null | grep -o "no power"'
}
check 'a launch that fails is shown' fails
again() { until_ 'in a row, tried again in' sh -c 'rota scale -A el | grep -o "in a row, tried again in"'; }
check 'and tried again' again
check 'down' rota down -A el --purge
check 'nothing is left' prints '' find "$TMP/conf" "$TMP/state" "$TMP/rota" -type f
done_testing
