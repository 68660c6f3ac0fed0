-- control: the autoscaler of a cluster as rota up, down, ls and scale see it: a process of its own on this machine, rota scaler NAME,
-- with a directory, which it locks:
--	pid  log	what it said that is not of the moment
--	status		a line for each type, see M.status
--	request		what is wanted by hand: lines of N<TAB>need, as nodes write theirs
--	epoch		how often one was started; the ids of instances have it in front
local core = require "rota.up.core"
local M = {}

function M.dir(name)
	local dir = os.getenv "XDG_STATE_HOME"
	return ("%s/rota/%s.scale"):format(dir and dir ~= "" and dir or os.getenv "HOME" .. "/.local/state", name)
end

function M.get(name, file)		-- what a file of it says; "" if there is none
	local f <close> = io.open(M.dir(name) .. "/" .. file)
	return f and f:read "a" or ""
end

local function sh(...) return core.run({ { argv = { "/bin/sh", "-c", ... } } }, {})[1] end

-- Ends it, if it runs.
function M.stop(name)
	local dir = M.dir(name)
	if sh('[ -d "$0" ]', dir).status ~= 0 then return end
	local fd = core.lock(dir, true)
	if not fd then
		sh('kill "$0"', (M.get(name, "pid"):match "%d+"))
		fd = core.lock(dir)
	end
	core.unlock(fd)
end

-- Starts it anew, and waits until nodes have heard of it: it finds what there is.  nil, why
function M.start(name)
	local dir = M.dir(name)
	M.stop(name)
	local ok, why = core.write(dir .. "/epoch", tostring((tonumber(M.get(name, "epoch")) or 0) + 1))
	if not ok then return nil, why end
	os.remove(dir .. "/status")
	local r = sh([[setsid "$0" scaler "$1" </dev/null >"$2/log" 2>&1 & echo $! >"$2/pid"; tries=0
		until [ -e "$2/status" ]; do
			kill -0 $! 2>/dev/null && [ $tries -lt 200 ] || { tail -n 5 "$2/log" >&2; exit 1; }
			tries=$((tries + 1)); sleep 0.05
		done]], core.self().prefix .. "/bin/rota", name, dir)
	if r.status ~= 0 then return nil, "the autoscaler does not start: " .. r.err:match "[^\n]*" end
	return true
end

function M.remove(name)
	M.stop(name)
	for _, f in ipairs { "pid", "log", "status", "request", "epoch" } do os.remove(M.dir(name) .. "/" .. f) end
	os.remove(M.dir(name))
end

-- what went wrong last of each type that has a trouble: lines for people
function M.troubles(name)
	local out = {}
	for line in M.get(name, "status"):gmatch "[^\n]+" do
		local type, why = line:match "^([^\t]*)\t.*\t([^\t]*)$"
		if why and why ~= "-" then out[#out + 1] = ("type %s: %s"):format(type, why) end
	end
	return out
end

return M
