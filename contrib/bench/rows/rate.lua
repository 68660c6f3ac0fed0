-- rate(name, f, n [, seconds]): prints how many operations a second f(n) does, n at a time, once warm
local now = require "rota".now

return function(name, f, n, seconds)
	f(n)
	local start, took, ops = now(), 0, 0
	repeat
		f(n)
		ops, took = ops + n, now() - start
	until took >= (seconds or 0.5)
	print(("%s %.0f"):format(name, ops / took))
end
