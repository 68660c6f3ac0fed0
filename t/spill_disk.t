#!/bin/sh
# spill_disk.t - the disk that objects are moved to: nothing stays there, it is never filled, and what fails on it is said and survived
. "${0%/*}/lib.sh"

# a store of 32 MiB, objects of 4 MiB each, as many as the first argument says; then what the second one does
cat >"$TMP/fill.lua" <<'END'
local rota = require "rota"
local many, how = tonumber(arg[1]), arg[2]
rota.init { address = "private", store = "32M", cpus = 1 }
local refs, why = {}, nil
for i = 1, many do
	local good, e = pcall(rota.put, string.char(64 + i % 26):rep(4 << 20))
	if not good then why = e break end
	refs[i] = e
end
if why then print(#refs >= 5 and "some" or #refs, tostring(why)) end
if how == "kill" then
	local rlet = rota.nodes()[1].pid
	print(#io.popen("find '" .. os.getenv "ROTA_SPILL" .. "' -type f"):read "a")
	os.execute("kill -KILL $(ps -o ppid= " .. rlet .. ")")	-- the keeper: nobody takes over
	os.execute("timeout 60 tail -s 0.02 --pid=" .. rlet .. " -f /dev/null")	-- rlet dies after it, and still serves until then
	print(pcall(rota.get, refs[1], 30))
end
local function right(i) return rota.get(refs[i], { as = "string" }) == string.char(64 + i % 26):rep(4 << 20) end
if how == "read" then
	local good = 0
	for i = 1, #refs do good = good + (right(i) and 1 or 0) end
	print(good == #refs)
end
if how == "again" then
	local v, e = rota.pget(refs[1])			-- both are full: it may not come back, but then that is said
	print(v and right(1) or e.code == "full")
	for i = #refs - 4, #refs do refs[i]:free() refs[i] = nil end
	v = nil
	collectgarbage()
	local good = 0
	for i = 1, #refs do good = good + (right(i) and 1 or 0) end
	print(good == #refs and "room again" or good)
end
END
fill() { timeout 100 rlua "$TMP/fill.lua" "$@" 2>&1; }
ROTA_SPILL=$TMP/spill
export ROTA_SPILL

check 'more than the store comes back from the disk' prints true fill 25 read
check 'the directory was given: it stays, and is empty' prints '' ls -A "$TMP/spill"
check 'only we can look into it' prints drwx------ sh -c 'ls -ld "$ROTA_SPILL" | cut -c 1-10'
check 'files have no names; a killed node leaves nothing' prints '0
false	the node died' fill 25 kill
check 'really nothing' prints '' ls -A "$TMP/spill"

mkdir -p "$TMP/older" && : >"$TMP/older/rota-spill-1-0" && : >"$TMP/older/mine" && ln -s mine "$TMP/older/rota-spill-2-0"
others=
[ "$(id -u)" != 0 ] || { : >"$TMP/older/rota-spill-3-0"; chown 33 "$TMP/older/rota-spill-3-0"; others='
rota-spill-3-0'; }
check "what a system without such files could leave is removed, and nothing else, another user's neither" prints "true
mine
rota-spill-2-0$others" sh -c 'ROTA_SPILL=$TMP/older; export ROTA_SPILL; timeout 100 rlua "$TMP/fill.lua" 25 read && ls -A "$TMP/older"'

# each of these waits in vain for room, as long as a put does: side by side
ROTA_SPILL_SHARE=1 fill 25 read >"$TMP/guard" &
ROTA_SPILL=/proc/nowhere fill 25 read >"$TMP/nowhere" &
mkdir "$TMP/small"
small=
if unshare -rm mount -t tmpfs none "$TMP/small" 2>/dev/null; then
	small=1		# a disk of 48 MB, then there is room again
	unshare -rm sh -c 'mount -t tmpfs -o size=48M none "$TMP/small" && ROTA_SPILL=$TMP/small ROTA_SPILL_SHARE=95 \
		exec timeout 100 rlua "$TMP/fill.lua" 40 again' >"$TMP/fits" 2>&1 &
fi
wait
told() {		# told FILE WHY RIGHT
	grep -q "^some	.*$2" "$1" && grep -qx true "$1" && grep -qx "$3" "$1" || { cat "$1"; return 1; }
}
check 'a disk that is full enough is not filled; the message names it, and what was there is right' told "$TMP/guard" \
	"the object store is full.*the disk of '$TMP/spill' is [0-9]* % full, and spilling stops at 1 %" true
check 'a directory that cannot be made: the same' told "$TMP/nowhere" "cannot spill to '/proc/nowhere'" true
[ -z "$small" ] ||
	check 'a small disk: what fits is right, the rest fails, and goes on once there is room' told "$TMP/fits" 'the object store is full' 'room again'
done_testing
