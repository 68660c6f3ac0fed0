-- rest.lua NODES - waits until nothing of any program is left on this node, and it knows of so many nodes; says what there is
local rota = require "rota"
local core = require "rota.core"
local nodes = tonumber(arg[1])
rota.init()
local t0, job, why = rota.now(), rota.context().job, nil
repeat
	local objects, here, alive = core.list "objects", rota.nodes()[1], 0
	why = nil
	for _, n in ipairs(rota.nodes()) do if n.state == "alive" then alive = alive + 1 end end
	if alive ~= nodes then why = alive .. " nodes, not " .. nodes end
	if #objects > 0 then why = ("%d objects, one is %s %s"):format(#objects, tostring(objects[1].id), tostring(objects[1].name)) end
	for _, w in ipairs(core.list "workers") do if w.job ~= job then why = ("worker %d of job %s is %s"):format(w.pid, w.job, w.state) end end
	for _, a in ipairs(core.list "actors") do if a.state ~= "dead" then why = "actor " .. tostring(a.actor) end end
	if here.drivers > 1 then why = here.drivers .. " drivers" end
	if why then rota.sleep(0.1) end
until not why or rota.now() - t0 > 25
if why then
	print(why)
	os.exit(1)
end
