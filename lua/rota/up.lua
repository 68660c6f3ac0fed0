-- rota up, down, ls, exec, add, rm, run, key for several machines: cmd/rota/cluster.c calls this file's function with what the
-- command line said, { verb=, operands=, ... }, and exits with what it returns.
local core = require "rota.up.core"
local spec = require "rota.up.spec"
local ship = require "rota.up.ship"
local fit = require "rota.up.fit"
local scale = require "rota.scale.control"
local M = {}

local PORT <const> = 7411
local AT_ONCE <const> = 64		-- hosts, unless -j says otherwise

local function config(name)
	local dir = os.getenv "XDG_CONFIG_HOME"
	return ("%s/rota/%s"):format(dir and dir ~= "" and dir or (os.getenv "HOME" or "") .. "/.config", name or "")
end

local function warn(text) io.stderr:write("rota: ", (text:gsub("\n", "\n\t")), "\n") end

local function stop(code, text)
	error { code = code, text = text }
end

-- --- what is known of a cluster: ~/.config/rota/NAME (where it is and its key, for programs) and NAME.lua (hosts, for us) ---------

local function saved(name)
	if not name:match "^[%w_][%w_.-]*$" then stop(2, ("'%s' is no name of a cluster"):format(name)) end
	local f = io.open(config(name))
	if not f then stop(125, ("no cluster '%s': 'rota up --name %s HOST...' starts one"):format(name, name)) end
	local known = {}
	for k, v in f:read "a":gmatch "([^\t\n]+)\t([^\n]+)" do known[k] = v end
	f:close()
	local s, why = spec.read(config(name .. ".lua"))
	if not s then stop(125, why) end
	known.spec = s
	return known
end

local function save(s, known)
	local ok, why = core.write(config(s.name .. ".lua"), spec.write(s))
	if ok then ok, why = core.write(config(s.name), ("address\t%s\nkey\t%s\nstore\t%s\n"):format(known.address, known.key, known.store)) end
	if not ok then stop(125, why) end
end

local function key_path(name)
	local path = os.getenv "ROTA_KEY"
	return path and path ~= "" and path or config(name .. ".key")
end

local function provider(s, o, name)		-- that of the cluster, or another one
	name = name or s.provider
	local files, build, why
	if name == "ssh" then
		files, why = ship.files()
		if files then build, why = ship.build(files) end
		if not build then stop(125, why) end
	end
	local p = require("rota.up." .. name) { cluster = s.name, build = build or "", jobs = o.jobs or AT_ONCE, links = s.links }
	p.files = files
	return p
end

-- --- up --------------------------------------------------------------------------------------------------------------

local function wanted(o)		-- the spec that the command line means
	local s, why
	local one = o.operands[1]
	if o.locals then
		if one then stop(2, "--local takes no hosts") end
		s, why = spec.of { nodes = o.locals, name = o.name, provider = "local" }
	elseif not one then
		if not o.name then stop(2, "expected hosts, a cluster.lua, or --name of a cluster that was up before") end
		s = saved(o.name).spec
	elseif one:match "%.lua$" then
		if o.operands[2] then stop(2, ("'%s' names all hosts: unexpected operand '%s'"):format(one, o.operands[2])) end
		s, why = spec.read(one)
		if s and o.name then s.name = o.name end
	else
		s, why = spec.of { hosts = o.operands, name = o.name, provider = o.provider or "ssh", listen = o.provider and 0 }
	end
	if not s then stop(2, why) end
	for _, h in ipairs(s.hosts) do
		for k, v in pairs(o.offers) do
			if k == "resources" then
				local all = {}
				for n, x in pairs(h.resources or {}) do all[n] = x end
				for n, x in pairs(v) do all[n] = x end
				h.resources = all
			else h[k] = v end
		end
	end
	return s
end

local function bracketed(host, port) return (host:find ":" and "[%s]:%d" or "%s:%d"):format(host, port) end

local function reach(address, name, why)	-- a join that failed for the network, in words that help
	local reason = why:match "cannot join '[^']*': ([^\n]*)"
	if not reason then return why end
	return ("cannot reach %s (%s)%s"):format(address, reason:gsub("^%u", string.lower), reason:find "time" and ": a firewall?" or "")
end

local function loopback(a) return a:match "^127%." or a == "::1" end

-- do all nodes know and reach each other?  How many do not
local function met(p, hosts, probed)
	local name, bad = {}, 0
	for i, h in ipairs(hosts) do name[probed[i].server or ""] = h.name end
	for i, r in ipairs(p:meet(hosts, #hosts)) do
		local address, why = (r.far or ""):match "^(%S+) (.*)"
		local host, port = (address or ""):match "^%[?(.-)%]?(:%d+)$"
		if r.why then why = r.why
		elseif address then
			why = ("cannot reach %s%s (%s)%s"):format(name[host] or host, port, why:gsub("^%u", string.lower), why:find "timed out" and ": a firewall?" or "")
		elseif tonumber(r.seen or 0) < #hosts then why = ("knows %s of %d nodes"):format(r.seen or "none", #hosts) end
		if why then
			bad = bad + 1
			warn(("%s: %s"):format(hosts[i].name, why))
		end
	end
	return bad
end

local function dry(s)
	for i, h in ipairs(s.hosts) do
		print(("%s: %srlet -l %s"):format(h.name, i == 1 and "rgcs, " or "", table.concat(spec.rlet(h), " ")))
	end
	return 0
end

local locked
local function lock()			-- one change of clusters after the other
	if locked then return end
	locked = true
	local ok, why = core.lock((config ""):gsub("/$", ""))
	if not ok then stop(125, why) end
end

local function up(s, o)
	lock()
	local p = provider(s, o)
	local path = key_path(s.name)
	local results = p:list(s.hosts)
	fit.check(p, s.hosts, results)
	if not results[1].why then
		local ok, why = fit.send(p, s.hosts, results, o.verbose and warn)
		if not ok then stop(125, why) end
	end
	local head, key = results[1]
	local probed = table.move(results, 1, #results, 1, {})
	if not head.why then			-- not earlier: a mistyped name leaves nothing behind
		local id, why = core.key(path, true)
		if not id then stop(125, why) end
		local f <close> = io.open(path)
		key = f:read "a"
	end
	local before = io.open(config(s.name))
	local old = before and before:read("a"):match "store\t([^\n]+)"
	if before then before:close() end

	local what = { role = "head", key = path, text = not (p.here or p.shared) and key or nil, rlet = spec.rlet, limits = spec.limits }
	if not head.why then
		local where = p:address(s.hosts[1], head)
		if loopback(where) and not p.here and #s.hosts > 1 and not s.hosts[1].address then where = s.hosts[1].name end
		what.listen = (p.here or s.listen == 0) and old or bracketed(where, s.listen or (p.here and 0 or PORT))
		head = p:launch({ s.hosts[1] }, what)[1]
		results[1] = head
	end
	if head.why then
		warn(("%s: %s"):format(s.head, head.why))
		stop(1, "the head does not run: nothing else was started")
	end
	what.role, what.listen, what.address = "node", nil, head.address
	local rest, at = {}, {}
	for i = 2, #s.hosts do
		if not results[i].why then rest[#rest + 1] = s.hosts[i] at[#at + 1] = i end
	end
	for k, r in ipairs(p:launch(rest, what)) do
		if r.why then r.why = reach(head.address, s.head, r.why) end
		results[at[k]] = r
	end

	local nodes, cpus, gpus, bad = 0, 0, 0, 0
	local there, there_probed = {}, {}
	for i, h in ipairs(s.hosts) do
		local r = results[i]
		if r.why then
			bad = bad + 1
			warn(("%s: %s"):format(h.name, r.why))
		else
			there[#there + 1], there_probed[#there + 1] = h, probed[i]
			nodes, cpus, gpus = nodes + 1, cpus + (r.cpus or 0), gpus + (r.gpus or 0)
			if r.note and not o.quiet then warn(("%s: %s"):format(h.name, r.note)) end
			if r.was and r.was ~= p.build and not o.quiet then
				warn(("%s: its node is of another build, %s, this is %s; end and start it to change that"):format(h.name, r.was, p.build))
			end
			if o.verbose then warn(("%s: %s"):format(h.name, r.started and "started" or "ran already")) end
		end
	end
	bad = bad + met(p, there, there_probed)
	save(s, { address = p.socket and p:socket(s.hosts[1]) or head.address, key = path, store = head.address })
	if s.types then
		local ok, why = scale.start(s.name)
		if not ok then stop(125, why) end
	end
	local port = head.address:match ":(%d+)$"
	if not o.silent then print(("%s:%s\t%d nodes\t%g cpus\t%g gpus"):format(p.here and "127.0.0.1" or s.head:match "[^@]*$", port, nodes, cpus, gpus)) end
	if not o.quiet then
		warn(p.socket and ("to use it here: export ROTA_ADDRESS=%s"):format(p:socket(s.hosts[1])) or
			("to use it: rota exec -A %s -- CMD..."):format(s.name))
	end
	return bad > 0 and 1 or 0
end

function M.up(o)
	local s = wanted(o)
	if o.print then io.write(spec.write(s)) return 0 end
	if o.dry then return dry(s) end
	return up(s, o)
end

-- --- down, add, rm -----------------------------------------------------------------------------------------------------

local function busy(hosts, results)		-- what an end would lose, one line; nil
	local out = {}
	for i, r in ipairs(results) do
		if not r.why and (r.drivers or 0) > 0 then
			out[#out + 1] = ("%d program%s on %s"):format(r.drivers, r.drivers > 1 and "s" or "", hosts[i].name)
		end
	end
	return #out > 0 and table.concat(out, ", ") .. "; --force ends them" or nil
end

local function terminate(p, hosts, o, role)	-- how many failed
	local bad = 0
	for i, r in ipairs(p:terminate(hosts, { force = o.force, purge = o.purge, role = role })) do
		if r.why then
			bad = bad + 1
			warn(("%s: %s"):format(hosts[i].name, r.why))
		end
	end
	return bad
end

-- --- the autoscaler ------------------------------------------------------------------------------------------------------

local function elastic(known, o)		-- what its providers are told
	local s, made = known.spec, {}
	local f <close> = io.open(known.key)
	return { name = s.name, spec = s, key = known.key, text = f and f:read "a", address = known.store, provider = function(name)
		made[name] = made[name] or provider(s, o, name)
		return made[name]
	end }
end

local function give_back(known, o)		-- all instances; how many could not be
	local s, bad, env = known.spec, 0, elastic(known, o)
	scale.stop(s.name)
	for _, type in ipairs(s.types) do
		local p = require("rota.scale." .. type.provider)(env)
		local ids, why = p:list(type)
		if not ids then
			bad = bad + 1
			warn(("type %s: %s"):format(type.name, why))
		end
		for _, id in ipairs(ids or {}) do
			local ok
			ok, why = p:terminate(type, id, o)
			if not ok then
				bad = bad + 1
				warn(why)
			end
		end
	end
	if bad == 0 then scale.remove(s.name) end
	return bad
end

function M.scaler(o)
	local known = saved(o.cluster)
	if not known.spec.types then stop(2, ("'%s' has no types of nodes that could come"):format(o.cluster)) end
	if not core.lock(scale.dir(o.cluster), true) then stop(125, "it runs already") end
	return require "rota.scale"(elastic(known, o))
end

local function request(o)			-- "4*cpus=1,ssd=2"
	local offers, parts = o.offers, {}
	local need = { cpus = offers.cpus or 1, gpus = offers.gpus or 0 }
	for k, v in pairs(offers.resources or {}) do need[k] = v end
	for k, v in pairs(need) do if v > 0 then parts[#parts + 1] = ("%s=%.15g"):format(k, v) end end
	if offers.memory then parts[#parts + 1] = ("memory=%d"):format(spec.bytes(offers.memory)) end
	table.sort(parts)
	return ("%d*%s\n"):format(o.count, table.concat(parts, ","))
end

function M.scale(o)
	local known = saved(o.cluster)
	if not known.spec.types then stop(2, ("'%s' has no types of nodes that could come: see rota-cluster(5)"):format(o.cluster)) end
	if o.count then
		local ok, why = core.write(scale.dir(o.cluster) .. "/request", o.count > 0 and request(o) or "")
		if not ok then stop(125, why) end
		return 0
	end
	io.write(scale.get(o.cluster, "status"))
	return 0
end

function M.down(o)
	lock()
	local known = saved(o.cluster)
	local s = known.spec
	local p = provider(s, o)
	if not o.force then
		local runs = busy(s.hosts, p:drain(s.hosts))
		if runs then stop(1, "still running: " .. runs) end
	end
	local rest = table.move(s.hosts, 2, #s.hosts, 1, {})
	local bad = s.types and give_back(known, o) or 0
	bad = bad + terminate(p, rest, o, "node")
	bad = bad + terminate(p, { s.hosts[1] }, o, "head")
	if bad > 0 then return 1 end
	os.remove(config(s.name))
	os.remove(config(s.name .. ".lua"))
	if o.purge then os.remove(known.key) end
	p:swept()
	return 0
end

local function changed(s, hosts)		-- the same cluster with other hosts
	local t = { name = s.name, provider = s.provider, head = s.head, listen = s.listen, links = s.links, types = s.given, scale = s.scale, hosts = {} }
	for _, h in ipairs(hosts) do
		local own = { h.name }
		for k, v in pairs(h) do if k ~= "name" then own[k] = v end end
		t.hosts[#t.hosts + 1] = own
	end
	local new, why = spec.of(t)
	if not new then stop(2, why) end
	return new
end

local function named(o)
	local range = require "rota.up.range"
	local list, why = range(table.concat(o.operands, ","))
	if not o.operands[1] then stop(2, "expected hosts") end
	if not list then stop(2, why) end
	return list
end

function M.add(o)
	lock()
	local s = saved(o.cluster).spec
	if s.provider == "local" then stop(2, ("the nodes of '%s' are on this machine: rota up --local N --name %s"):format(s.name, s.name)) end
	local hosts, has = table.move(s.hosts, 1, #s.hosts, 1, {}), {}
	for _, h in ipairs(hosts) do has[h.name] = true end
	for _, name in ipairs(named(o)) do
		if not has[name] then
			local h = { name = name }
			for _, k in ipairs { "user", "port", "jump", "identity" } do h[k] = s.hosts[1][k] end
			for k, v in pairs(o.offers) do h[k] = v end
			hosts[#hosts + 1] = h
		end
	end
	return up(changed(s, hosts), o)
end

function M.rm(o)
	lock()
	local known = saved(o.cluster)
	local s = known.spec
	local gone, keep, list = {}, {}, named(o)
	for _, name in ipairs(list) do gone[name] = true end
	if gone[s.head] then stop(2, ("'%s' is the head: it goes with the whole cluster, rota down -A %s"):format(s.head, s.name)) end
	local going = {}
	for _, h in ipairs(s.hosts) do
		local to = gone[h.name] and going or keep
		to[#to + 1] = h
		gone[h.name] = nil
	end
	for name in pairs(gone) do if not o.quiet then warn(("'%s' has no host '%s'"):format(s.name, name)) end end
	local p = provider(s, o)
	if not o.force then
		local runs = busy(going, p:drain(going))
		if runs then stop(1, "still running: " .. runs) end
	end
	if terminate(p, going, o, "node") > 0 then return 1 end
	save(changed(s, keep), known)
	return 0
end

-- --- ls, exec, run -------------------------------------------------------------------------------------------------------

local function everywhere(s, p, words, prefix)	-- how many failed
	local bad = 0
	local results = p:exec(s.hosts, words, function(i, text, stream)
		(stream == "out" and io.stdout or io.stderr):write(prefix and s.hosts[i].name .. ": " or "", text, "\n")
	end)
	for i, r in ipairs(results) do
		if r.why or r.status ~= 0 then
			bad = bad + 1
			if prefix then warn(("%s: %s"):format(s.hosts[i].name, r.why or ("status %d"):format(r.status))) end
		end
	end
	return bad
end

function M.exec(o)
	local s = saved(o.cluster).spec
	if not o.operands[1] then stop(2, "expected a command: rota exec -A NAME -- CMD...") end
	return everywhere(s, provider(s, o), o.operands, true) > 0 and 1 or 0
end

function M.ls(o)
	local s = saved(o.cluster).spec
	local bad = everywhere(s, provider(s, o), { "rota", "ls", table.unpack(o.operands) }, false)
	for _, why in ipairs(s.types and scale.troubles(s.name) or {}) do warn(why) end
	return bad > 0 and 1 or 0
end

function M.run(o)
	if #o.command == 0 then stop(2, "expected a command: rota run [HOST...] -- CMD...") end
	if not o.operands[1] and not o.locals then
		local list = os.getenv "SLURM_JOB_NODELIST"
		if not list or list == "" then stop(2, "expected hosts, or an allocation of Slurm") end
		o.operands = { list }
		if core.run({ { argv = { "/bin/sh", "-c", "command -v srun" } } }, {})[1].status == 0 then o.provider = "srun" end
		o.name = o.name or "slurm" .. (os.getenv "SLURM_JOB_ID" or "")
	end
	o.name = o.name or ("run%d"):format(os.time())
	local s = wanted(o)
	local quiet = o.quiet
	o.quiet, o.silent = true, true
	local ok, status = pcall(up, s, o)
	if ok and status == 0 then
		local p = provider(s, o)
		local r = p:exec({ s.hosts[1] }, { "sh", "-c", 'cd "$0" 2>/dev/null; ROTA_ADDRESS=local exec "$@"', os.getenv "PWD" or "/", table.unpack(o.command) },
			function(_, text, stream) (stream == "out" and io.stdout or io.stderr):write(text, "\n") end)[1]
		status = r.status or 125
		if r.why then warn(("%s: %s"):format(s.head, r.why)) end
	end
	local down, why = pcall(M.down, { cluster = s.name, force = true, purge = true, quiet = quiet, jobs = o.jobs })
	if not ok then error(status, 0) end
	if not down then error(why, 0) end
	return status
end

-- --- doctor ----------------------------------------------------------------------------------------------------------------

local SKEW <const> = 1			-- seconds between two clocks that nobody minds

function M.doctor(o)
	local known = o.cluster and saved(o.cluster)
	local s = known and known.spec or wanted(o)
	local p, bad = provider(s, o), 0
	local id = known and core.key(known.key)
	local function say(h, state, check, text)
		if state == "bad" then bad = bad + 1 end
		if state ~= "ok" or not o.quiet then print(("%s\t%s\t%s\t%s"):format(h.name, state, check, text)) end
	end
	for i, r in ipairs(p:doctor(s.hosts, { quiet = o.quiet, name = known and s.name })) do
		local h = s.hosts[i]
		if r.why then say(h, "bad", "ssh", (r.why:gsub("\n", "; ")))
		else
			local unfit = not p.here and fit.unfit(r)
			say(h, unfit and "bad" or "ok", "system", unfit or ("%s %s, glibc %s"):format(r.system, r.arch, r.glibc))
			local skew = tonumber(r.wall) and tonumber(r.wall) - r.at
			if skew then say(h, math.abs(skew) > SKEW and "note" or "ok", "time", ("%+.1f s from here"):format(skew)) end
			if not p.here then say(h, "ok", "tree", r.tree and p.build .. " is there" or "the programs are sent by rota up") end
			if r.runs and r.row then
				local other = r.runs ~= p.build and not p.here
				say(h, other and "note" or "ok", "version", other and ("its node is %s, this is %s"):format(r.runs, p.build) or "its node is of this build")
			elseif known then say(h, "bad", "node", "none runs there: rota up --name " .. s.name) end
			if known then say(h, r.key == id and "ok" or r.key and "bad" or "note", "key", r.key == id and id or ("%s, here it is %s"):format(r.key or "none", id or "none")) end
			for _, line in ipairs(r.lines) do
				if line:match "^bad" then bad = bad + 1 end
				print(h.name .. "\t" .. line)
			end
		end
	end
	if known then bad = bad + met(p, s.hosts, p:list(s.hosts)) end
	return bad > 0 and 1 or 0
end

-- --- key -------------------------------------------------------------------------------------------------------------------

local function show(name, path)
	local id, n = core.key(path)
	if not id then stop(125, n) end
	local made = core.run({ { argv = { "date", "-r", path, "+%F" } } }, {})[1].out:match "[^\n]*"
	print(("%s\t%s\t%s\t%s"):format(name, id, path, made))
end

-- First all accept the new key, then it is offered; the old ones end by themselves.  Nothing is started anew.
local function rotate(name, o)
	lock()
	local known = saved(name)
	local p, failed = provider(known.spec, o), {}
	local function step(until_)
		local id, why = core.rotate(known.key, until_)
		if not id then stop(125, why) end
		if p.here or p.shared then return end
		local f <close> = io.open(known.key)
		local text = f:read "a"
		for i, r in ipairs(p:rekey(known.spec.hosts, text)) do failed[i] = failed[i] or r.why end
	end
	step()
	step(os.time() + (o.grace or 3600))
	for i, h in ipairs(known.spec.hosts) do
		if failed[i] then warn(("%s: it has not got the new key: %s; repair it with: rota up --name %s"):format(h.name, failed[i], name)) end
	end
	return next(failed) and 1 or 0
end

function M.key(o)
	local name = o.operands[1] or o.cluster
	if o.rotate then
		if not name then stop(2, "expected a cluster: rota key --rotate NAME") end
		return rotate(name, o)
	end
	if name then
		show(name, io.open(config(name)) and saved(name).key or key_path(name))
		return 0
	end
	local list = core.run({ { argv = { "sh", "-c", 'cd "$0" 2>/dev/null && ls', config "" } } }, {})[1].out
	for file in list:gmatch "([^\n]+)%.key\n" do show(file, config(file .. ".key")) end
	return 0
end

-- --- the way in -----------------------------------------------------------------------------------------------------------

return function(o)
	local ok, status = xpcall(M[o.verb], function(e) return type(e) == "table" and e or { code = 125, text = debug.traceback(tostring(e)) } end, o)
	if ok then return status end
	warn(status.text)
	return status.code
end
