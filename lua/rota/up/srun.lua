-- srun: a provider whose hosts are those of the allocation of Slurm that we run in.  Slurm ends what a step leaves behind, so the step
-- that starts a node stays until the node is to end.  The hosts see our files; each node has directories of its own.
local core = require "rota.up.core"
local host = require "rota.up.host"

local held = {}				-- host -> the step that stays, while this process lives

-- what was said is enough; our input's end is the end
local stay = host.start .. [[

echo "held 1"
exec cat >/dev/null
]]

return function(o)
	local p = host.new(o)
	local state = os.getenv "XDG_STATE_HOME"
	state = (state and state ~= "" and state or os.getenv "HOME" .. "/.local/state") .. "/rota"
	local job = os.getenv "SLURM_JOB_ID" or ""

	p.shared = true			-- nothing is shipped, the key lies there
	p.reached = ":0"
	function p:argv(h, command)
		return { "srun", "-Q", "--overlap", "--jobid=" .. job, "-N1", "-n1", "-w", h.name, "/bin/sh", "-c", command }
	end
	function p:place() return core.self().prefix end
	function p:directories(h)
		return { own = "1", ROTA_UP_STATE = ("%s/%s/%s"):format(state, self.cluster, h.name),
			ROTA_UP_DIR = ("/tmp/rota-%d-%s-%s"):format(core.self().uid, job, h.name) }
	end
	function p:address(h, probed) return h.address or probed.host or h.name end
	function p:explain(h, r, text)
		if r.status == 127 and text == "" then return "cannot run 'srun': not found" end
		return (host.explain(self, h, r, text):gsub("srun: error: [^\n]*: task 0: [^\n]*", ""):gsub("^srun: error: ", ""):gsub("%s+$", ""))
	end
	function p:swept() os.remove(("%s/%s"):format(state, self.cluster)) end

	function p:launch(hosts, what)
		local opts, out, crowds = self:launching(what), {}, {}
		for i, h in ipairs(hosts) do
			local said, step = {}, { program = self:program(h, i, stay, opts) }
			step.program.hold, step.program.timeout = true, nil
			step.said = said
			step.crowd = core.begin({ step.program }, { line = function(_, text, stream) said[#said + 1] = stream == "out" and text or nil end })
			held[h.name] = step
		end
		local function ready(h)
			local step = held[h.name]
			return step.said[#step.said] == "held 1" or core.done(step.crowd)
		end
		local until_ = core.now() + opts.timeout
		for i, h in ipairs(hosts) do
			local step = held[h.name]
			while not ready(h) and core.now() < until_ do
				crowds = {}
				for _, other in pairs(held) do crowds[#crowds + 1] = other.crowd end
				core.turn(crowds, 1)
			end
			local ended = core.done(step.crowd)
			local r = ended and ended[1] or { status = 0, timeout = step.said[#step.said] ~= "held 1" }
			r.out = table.concat(step.said, "\n") .. "\n"
			if ended and r.status == 0 then r.status = 1 end
			out[i] = self:result(h, r, opts)
		end
		return host.rows(out)
	end

	function p:terminate(hosts, opts)
		local out = host.terminate(self, hosts, opts)
		for _, h in ipairs(hosts) do
			local step = held[h.name]
			if step then
				step.program.hold = nil
				for _ = 1, 10 do
					if core.done(step.crowd) then break end
					core.turn({ step.crowd }, 1)
				end
				held[h.name] = nil
			end
		end
		return out
	end
	return p
end
