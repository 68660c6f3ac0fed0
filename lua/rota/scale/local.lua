-- local: instances that are nodes on this machine, each a directory beside those of rota up --local.  A provider of instances:
--	new(env)			env: spec, address and key of the cluster, provider(name): what reaches hosts (up/host.lua)
--	p:list(type)			ids; nil, why
--	p:launch(type, ids)		id -> true, or why not
--	p:ready(type, id)		makes it one of our nodes: true, or nil, why
--	p:terminate(type, id, opts)	true, or nil, why; opts.purge: nothing is to be left
local instance = require "rota.scale.instance"
local spec = require "rota.up.spec"
local core = require "rota.up.core"

return function(env)
	local p = { hosts = env.provider "local" }

	local function host(type, id)
		local h = { name = instance.name(type, id), instance = tostring(id) }
		for k, v in pairs(type.host) do h[k] = v end
		return instance.labelled(h, type, id)
	end

	function p:list(type)
		local dir = self.hosts:directories { name = "" }
		local list = core.run({ { argv = { "/bin/sh", "-c", 'ls "$0" "$1" 2>/dev/null; true', dir.ROTA_UP_DIR, dir.ROTA_UP_STATE } } }, {})[1].out
		return instance.ids(type, list)
	end

	function p:launch(_, ids)
		local out = {}
		for _, id in ipairs(ids) do out[id] = true end
		return out
	end

	function p:ready(type, id)
		local r = self.hosts:launch({ host(type, id) }, { role = "node", key = env.key, address = env.address, rlet = spec.rlet, limits = spec.limits })[1]
		return not r.why, r.why
	end

	function p:terminate(type, id)
		local r = self.hosts:terminate({ host(type, id) }, { force = true, purge = true, role = "node" })[1]
		return not r.why, r.why
	end
	return p
end
