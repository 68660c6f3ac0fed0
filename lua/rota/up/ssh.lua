-- ssh: a provider whose hosts are reached by ssh: libexec/rota/rssh where it was built, which knows when to leave it to the
-- ssh program; else that one, or the one that ROTA_SSH names
local core = require "rota.up.core"
local host = require "rota.up.host"

local function executable(path)
	local r = core.run({ { argv = { "/bin/sh", "-c", '[ -x "$0" ]', path } } }, {})
	return r[1].status == 0
end

return function(o)
	local p = host.new(o)
	local named = os.getenv "ROTA_SSH"
	local own = core.self().prefix .. "/libexec/rota/rssh"
	local program = named and named ~= "" and named or executable(own) and own or "ssh"

	p.reached = (":%d"):format(o.links or 7412)	-- where other nodes reach one
	function p:argv(h, command)
		local a = { program, "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10" }
		for _, x in ipairs { { "-l", h.user }, { "-p", h.port }, { "-J", h.jump }, { "-i", h.identity } } do
			if x[2] then a[#a + 1] = x[1] a[#a + 1] = tostring(x[2]) end
		end
		a[#a + 1] = "--"
		a[#a + 1] = h.name
		a[#a + 1] = command
		return a
	end

	-- ssh's own words, in ours
	function p:explain(h, r, text)
		if r.status == 127 and text == "" or r.status == 127 and text:find "No such file" then
			return ("cannot run '%s': not found; install openssh-client, or name a program with ROTA_SSH"):format(program)
		end
		if r.status ~= 255 then return host.explain(self, h, r, text) end
		if text:find "Host key verification failed" or text:find "host key not known" then
			if text:find "HAS CHANGED" or text:find "changed" then
				return ("host key differs from the one in known_hosts: it is another machine, or was set up again; look, then: ssh-keygen -R %s"):format(h.name)
			end
			return ("host key not known: run 'ssh %s' once"):format(h.name)
		end
		local tried = text:match "Permission denied %(([^\n]*)%)"
		if tried then return ("permission denied (tried %s)"):format(tried) end
		text = text:match "([^\n]*)$":gsub("^ssh: ", "")
		return text ~= "" and text or "ssh ended with status 255"
	end
	function p:address(h, probed) return h.address or probed.server or h.name end
	function p:swept() end
	return p
end
