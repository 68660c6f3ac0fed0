#!/usr/bin/env rlua
-- errors.lua - what fails, and what the caller sees
local rota = require "rota"

local half = rota.task(function(x)
	if x % 2 == 1 then error { odd = x } end	-- any value can be raised
	return x // 2
end)

-- get raises the task's error; pget gives it back: value, error
local ok, err = pcall(rota.get, half(3))
print(ok, err.code, err.value.odd)
--> false	error	3

-- of a table: what came and what failed, with the same keys
local values, errors = rota.pget { a = half(8), b = half(9) }
print(values.a, values.b, errors.a, errors.b.value.odd)
--> 4	nil	nil	9

-- an error passes through tasks that wait for its result
err = select(2, rota.pget(half(half(6))))
print(err.code, err.value.odd)
--> error	3

-- an error reads as its message
err = select(2, rota.pget(rota.task(function() error("no such file", 0) end)()))
print("failed: " .. err, err:match "file$")
--> failed: no such file	file

-- a time limit on the task; on the wait alone it would go on
local slow = rota.task(function() rota.sleep(60) end):with{ timeout = "50ms" }
print(select(2, rota.pget(slow())).code)
--> timeout

-- a worker that dies: the task is tried again, 3 times unless told otherwise
local crash = rota.task(function() os.exit(7) end):with{ retries = 1 }
err = select(2, rota.pget(crash()))
print(err.code, err.attempt)
--> crashed	2

-- more than there is
err = select(2, rota.pget(half:with{ cpus = 10000 }(2)))
print(err.code)
--> infeasible
