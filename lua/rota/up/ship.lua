-- ship: the built tree as one archive: what a host needs to run nodes, with the libraries that are not the C library's own.
--	files()	-> list of "path<TAB>name in the archive"; nil, why
--	build(files) -> "0.1.0-3f9a22c1...", which names the tree on the hosts
--	archive(files) -> its bytes; nil, why
local core = require "rota.up.core"
local M = {}
local self = core.self()

local programs = { "rota", "rlua", "rmap", "robj", "rstat", "rlet", "rgcs" }
-- what every host with this C library has
local libc = { libc = true, libm = true, libpthread = true, libdl = true, librt = true, libresolv = true, libutil = true, ["ld-linux-x86-64"] = true,
	["ld-linux-aarch64"] = true }

local function output(...)
	local r = core.run({ { argv = { ... } } }, { whole = true })[1]
	if r.status ~= 0 then return nil, ("'%s' failed: %s"):format((...), r.err:match "[^\n]*") end
	return r.out
end

local function tree(list, from, to)		-- the regular files below from
	local text, why = output("find", "-L", from, "-type", "f", "-print")
	if not text then return nil, why end
	local found = {}
	for path in text:gmatch "[^\n]+" do found[#found + 1] = path end
	table.sort(found)
	for _, path in ipairs(found) do list[#list + 1] = ("%s\t%s%s"):format(path, to, path:sub(#from + 1)) end
	return true
end

function M.files()
	local list, need = {}, { "ldd" }
	for _, p in ipairs(programs) do
		for _, dir in ipairs { "bin", "sbin" } do
			local path = ("%s/%s/%s"):format(self.prefix, dir, p)
			local f = io.open(path, "rb")
			if f then
				f:close()
				list[#list + 1] = ("%s\tbin/%s"):format(path, p)
				need[#need + 1] = path
				break
			end
		end
	end
	local worker = self.prefix .. "/libexec/rota/rwork"
	list[#list + 1] = worker .. "\tlibexec/rota/rwork"
	need[#need + 1] = worker
	local text, why = output(table.unpack(need))
	if not text then return nil, why end
	local seen = {}
	for name, path in text:gmatch "([^%s/]+) => (/[^%s]+) %(" do
		if not seen[name] and not libc[name:match "^[^.]+"] then
			seen[name] = true
			list[#list + 1] = ("%s\tlib/rota/%s"):format(path, name)
		end
	end
	local lost = text:match "([^%s/]+) => not found"
	if lost then return nil, ("a library is missing here: %s"):format(lost) end
	local ok
	ok, why = tree(list, self.prefix .. "/share/lua/5.4", "share/lua/5.4")
	if ok then ok, why = tree(list, self.prefix .. "/share/rota", "share/rota") end
	if not ok then return nil, why end
	return list
end

function M.build(files)
	local hash, why = core.hash(files)
	if not hash then return nil, why end
	return ("%s-%s"):format(self.version, hash:sub(1, 12))
end

function M.archive(files)
	local program = self.prefix .. "/libexec/rota/rpack"
	local r = core.run({ { argv = { program }, input = { table.concat(files, "\n") .. "\n" } } }, { whole = true })[1]
	if r.status == 127 then return nil, "this build cannot pack itself: it was made without libarchive (make deps)" end
	if r.status ~= 0 then return nil, r.err:match "[^\n]*" end
	return r.out
end

return M
