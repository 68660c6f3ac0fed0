-- first.lua - one task; prints when its result was there
local rota = require "rota"
assert(rota.get(rota.task(function(x) return x * x end)(3)) == 9)
print(rota.now())
