-- reignvictim.lua - a program that reignstate.lua kills: keys of its session, an actor that outlives it, one that does not
local rota = require "rota"
rota.init { namespace = "reign" }
local Act = rota.actor { new = function(self, k) self.k = k end, get = function(self) return self.k end }
local orphan = Act:with { cpus = 0, restarts = -1, name = "orphan", detached = true } (11)
local child = Act:with { cpus = 0, restarts = -1, name = "child" } (12)
rota.get { orphan:get(), child:get() }
rota.kv:put("theirs", "x", { session = true })
print "made"
io.flush()
rota.sleep(1000)
