#!/usr/bin/env rlua
-- arrays.lua - arithmetic on arrays of numbers: views, broadcasting, sums along axes, shared between tasks
local rota = require "rota"

local a = rota.buffer { { 1, 2, 3 }, { 4, 5, 6 } }	-- lists within lists: two axes
print(a:t())					-- a view: no element moves
--> buffer f64 [3x2]:
--> [[1.0 4.0]
-->  [2.0 5.0]
-->  [3.0 6.0]]
print(a * 10 + rota.buffer { 1, 2, 3 })		-- the shorter one is repeated for each row
--> buffer f64 [2x3]:
--> [[11.0 22.0 33.0]
-->  [41.0 52.0 63.0]]
print(a:sum(), a:sum(1), a:argmax(2))		-- of all; down the columns; the place in each row
--> 21.0	buffer f64 [3]: 5.0 7.0 9.0	buffer i64 [2]: 3 3
print(a[a:gt(2)])				-- the elements where a mask is true
--> buffer f64 [4]: 3.0 4.0 5.0 6.0

-- columns of mean 0 and deviation 1, then what each column has to do with the others
local x = rota.buffer.rng(1):normal({ 10000, 3 }, 5, 2)
x:view { true, 3 }:add(x:view { true, 1 }, x:view { true, 3 })
local z = (x - x:mean(1)) / x:std(1)
print(((z:t():matmul(z) / #z) * 100):round():cast "i32")
--> buffer i32 [3x3]:
--> [[100  -1  71]
-->  [ -1 100  -1]
-->  [ 71  -1 100]]

-- one copy in shared memory, read in place by every task; a slice of it is no copy
local ref = rota.put(x)
local part = rota.task(function(b, i, j) return b:sub(i, j):sum(1) end)
local sums = rota.get { part(ref, 1, 5000), part(ref, 5001, 10000) }
print((sums[1] + sums[2]):allclose(x:sum(1)))
--> true
