-- zygote.lua [SEED] - the process that forks workers is killed under load: the node starts another one, tasks are tried again
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota, core = C.T, C.rota, C.core
rota.init {}
local slow = rota.task(function(x) rota.sleep(0.001) return x end):with { retries = -1 }
local node = rota.nodes()[1]
local function zygote()			-- the node's child
	local p = io.popen("cat /proc/" .. node.pid .. "/task/" .. node.pid .. "/children")
	local pid = p:read "n"
	p:close()
	return pid
end
local last, wrong
for round = 1, C.rounds(4, 30) do
	local refs = {}
	for i = 1, 100 do refs[i] = slow(i) end
	rota.wait(refs, { n = math.random(60), timeout = 30 })
	local z = zygote()
	T.ok(z and z ~= last, "round " .. round .. ": there is another one", z, last)
	last = z
	C.kill(z)
	local vals, errs = rota.pget(refs, 30)
	for i = 1, 100 do if vals[i] ~= i then wrong = errs and errs[i] or vals[i] end end
	if wrong then break end
	local t0 = rota.now()			-- three deaths within a second each are the node's end
	while rota.now() - t0 < 1.05 do rota.get(slow(1), 30) end
end
T.ok(not wrong, "every result is right", wrong)
C.quiet "zygote killed"
T.done()
