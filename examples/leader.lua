#!/usr/bin/env rlua
-- leader.lua - one of several takes the lead; when it dies the next one takes over: a key bound to its process, and a watch
local rota = require "rota"

local Candidate = rota.actor{
	lead = function(self, who)		-- returns once it leads
		local kv, key = rota.kv, "example/leader"
		while true do
			local rev = kv:put(key, who, { if_rev = 0, session = true })
			if rev then return who end
			local _, at = kv:get(key)
			if at then			-- somebody leads: wait until the key goes
				for e in kv:watch(key, { from = at + 1 }) do
					if e.deleted then break end
				end
			end
		end
	end,
}
local a, b = Candidate(), Candidate()
print(rota.get(a:lead("a")), rota.kv:get "example/leader")
--> a	a	1
local next = b:lead("b")			-- waits
rota.kill(a)					-- its key goes with it
print(rota.get(next), (rota.kv:get "example/leader"))
--> b	b
