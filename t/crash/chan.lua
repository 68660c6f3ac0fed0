-- chan.lua [SEED] - the daemon is killed again and again: channels between programs that live go on, those to workers say that they died
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local C = require "common"
local T, rota = C.T, C.rota
rota.init { cpus = 4, store = "16M", namespace = "chans" }

local function daemon() return rota.nodes()[1].pid end
local Box = rota.actor {
	put = function(self, ...) self.v = { ... } return true end,
	get = function(self) return table.unpack(self.v) end,
}
local ask, asked = rota.channel { bytes = "8K" }
local reply, replies = rota.channel { bytes = "8K" }
local box = Box:with { cpus = 0, name = "box" } ()
assert(rota.get(box:put(asked, reply)))
local other = io.popen(("exec rlua %schanother.lua 2>&1"):format(arg[0]:match "^(.*/)"), "r")
T.is(other:read "l", "there", "another program has the other ends")

local take = rota.task(function(r, path)
	r:recv()
	io.open(path, "w"):close()
	return r:recv()
end):with { retries = 0 }
local flag = os.tmpname()
local n = 0
for round = 1, C.rounds(6, 60) do
	os.remove(flag)
	local w, r = rota.channel()
	local way, there = rota.channel()		-- its reading end is on its way when the daemon dies
	local task = take(r, flag)
	w:send(1)
	while not io.open(flag) do rota.sleep(0.005) end
	local sent, got, bad = n, n, 0
	for _ = 1, math.random(30) do sent = sent + 1 ask:send { sent, ("x"):rep(math.random(300)) } end
	C.kill(daemon())
	for _ = 1, math.random(30) do sent = sent + 1 ask:send { sent, ("x"):rep(math.random(20000)) } end
	while got < sent do
		got = got + 1
		if replies:recv(30) ~= got then bad = bad + 1 end
	end
	n = sent
	T.ok(bad == 0, ("round %d: all that is said is answered, in order"):format(round), bad)
	local done, e = pcall(function() for _ = 1, 10000 do w:send(("y"):rep(1000), 30) end end)
	T.ok(not done and e.code == "crashed", "one to a worker says that that died", done, e)
	rota.pget(task, 30)			-- it may have got the next one before it was killed
	way:send "hello"
	T.is(rota.get(rota.task(function(end_) local v = end_:recv(30) end_:close() return v end)(there), 30), "hello", "one made before, passed on after")
	way:close()
	w:close()
end
ask:close()
T.is(replies:recv(30), nil, "the end")
replies:close()
local text = other:read "a"
T.ok(other:close() and text:match "fine", "the other program", text)
os.remove(flag)

-- one whose process dies while there is no daemon
local to, from = rota.channel()
assert(rota.get(Box:with { cpus = 0, name = "box", reuse = true } ():put(from, nil)))
local p = io.popen(("echo $$; exec rlua %schanother.lua once 2>&1"):format(arg[0]:match "^(.*/)"), "r")
local pid = p:read "n"
p:read "l"
T.is(p:read "l", "there", "a third program")
to:send "x"
T.is(p:read "l", "x", "has an end")
local d = daemon()
local keeper = io.open("/proc/" .. d .. "/stat"):read "a":match "^%d+ %b() %a (%d+)"
os.execute(("kill -STOP %s && kill -9 %d %d && kill -CONT %s"):format(keeper, d, pid, keeper))
p:close()
local done, e = pcall(function() for _ = 1, 10000 do to:send(("y"):rep(1000), 30) end end)
T.ok(not done and e.code == "crashed", "died with the daemon: its channel says so", done, e)
to:close()
local function segments(of)
	local h = io.popen(("ls -l /proc/%s/fd 2>/dev/null | grep -c rota-chan"):format(of))
	local k = h:read "n"
	h:close()
	return k
end
local t0 = rota.now()
while segments(keeper) + segments(daemon()) > 0 and rota.now() - t0 < 10 do rota.sleep(0.02) end
T.is(segments(keeper) + segments(daemon()), 0, "no channel is left in the daemon or its keeper")
T.done()
