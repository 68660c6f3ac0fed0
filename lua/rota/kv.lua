-- kv - rota.kv, the key-value store: revisions, transactions, watches.  The manual is rota-lua(7).
local core = require "rota.core"
local blame = require "rota.blame"
local check = require "rota.options"

local kv = {}

local sessions = { [false] = 0, [true] = 1, process = 1, job = 2 }

local function key_of(self, key, call)
	if self ~= kv then blame(("call it with a colon: kv:%s(…)"):format(call)) end
	if type(key) ~= "string" then blame(("kv:%s: a key is a string, got %s"):format(call, type(key))) end
	return key
end

local function options(given, call)
	given = check("kv", given or {}, nil, "kv:" .. call)
	return given.if_rev, sessions[given.session or false]
end

local function conflict(key, have, want)
	if have == 0 then return nil, ("kv: '%s' is not there"):format(key), 0 end
	if want == 0 then return nil, ("kv: '%s' is there already, at revision %d"):format(key, have), have end
	return nil, ("kv: '%s' is at revision %d, not %d"):format(key, have, want), have
end

-- the value and its revision; nil if it is absent
function kv:get(key) return core.kv_get(key_of(self, key, "get")) end

-- the new revision; with if_rev, and another one there: nil, why, the one that is there
function kv:put(key, value, given)
	key_of(self, key, "put")
	local if_rev, session = options(given, "put")
	if value == nil then blame("kv:put: nil is no value; kv:del(key) removes one") end
	local ok, rev, _, at, have = core.kv_txn(if_rev and { [key] = if_rev } or {}, { [key] = value }, {}, session)
	if ok then return rev end
	return conflict(at, have, if_rev)
end

-- was it there?  with if_rev, and another one there: nil, why, the one that is there
function kv:del(key, given)
	key_of(self, key, "del")
	local if_rev = options(given, "del")
	local ok, _, changed, at, have = core.kv_txn(if_rev and { [key] = if_rev } or {}, {}, { key })
	if ok then return changed > 0 end
	return conflict(at, have, if_rev)
end

-- a list of { key=, value=, revision=, made=, session= } in order of the keys, and the revision of the store
function kv:list(prefix) return core.kv_list(key_of(self, prefix or "", "list")) end

-- txn{ if_rev = { k = revision }, put = { k = value }, del = { k }, session = }: the new revision; else nil, why, revision, key
function kv:txn(t)
	if type(t) ~= "table" then blame("kv:txn: a table is expected, as {put={k=v}}, got " .. type(t)) end
	for k in pairs(t) do
		if k ~= "if_rev" and k ~= "put" and k ~= "del" and k ~= "session" then
			blame(("kv:txn: no field '%s'; it has if_rev, put, del and session"):format(tostring(k)))
		end
	end
	local _, session = options({ session = t.session }, "txn")
	local ok, rev, _, at, have = core.kv_txn(t.if_rev or {}, t.put or {}, t.del or {}, session)
	if ok then return rev end
	local _, why = conflict(at, have, t.if_rev[at])
	return nil, why, have, at
end

--- watches

local Watch = {}
Watch.__index = Watch

-- the next change, or nil when the time is up; raises an error with code "compacted" if the store has forgotten it
function Watch:next(timeout)
	local list = self.list
	if self.at > #list then
		local more, next = self.core:next(timeout)
		if not more then return nil end
		self.list, self.at, self.from, list = more, 1, next, more
	end
	local e = list[self.at]
	list[self.at] = false
	self.at = self.at + 1
	return e
end

function Watch:close() self.core:close() end
Watch.__close = Watch.close
function Watch.__call(w) return w:next(w.timeout) end

-- watch(prefix, { from=, timeout= }): for e in … do, each e = { key=, value=, revision= } or { key=, deleted=true, revision= }
function kv:watch(prefix, given)
	key_of(self, prefix, "watch")
	given = check("watch", given or {}, nil, "kv:watch")
	local from = given.from
	if not from then
		local _, rev = core.kv_list(prefix .. "\0\0")		-- nothing is there: the revision alone
		from = rev + 1
	end
	return setmetatable({ core = core.kv_watch(prefix, from), list = {}, at = 1, from = from, timeout = given.timeout }, Watch)
end

return kv
