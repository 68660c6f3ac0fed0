-- idle-first: the first result after a second in which nothing happened
local rota = require "rota"
local noop = rota.task(function() end)
for _ = 1, 1000 do rota.get(noop()) end

rota.sleep(1)
local start = rota.now()
rota.get(noop())
print(("idle-first %.1f"):format((rota.now() - start) * 1e6))
