-- range: host names with ranges, as Slurm writes them: node[01-04] is node01 node02 node03 node04, n[1,3-5] is n1 n3 n4 n5,
-- a,b[1-2] is a b1 b2.  Returns a function: text -> list of names, or nil and why.  At most 10,000.
local LIMIT <const> = 10000

-- the pieces between commas that are not in brackets
local function split(text)
	local pieces, depth, from = {}, 0, 1
	for at = 1, #text do
		local c = text:sub(at, at)
		if c == "[" then depth = depth + 1 elseif c == "]" then depth = depth - 1 end
		if depth < 0 or depth > 1 then return nil, ("'%s': brackets do not match"):format(text) end
		if c == "," and depth == 0 then
			pieces[#pieces + 1] = text:sub(from, at - 1)
			from = at + 1
		end
	end
	if depth ~= 0 then return nil, ("'%s': a bracket is not closed"):format(text) end
	pieces[#pieces + 1] = text:sub(from)
	return pieces
end

local function numbers(inside, text)			-- "1,3-5" -> { "1", "3", "4", "5" }
	local out = {}
	for part in (inside .. ","):gmatch("([^,]*),") do
		local lo, hi = part:match("^(%d+)%-(%d+)$")
		if not lo then lo = part:match("^%d+$") hi = lo end
		if not lo or #lo > 9 or #hi > 9 then return nil, ("'%s': '%s' is no range, as 1-4"):format(text, part) end
		if tonumber(lo) > tonumber(hi) then return nil, ("'%s': '%s' goes backwards"):format(text, part) end
		if #out + tonumber(hi) - tonumber(lo) >= LIMIT then return nil, ("'%s': more than %d hosts"):format(text, LIMIT) end
		for i = tonumber(lo), tonumber(hi) do out[#out + 1] = ("%0" .. #lo .. "d"):format(i) end
	end
	return out
end

local function expand(piece, text, out)
	local before, inside, after = piece:match("^([^%[]*)%[([^%]]*)%](.*)$")
	if not before then
		-- a name, an address, an alias of ssh; never what ssh or a shell would take for something else
		if not piece:match("^[%w_][%w_.:@-]*$") then return nil, ("'%s' is no name of a host"):format(piece) end
		if #out >= LIMIT then return nil, ("'%s': more than %d hosts"):format(text, LIMIT) end
		out[#out + 1] = piece
		return true
	end
	local list, why = numbers(inside, text)
	if not list then return nil, why end
	for _, n in ipairs(list) do
		local ok, whynot = expand(before .. n .. after, text, out)
		if not ok then return nil, whynot end
	end
	return true
end

return function(text)
	local pieces, why = split(text)
	if not pieces then return nil, why end
	local out = {}
	for _, piece in ipairs(pieces) do
		local ok, whynot = expand(piece, text, out)
		if not ok then return nil, whynot end
	end
	return out
end
