#!/usr/bin/env rlua
-- python.lua - an object of Python as an actor: methods, values and errors, over frames; rota_program is a module of rota
local rota = require "rota"

local counter = rota.cmd{ "python3", "-c", [[
import rota_program

class Counter:
    def __init__(self): self.n = 0
    def add(self, k): self.n += k; return self.n
    def words(self, text): return {w: len(w) for w in text.split()}

rota_program.serve(Counter())
]] }:actor{ mode = "frames" }

counter:call("add", 5)
print(rota.get(counter:call("add", 7)))
--> 12
print(rota.get(counter:call("words", "a table comes back")).table)
--> 5
print(select(2, rota.pget(counter:call("add", "x"))))
--> TypeError: unsupported operand type(s) for +=: 'int' and 'str'
