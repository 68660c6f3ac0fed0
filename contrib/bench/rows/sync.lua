-- sync: an empty task, submitted and got, one by one
local rota, rate = require "rota", require "rate"
local noop, get = rota.task(function() end), rota.get

rate(arg[1] or "sync", function(n) for _ = 1, n do get(noop()) end end, 20000)
