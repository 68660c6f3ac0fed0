#!/usr/bin/env rlua
-- program.lua - programs as tasks, and a program that is kept running as an actor
local rota = require "rota"

-- once: bytes in, bytes out; a ref is an input too, so programs and tasks make a pipeline
local sort, count = rota.cmd{ "sort" }, rota.cmd{ "uniq", "-c" }
local lines = rota.task(function() return "b\na\nb\n" end)
io.write((rota.get(count(sort(lines()))):gsub(" +", " ")))
-->  1 a
-->  2 b

-- a status that is not 0 raises, with the end of what it wrote to stderr
print(select(2, rota.pget(rota.cmd{ "sh", "-c", "echo no such thing >&2; exit 3" }())))
--> 'sh' ended with status 3: no such thing

-- kept running: a line in, a line out; restarts=1: started again, once, if it ends.  It must not hold back its output
local twice = rota.cmd{ "sh", "-c", "while read x; do echo $((x * 2)); done" }:actor{ restarts = 1 }
print(rota.get(twice:call "21"), rota.get(twice:call "4"))
--> 42	8
-- mode = "frames" carries values and method calls, see python.lua and rota-program(7)
