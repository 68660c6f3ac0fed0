#!/usr/bin/env rlua
-- wordindex.lua [LIST [OUT]] - counts the words of every manual page, licence and changelog text of this machine
-- LIST: names of documents, each ended by NUL; without it they are looked for.  OUT: all counts, "word<TAB>count".
-- A task reads a batch of documents and splits its counts by word; an actor a part adds them up.  The counts go
-- straight from the tasks to the actors: the driver only passes references on.
local rota = require "rota"

local PARTS, BATCH, TOP = 4, 32, 12

local FIND = [[LC_ALL=C find /usr/share/man /usr/share/common-licenses /usr/share/doc -type f -readable \
	\( ! -path '/usr/share/doc/*' -o -name copyright -o -name 'changelog*' \) -print0 2>/dev/null]]

local function documents(list)
	local f = assert(list and io.open(list, "rb") or not list and io.popen(FIND), "cannot read the list of documents")
	local names = {}
	for name in f:read "a":gmatch "%Z+" do names[#names + 1] = name end
	f:close()
	return names
end

local newline = os.tmpname()			-- read after each document, so that no word runs into the next one
assert(io.open(newline, "w")):write "\n":close()

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- the words of a batch: PARTS tables of counts; a word is in the same one everywhere
local count = rota.task(function(batch)
	local command = { "exec zcat -f" }
	for _, name in ipairs(batch) do command[#command + 1] = quote(name) .. " " .. newline end
	local f = assert(io.popen(table.concat(command, " ")))
	local text, n, parts = f:read "a":lower(), {}, {}
	f:close()
	for word in text:gmatch "%a+" do n[word] = (n[word] or 0) + 1 end
	for p = 1, PARTS do parts[p] = {} end
	for word, k in pairs(n) do parts[(#word * 31 + word:byte() + word:byte(-1)) % PARTS + 1][word] = k end
	return table.unpack(parts)
end):with{ returns = PARTS, name = "count" }

local Part = rota.actor{
	new = function(self) self.n = {} end,
	add = function(self, counts)
		local n = self.n
		for word, k in pairs(counts) do n[word] = (n[word] or 0) + k end
	end,
	counts = function(self) return self.n end,
}

--- progress: a bar on a terminal, else a line a tenth

local terminal = os.execute "test -t 2"
local tenth = 0
local function progress(done, total)
	if terminal then
		local n = done * 40 // total
		io.stderr:write(("\r[%s%s] %d%%%s"):format(("#"):rep(n), ("."):rep(40 - n), done * 100 // total,
		    done == total and "\r\27[K" or ""))
	elseif done * 10 // total > tenth then
		tenth = done * 10 // total
		io.stderr:write(("%d%%\n"):format(tenth * 10))
	end
end

--- the driver

local names = documents(arg[1])
if #names == 0 then error("no documents found", 0) end
print(("%d documents"):format(#names))
rota.init()
local start, parts, adds = rota.now(), {}, {}
for p = 1, PARTS do parts[p] = Part() end
for i = 1, #names, BATCH do
	local counts = { count(table.move(names, i, math.min(i + BATCH - 1, #names), 1, {})) }
	for p = 1, PARTS do adds[#adds + 1] = parts[p]:add(counts[p]) end
end
local total, done = #adds, 0
for _ in rota.each(adds) do
	done = done + 1
	progress(done, total)
end
local all, words, top = {}, 0, {}
for p = 1, PARTS do
	for word, k in pairs(rota.get(parts[p]:counts())) do
		all[word], words, top[#top + 1] = k, words + k, word
	end
end
local took = rota.now() - start
os.remove(newline)

table.sort(top, function(a, b) return all[a] > all[b] or all[a] == all[b] and a < b end)
for i = 1, math.min(TOP, #top) do print(("%9d %s"):format(all[top[i]], top[i])) end
print(("%d words, %d different, in %.1f s"):format(words, #top, took))
print(("%.0f documents/s, %.0f tasks/s"):format(#names / took, (total + total // PARTS) / took))
if arg[2] then
	local f = assert(io.open(arg[2], "w"))
	table.sort(top)
	for _, word in ipairs(top) do assert(f:write(word, "\t", all[word], "\n")) end
	assert(f:close())
end
