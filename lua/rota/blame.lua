-- blame - raises at the line of the script that called rota, however deep within rota's own Lua the mistake is seen
local own = debug.getinfo(1, "S").source:match "^(.*)/blame%.lua$"	-- "@…/lua/rota"; beside it is rota.lua

-- blame(message): error() with the place of the innermost function that is not rota's; what is no string goes as it is
return function(message)
	local level = 2
	while own do
		local f = debug.getinfo(level, "S")
		if not f then level = 0 break end
		if f.what ~= "C" and f.source:sub(1, #own) ~= own then break end
		level = level + 1
	end
	error(message, level)
end
