-- kv.lua - the key-value store through the Lua API: revisions, conditions, transactions, lists, watches, sessions, bounds, a store that is killed
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local core = require "rota.core"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises
local dir = T.tmp()
rota.init { address = "private", cpus = 2, store = "64M" }
local kv = rota.kv

-- put, get, del
is({ kv:get "a" }, {}, "an absent key")
local r1 = kv:put("a", 1)
is({ kv:get "a" }, { 1, r1 }, "put and get")
local r2 = kv:put("a", { x = { 1, 2.5, "s", true }, f = rota.null })
is(r2, r1 + 1, "each commit has the next revision")
is((kv:get "a").x, { 1, 2.5, "s", true }, "a table")
kv:put("f", function(x) return x + 1 end)
is(kv:get "f"(41), 42, "a function travels")
kv:put("n\0ul", ("x"):rep(100000))
is(#kv:get "n\0ul", 100000, "any bytes are a key; a long string")
is(kv:get "n", nil, "and no prefix of it")
ok(kv:del "a", "del says that it was there")
ok(not kv:del "a", "and that it was not")
is(kv:get "a", nil, "it is gone")

-- if_rev
local r = kv:put("c", 1, { if_rev = 0 })
ok(r, "if_rev 0: only if it is not there")
local none, why, have = kv:put("c", 2, { if_rev = 0 })
is({ none, have }, { nil, r }, "it is there now")
has(why, "'c' is there already, at revision " .. r, "and why says so")
ok(kv:put("c", 2, { if_rev = r }), "with its revision")
none, why = kv:put("c", 3, { if_rev = r })
has(why, "not " .. r, "an old one")
is(kv:get "c", 2, "nothing was done")
none, why = kv:del("c", { if_rev = r })
ok(not none and why:find "not", "del compares too")
has(select(2, kv:put("zz", 1, { if_rev = 5 })), "'zz' is not there", "a key that is not there has no revision")

-- transactions
local t = kv:txn { put = { ["t/1"] = 1, ["t/2"] = 2 }, del = { "c" } }
is({ select(2, kv:get "t/1"), select(2, kv:get "t/2") }, { t, t }, "one commit, one revision")
is(kv:get "c", nil, "and its deletion")
local _, _, at, key = kv:txn { if_rev = { ["t/1"] = t, ["t/2"] = 1 }, put = { ["t/1"] = 10 } }
is({ at, key }, { t, "t/2" }, "one comparison fails")
is(kv:get "t/1", 1, "and nothing is done")
ok(kv:txn { if_rev = { ["t/1"] = t, ["t/3"] = 0 }, put = { ["t/3"] = 3 } }, "all hold")

-- lists
local list, rev = kv:list "t/"
is(#list, 3, "three keys")
is({ list[1].key, list[1].value, list[1].revision, list[1].made, list[1].session }, { "t/1", 1, t, t, false }, "a row")
is(rev, select(2, kv:get "t/3"), "at the store's revision")
is(#kv:list "no/", 0, "none")
for i = 1, 3000 do kv:put(("many/%05d"):format(i), ("v"):rep(200) .. i) end
list = kv:list "many/"
local good = #list == 3000
for i, e in ipairs(list) do good = good and e.key == ("many/%05d"):format(i) and e.value == ("v"):rep(200) .. i end
ok(good, "3,000 keys come in several answers, in order")

-- watches
local w = kv:watch("w/")
is(w:next(0.01), nil, "nothing yet")
kv:put("v/x", 0)
kv:put("w/x", 1)
kv:txn { put = { ["w/y"] = 2 }, del = { "w/x", "w/none" } }
local e = w:next(5)
is({ e.key, e.value, e.deleted }, { "w/x", 1, nil }, "a change")
local got = { [w:next(5).key] = 1, [w:next(5).key] = 1 }
is(got, { ["w/x"] = 1, ["w/y"] = 1 }, "both of a transaction; no other key")
is(w:next(0.01), nil, "no more")
local from = select(2, kv:list "") + 1
for i = 1, 500 do kv:put("w/" .. i, i) end
local n = 0
for ev in kv:watch("w/", { from = from, timeout = 0.05 }) do n = n + 1 good = good and ev.value == n end
is(n, 500, "from an earlier revision: all of them")
ok(good, "in order")
has(raises("is not there yet", "a revision of the future", function() kv:watch("w/", { from = 1 << 50 }):next(5) end).message, "revision", "is refused")
local waker = rota.task(function(k) rota.sleep(0.05) rota.kv:put(k, "late") end)
w = kv:watch "late/"
waker "late/1"
is(w:next(10).value, "late", "a watch waits for another process")
w:close()
local many = {}
for i = 1, 100 do many[i] = kv:watch("m/" .. i .. "/") many[i]:next(0) end
for i = 1, 100 do kv:put("m/" .. i .. "/x", i) end
for i = 1, 100 do good = good and many[i]:next(5).value == i end
ok(good, "100 watches, each its own prefix")
for i = 1, 100 do many[i]:close() end

-- in tasks: a lock taken by many, a counter that loses nothing
local add = rota.task(function(key)
	while true do
		local v, at = rota.kv:get(key)
		if rota.kv:put(key, (v or 0) + 1, { if_rev = at or 0 }) then return end
	end
end)
local refs = {}
for i = 1, 200 do refs[i] = add "counter" end
rota.get(refs)
is(kv:get "counter", 200, "200 tasks add, none is lost")

-- sessions
local Holder = rota.actor { take = function(self, k, s) return rota.kv:put(k, "held", { session = s, if_rev = 0 }) and true end,
	die = function() os.exit(3) end, pid = function() local f = io.open "/proc/self/stat" local p = f:read "n" f:close() return p end }
local h = Holder()
w = kv:watch "s/"
ok(rota.get(h:take("s/lock", true)), "an actor takes a lock")
is(w:next(5).value, "held", "it is seen")
ok(kv:list "s/"[1].session, "and bound")
local other = Holder()
is(rota.get(other:take("s/lock", true)), nil, "another one does not get it")
os.execute("kill -9 " .. rota.get(h:pid()))
e = w:next(10)
is({ e.key, e.deleted }, { "s/lock", true }, "killed: the key goes at once")
ok(rota.get(other:take("s/lock", true)), "now it gets it")
kv:put("s/lock", "mine")
ok(not kv:list "s/"[1].session, "put without a session: it lasts")
rota.stop(other)
is(kv:get "s/lock", "mine", "also when its process of before is gone")
ok(rota.get(Holder():take("s/job", "job")), "bound to the job")
T.collect()

-- what cannot be
raises("255 bytes", "a long key", kv.put, kv, ("k"):rep(256), 1)
ok(kv:put(("k"):rep(255), 1), "255 bytes can be")
raises("at least one byte", "no key", kv.put, kv, "", 1)
raises("nil is no value", "nil", kv.put, kv, "x", nil)
raises("the nodes' own", "system keys", kv.put, kv, "rota/x", 1)
raises("at most 1048576 bytes", "a large value", kv.put, kv, "x", ("x"):rep(2 << 20))
raises("has a ref in it", "a ref", kv.put, kv, "x", { rota.put(1) })
raises("no option 'ttl'", "an unknown option", kv.put, kv, "x", 1, { ttl = 1 })
raises("'session' is true", "an unknown session", kv.put, kv, "x", 1, { session = "node" })
raises("a key is a string", "a key of another kind", kv.txn, kv, { put = { [1] = 1 } })

-- a bounded log: a watch that comes too late is told to list again
from = select(2, kv:list "x/") + 1
local big = ("b"):rep(200000)
for i = 1, 120 do kv:put("big/" .. i % 3, big) end
local late = raises("list again", "what the log has forgotten", function() kv:watch("big/", { from = from }):next(1) end)
is(late and late.code, "compacted", "has the code 'compacted'")

-- a lasting node: the store is durable, sessions end with their nodes and processes
local env = ("ROTA_DIR='%s/d' XDG_STATE_HOME='%s/state' "):format(dir, dir)
local function sh(cmd)
	local p = io.popen("exec 2>&1; export " .. env .. "; " .. cmd)
	local out = p:read "a"
	p:close()
	return (out:gsub("\n$", ""))
end
os.execute(("mkdir -p -m 700 '%s/d' '%s/state'"):format(dir, dir))
local function lua(text) return sh(("rlua -e '%s' 2>&1"):format(text)) end
has(sh "rota up >/dev/null && echo up", "up", "a lasting node")
is(lua [[local rota = require "rota" rota.kv:put("d/1", {v = 7}) rota.kv:put("d/s", 1, {session = true}) rota.kv:put("d/j", 1, {session = "job"}) print(#rota.kv:list "d/")]], "3", "three keys")
is(lua [[local rota = require "rota" local l, rev = rota.kv:list "d/" print(#l, l[1].value.v)]], "1\t7", "those of the session and of the job went with their process")
local function daemon(what)		-- its pid: the one of this directory
	return sh(([[for p in /proc/[0-9]*; do read -r c 2>/dev/null <$p/comm && [ "$c" = %s ] && grep -qzFx "ROTA_DIR=$ROTA_DIR" $p/environ && echo ${p#/proc/}; done 2>/dev/null]]):format(what))
end
local gcs = daemon "rgcs"
ok(gcs:match "^%d+$", "the control store is a process", gcs)
local out = lua(([[local rota = require "rota"
	local kv = rota.kv
	local last = kv:put("k/0", 0)
	os.execute("kill -9 %s")
	local w = kv:watch("k/", {from = last + 1})
	local lost = 0
	for i = 1, 20 do
		while true do
			local ok, rev = pcall(kv.put, kv, "k/" .. i, i)
			if ok then break end
			lost = lost + 1
		end
	end
	local seen = 0
	for i = 1, 20 do local e = w:next(20) if e and e.key == "k/" .. i then seen = seen + 1 end end
	print(seen, #kv:list "k/", lost <= 1, kv:get "d/1".v)]]):gsub("\n%s*", " "):format(gcs))
is(out, "20\t21\ttrue\t7", "the control store is killed: nothing that was answered is lost, the watch goes on")
local rlet = daemon "rlet":gsub("%s+", " ")		-- with its keeper
out = sh(([[rlua -e 'local rota = require "rota" rota.kv:put("e/last", 1) rota.kv:put("e/s", 1, {session = true}) os.execute("kill -9 %s")'; rota up >/dev/null 2>&1; echo up]]):format(rlet))
has(out, "up", "the node is killed and made again")
is(lua [[local rota = require "rota" local w = rota.kv:watch("e/") local l = rota.kv:list "e/" if #l == 2 then local e = w:next(20) print(e.key, e.deleted) else print("e/s", true) end print(rota.kv:get "e/last", rota.kv:get "e/s")]],
	"e/s\ttrue\n1\tnil", "a session of the dead node ends, what lasts is there")
sh "rota down --force; rota down"
T.done()
