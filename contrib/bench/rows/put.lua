-- put-100K, put-100B: put of a buffer of 100 KiB, of a string of 100 bytes, each forgotten at once
local rota, rate = require "rota", require "rate"
local put = rota.put
local buffer, text = rota.buffer(100 * 1024, "u8"), ("x"):rep(100)

rate("put-100K", function(n) for _ = 1, n do put(buffer) end end, 2000)
rate("put-100B", function(n) for _ = 1, n do put(text) end end, 20000)
