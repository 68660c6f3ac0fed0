-- slurm: each instance is a job of Slurm, by sbatch(1) of this machine, whose files the jobs see; see local.lua.  The job's name says
-- what it is, its end is the node's.
local core = require "rota.up.core"
local instance = require "rota.scale.instance"
local quoted = require "rota.up.host".quoted
local spec = require "rota.up.spec"

-- $prefix, $name: of the job; the node has its directories on the machine where the job runs
local job <const> = [[
dir=$(mktemp -d "${TMPDIR:-/tmp}/$name.XXXXXX") || exit
trap 'rm -rf "$dir"' EXIT
trap 'kill "$node" 2>/dev/null' TERM INT
unset ROTA_ADDRESS ROTA_NAMESPACE ROTA_KEY
ROTA_DIR=$dir/run XDG_STATE_HOME=$dir/state "$prefix/bin/rlet" -l "$@" &
node=$!
wait "$node"; status=$?
while kill -0 "$node" 2>/dev/null; do wait "$node"; done
exit "$status"
]]

local function run(argv, input)
	local r = core.run({ { argv = argv, input = { input or "" }, timeout = 60 } }, {})[1]
	if r.status == 127 then return nil, ("cannot run '%s': not found"):format(argv[1]) end
	if r.status ~= 0 then return nil, (r.err:match "([^\n]*)%s*$":gsub("^s%w+: ", ""):gsub("^error: ", "")) end
	return r.out
end

return function(env)
	local p = {}
	local function name(type, id) return ("rota-%s-%s"):format(env.name, instance.name(type, id)) end

	function p:list(type)
		local all, why = run { "squeue", "-h", "--me", "-o", "%j", "-t", "PENDING,CONFIGURING,RUNNING,SUSPENDED" }
		if not all then return nil, why end
		return instance.ids(type, all:gsub("rota%-" .. env.name:gsub("%p", "%%%0") .. "%-", ""))
	end

	local function submit(type, id)
		local h = { name = name(type, id) }
		for k, v in pairs(type.host) do h[k] = v end
		instance.labelled(h, type, id)
		local words = { "--join", env.address, "--listen", ":0", "--key", env.key, table.unpack(spec.rlet(h)) }
		for i, w in ipairs(words) do words[i] = quoted(w) end
		local text = { "#!/bin/sh", "name=" .. quoted(h.name), "prefix=" .. quoted(core.self().prefix) }
		for k, v in pairs(h.env or {}) do text[#text + 1] = ("export %s=%s"):format(k, quoted(v)) end
		for _, line in ipairs(h.setup or {}) do text[#text + 1] = line .. " || exit" end
		text[#text + 1] = "set -- " .. table.concat(words, " ")
		text[#text + 1] = job
		local argv = { "sbatch", "--parsable", "-J", h.name, "-N", "1", "-n", "1", "-c", tostring(math.ceil(h.cpus)), "-o", "/dev/null", "--no-requeue" }
		if (h.gpus or 0) > 0 then argv[#argv + 1] = "--gres=gpu:" .. math.ceil(h.gpus) end
		if h.memory then argv[#argv + 1] = ("--mem=%dM"):format(math.ceil(spec.bytes(h.memory) / 2^20)) end
		for _, word in ipairs(type.options or {}) do argv[#argv + 1] = word end
		local out, why = run(argv, table.concat(text, "\n"))
		return out and true or why
	end

	function p:launch(type, ids)
		local out = {}
		for _, id in ipairs(ids) do out[id] = submit(type, id) end
		return out
	end

	function p:ready() return true end	-- the job begins when Slurm lets it

	function p:terminate(type, id)
		local out, why = run { "scancel", "--me", "-n", name(type, id) }
		return out and true, why
	end
	return p
end
