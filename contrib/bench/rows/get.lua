-- get-100K, get-100B: get of a stored buffer of 100 KiB, of a stored string of 100 bytes; each time anew
local rota, rate = require "rota", require "rate"
local get = rota.get
local buffer, text = rota.put(rota.buffer(100 * 1024, "u8")), rota.put(("x"):rep(100))

rate("get-100K", function(n) for _ = 1, n do get(buffer) end end, 20000)
rate("get-100B", function(n) for _ = 1, n do get(text) end end, 20000)
