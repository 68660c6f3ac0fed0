#!/bin/sh
# waiting.t - who waits for five seconds is told on stderr what for, once; -q tells nothing; nobody who is served is told
. "${0%/*}/lib.sh"
cd "$TMP" || exit 2
cat >hold.lua <<'E'
local rota = require "rota"
rota.init{address="private", cpus=2, gpus=1}
local A = rota.actor{ up = function() return true end }:with{gpus=1}
local a = A()
rota.get(a:up())
local f = rota.task(function() return "served" end):with{gpus=0.5}
local r = f()
local b = A()
local q = b:up()
assert(not r:wait(6.5))
rota.stop(a)
print(rota.get(r), rota.get(q))
E
rlua hold.lua >out 2>err &
lua=$!
serve rlet -p --socket w.sock --own $$ -c 1 -g 4 --ready-fd 3
export ROTA_ADDRESS="unix:$ROTA_DIR/w.sock"
mkfifo begun go
rmap -g 4 -c 0 sh -c 'echo >begun; read -r _ <go' ::: 1 &
first=$!
read -r _ <begun
rmap -g 1 -c 0 echo ::: x >rout 2>rerr &
second=$!
rmap -q -g 1 -c 0 echo ::: x >qout 2>qerr &
third=$!
for i in $(seq 800); do [ -s rerr ] && break; sleep 0.05; done
echo >go
wait $first $second $third $lua
prints_out() { cat out; [ "$(cat out)" = "served	true" ]; }
says_lua() { cat err; [ "$(grep -c . err)" = 2 ] && grep -qx 'rota: waiting for 0.5 GPU: 0 of 1 free' err && grep -q '^rota: actor .* is waiting for 1 GPU: 0 of 1 free$' err; }
says_rmap() { cat rerr; [ "$(cat rerr)" = 'rmap: waiting for 1 GPU: 0 of 4 free' ] && [ "$(cat rout)" = x ]; }
says_nothing() { cat qerr; [ ! -s qerr ] && [ "$(cat qout)" = x ]; }
check 'a task and an actor are served in the end' prints_out
check 'each was told once what it waited for' says_lua
check 'rmap tells it too' says_rmap
check 'rmap -q does not' says_nothing
done_testing
