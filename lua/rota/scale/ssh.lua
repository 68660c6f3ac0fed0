-- ssh: instances are hosts of a pool that are reached by ssh: one is taken, and given back; see local.lua.  Which are ours is
-- known from what lies on them.
local instance = require "rota.scale.instance"
local fit = require "rota.up.fit"
local spec = require "rota.up.spec"

return function(env)
	local p = { hosts = env.provider "ssh", used = {}, making = {}, last = {} }	-- used: host -> id; making: ids that are not nodes yet; last: type -> where it was looked for last

	local function host(type, id, name)
		local h = { name = name, instance = tostring(id) }
		for k, v in pairs(type.host) do h[k] = v end
		return instance.labelled(h, type, id)
	end

	local function host_of(id)
		for name, i in pairs(p.used) do if i == id then return name end end
	end

	function p:list(type)
		local all, out = {}, {}
		for i, name in ipairs(type.hosts) do all[i] = host(type, 0, name) end
		for i, r in ipairs(self.hosts:list(all)) do
			local cluster, id = (r.cluster or ""):match "^(%S+) .- (%d+)$"
			id = tonumber(id)
			local mine = self.used[all[i].name]
			if r.why or self.making[mine] then		-- it may run all the same
				out[#out + 1] = mine
			elseif cluster == self.hosts.cluster and id then
				self.used[all[i].name] = id
				out[#out + 1] = id
			else self.used[all[i].name] = nil end
		end
		return out
	end

	function p:launch(type, ids)
		local out = {}
		for _, id in ipairs(ids) do
			out[id] = "no host of the pool is free"
			for k = 1, #type.hosts do
				local at = ((self.last[type.name] or 0) + k - 1) % #type.hosts + 1
				if not self.used[type.hosts[at]] then
					self.used[type.hosts[at]], self.making[id], self.last[type.name], out[id] = id, true, at, true
					break
				end
			end
		end
		return out
	end

	function p:ready(type, id)
		local name = host_of(id)
		if not name then return nil, "its host is not known" end
		local h = host(type, id, name)
		local r = self.hosts:list({ h })
		fit.check(self.hosts, { h }, r)
		local ok, why = fit.send(self.hosts, { h }, r)
		if ok and not r[1].why then
			r = self.hosts:launch({ h }, { role = "node", key = env.key, text = env.text, address = env.address, rlet = spec.rlet, limits = spec.limits })
		end
		self.making[id] = nil
		why = why or r[1].why
		return not why, why and ("%s: %s"):format(name, why)
	end

	function p:terminate(type, id, o)
		local name = host_of(id)
		if not name then return true end
		local r = self.hosts:terminate({ host(type, id, name) }, { force = true, purge = o and o.purge, role = "node" })[1]
		if r.why then return nil, ("%s: %s"):format(name, r.why) end
		self.used[name], self.making[id] = nil, nil
		return true
	end
	return p
end
