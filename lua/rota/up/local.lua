-- local: a provider whose hosts are this machine: nodes with directories of their own, all of this user, from this very tree
local core = require "rota.up.core"
local host = require "rota.up.host"

local function run_dir()
	local dir = os.getenv "ROTA_DIR"
	if dir and dir ~= "" then return dir end
	dir = os.getenv "XDG_RUNTIME_DIR"
	if dir and dir ~= "" then return dir .. "/rota" end
	return "/tmp/rota-" .. core.self().uid
end

local function state_dir()
	local dir = os.getenv "XDG_STATE_HOME"
	return (dir and dir ~= "" and dir or os.getenv "HOME" .. "/.local/state") .. "/rota"
end

return function(o)
	local p = host.new(o)
	local dir = { ROTA_UP_DIR = run_dir(), ROTA_UP_STATE = state_dir() }
	p.reached = "127.0.0.1:0"			-- where other nodes reach one
	function p:argv(_, command) return { "/bin/sh", "-c", command } end
	function p:directories(h)
		local d = { own = "1" }		-- nothing but this node lies there
		for k, v in pairs(dir) do d[k] = ("%s/%s/%s"):format(v, self.cluster, h.name) end
		return d
	end
	function p:place() return core.self().prefix end
	function p:address() return "127.0.0.1" end
	function p:socket(h) return ("unix:%s/local.sock"):format(self:directories(h).ROTA_UP_DIR) end
	function p:swept()		-- the directories that are empty now
		for _, d in pairs(dir) do os.remove(("%s/%s"):format(d, self.cluster)) end
	end
	p.here = true			-- nothing is shipped, the key lies there
	return p
end
