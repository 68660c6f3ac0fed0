-- chanrefs.lua [SEED] - senders, readers and the daemon are killed while references and long messages are on their way
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota = C.T, C.rota
rota.init { cpus = 4, store = "64M", namespace = "chanrefs" }

local function value(i, n) local b = rota.buffer(n, "i64") b[1] = i return b end
local function pid() return io.open "/proc/self/stat":read "n" end
local make = rota.task(function(i) local b = rota.buffer(5000, "i64") b[1] = i return b end)
local send = rota.task(function(w, back)
	back:send((io.open "/proc/self/stat":read "n"))
	for i = 1, 1000000 do
		local b = rota.buffer(i % 8 == 0 and 1 << 17 or 5000, "i64")
		b[1] = i
		if i % 8 == 0 then w:send(i, b) else w:send(i, { rota.put(b), i % 4 == 0 and make(i) or nil }) end
	end
end):with { retries = 0 }
local read = rota.task(function(r, back)
	back:send((io.open "/proc/self/stat":read "n"))
	local kept = {}
	for i, x in function() return r:recv() end do
		kept[i % 5] = x
		local v = type(x) == "table" and rota.get(x[1]) or x
		if v[1] ~= i then error("message " .. i .. " has " .. v[1]) end
	end
end):with { retries = 0 }
local gone = { crashed = true, lost = true, closed = true }		-- what a dead sender made is lost with it

local bad = 0
local function fail(...) bad = bad + 1 print("#", ...) end
for round = 1, C.rounds(9, 300) do
	local w, r = rota.channel { bytes = "256K" }
	local back, said = rota.channel()
	local how = round % 3
	local naps = math.random(0, 20) / 1000
	if how == 0 then					-- a worker sends, and is killed
		local task, got = send(w, back), 0
		local victim = said:recv(30)
		local t0, done, e = rota.now(), pcall(function()
			while true do
				local i, x = r:recv(30)
				if i == nil then error { code = x } end
				local v = type(x) == "table" and rota.get(x[1], 30) or x
				if v[1] ~= i then fail("message", i, "has", v[1]) end
				got = got + 1
				if got == math.random(40) or got == 40 then C.kill(victim) end
			end
		end)
		if done or not gone[type(e) == "table" and (e.value and e.value.code or e.code)] then fail("round", round, tostring(e)) end
		rota.pget(task, 30)
	elseif how == 1 then					-- a worker reads, and is killed
		local task = read(r, back)
		local victim = said:recv(30)
		local k = math.random(60)
		local done, e = pcall(function()
			for i = 1, 2000 do
				if i == k then C.kill(victim) end
				if i % 8 == 0 then w:send(i, value(i, 1 << 17)) else w:send(i, { rota.put(value(i, 5000)), i % 4 == 0 and make(i) or nil }) end
			end
		end)
		if done or e.code ~= "crashed" then fail("round", round, tostring(e)) end
		rota.pget(task, 30)
	else							-- both ends here: the daemon is killed
		local k = math.random(4)
		for i = 1, 4 do
			if i == k then C.kill(rota.nodes()[1].pid) end
			w:send(i, { rota.put(value(i, 5000)), rota.put("small " .. i) })
		end
		for i = 1, 4 do
			local n, x = r:recv(30)
			if n ~= i or rota.get(x[1], 30)[1] ~= i or rota.get(x[2], 30) ~= "small " .. i then fail("round", round, "message", i, n) end
		end
		w:close()
	end
	for _, x in ipairs { w, r, back, said } do pcall(x.close, x) end
	if bad > 0 then break end
end
T.is(bad, 0, "who is left is told, what is left is whole")
C.quiet "afterwards"
T.done()
