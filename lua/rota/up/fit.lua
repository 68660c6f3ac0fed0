-- fit: whether hosts can run this build, and the tree for those that lack it.  p: a provider, see host.lua; results: what p:list gave
local core = require "rota.up.core"
local ship = require "rota.up.ship"
local M = {}

local FREE <const> = 200 * 1024		-- KiB that a host must have for the tree

local function version(text)		-- "2.36" -> 2036
	local a, b = (text or ""):match "^(%d+)%.(%d+)"
	return a and tonumber(a) * 1000 + tonumber(b)
end

function M.unfit(r)			-- why a host cannot run this build, or nil
	local me = core.self()
	if r.system ~= "Linux" then return ("%s: rota runs on Linux"):format(r.system) end
	if r.arch ~= me.arch then return ("%s, this build is %s"):format(r.arch, me.arch) end
	if not version(r.glibc) then return ("no glibc, this build needs %s"):format(me.glibc) end
	if version(r.glibc) < version(me.glibc) then return ("glibc %s, this build needs %s"):format(r.glibc, me.glibc) end
	if not r.tree and tonumber(r.free) and tonumber(r.free) < FREE then
		return ("%d MB are free below %s, rota needs %d"):format(tonumber(r.free) // 1024, r.home, FREE // 1024)
	end
end

function M.check(p, hosts, results)		-- results[i].why where a host cannot be used
	for i in ipairs(hosts) do
		local r = results[i]
		local other = r.row and (r.cluster or ""):match "^%S*"
		if r.why then		-- it said so itself
		elseif not p.here and M.unfit(r) then r.why = M.unfit(r)
		elseif other and other ~= p.cluster then
			r.why = other == "" and "a node runs there already; end it first: rota down" or
				("a node of the cluster %s runs there already; end that first: rota down -A %s"):format(other, other)
		end
	end
end

function M.send(p, hosts, results, say)	-- the tree to whom lacks it; results[i].why where that failed; nil, why: there is none to send
	local without, at = {}, {}
	for i, h in ipairs(hosts) do
		if not results[i].why and not results[i].tree then
			without[#without + 1] = h
			at[#at + 1] = i
		end
	end
	if #without == 0 then return true end
	if say then say(("sending %s to %d hosts"):format(p.build, #without)) end
	local archive, why = ship.archive(p.files)
	if not archive then return nil, why end
	for k, r in ipairs(p:unpack(without, archive)) do results[at[k]].why = r.why end
	return true
end

return M
