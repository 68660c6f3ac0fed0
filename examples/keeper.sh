#!/bin/sh
# keeper.sh - an actor that outlives its program: each command below is a process of its own, the count stays
dir=$(mktemp -d) || exit 1			# a node of its own, so that yours stays as it is
ROTA_DIR=$dir/rota XDG_STATE_HOME=$dir/state ROTA_NAMESPACE=keeper
export ROTA_DIR XDG_STATE_HOME ROTA_NAMESPACE
trap 'rota down -q --force; rm -rf "$dir"' EXIT
rota up -q >/dev/null || exit 1			# detached actors live as long as their node

cat >"$dir/make.lua" <<'END'
local rota = require "rota"
function words(line) return select(2, line:gsub("%a+", "")) end	-- goes along: the actor needs it when this program is gone
local Counter = rota.actor{
	new = function(self) self.n = 0 end,
	add = function(self, line) self.n = self.n + words(line) return self.n end,
}
Counter:with{ name = "words", detached = true, restarts = 3 }()
END
add() { rlua -l rota -e "print(rota.get(rota.find('words'):add '$1'))"; }

rlua "$dir/make.lua"
add 'a count that stays'
#> 4
add 'between processes'
#> 6
rstat actors -o name,state,restarts
#> words	alive	3
rlua -l rota -e 'local c = rota.find "words" rota.kill(c) print(select(2, rota.pget(c:add "")).code)'
#> actor_died
