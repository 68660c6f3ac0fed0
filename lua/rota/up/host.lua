-- host: what rota up does on one host, as text for its sh, and what a provider makes of it for many at once.
--
-- A provider (up/local.lua, up/ssh.lua) is a way to run a program on a host: argv(host, command) gives the words of a program
-- here that runs the text `command` by the host's sh with our input as its own.  From that come the verbs
--	list(hosts)			what is there: { arch=, glibc=, tree=, state=, drivers=, ... } or { why= }
--	launch(hosts, what)		starts what is missing there; results { name=, cpus=, gpus= } or { why= }
--	ready(hosts)			what serves: the same results
--	drain(hosts)			what runs there, which an end would lose: { drivers=N } or { why= }
--	terminate(hosts, opts)		ends what runs there
-- Each takes a list of hosts and gives a list of results in the same order; a host that fails is a result with why, the rest goes on.
local core = require "rota.up.core"
local M = {}
M.__index = M

local function quoted(s) return "'" .. tostring(s):gsub("'", [['\'']]) .. "'" end
M.quoted = quoted

-- the same first lines for all: where things are on the host
local prelude = [[
umask 077
case ${ROTA_UP_STATE-} in ?*) XDG_STATE_HOME=$ROTA_UP_STATE; export XDG_STATE_HOME ;; esac
case ${ROTA_UP_DIR-} in ?*) ROTA_DIR=$ROTA_UP_DIR; export ROTA_DIR; mkdir -p "$ROTA_DIR" ;; esac
unset ROTA_ADDRESS ROTA_NAMESPACE ROTA_KEY ROTA_UP_STATE ROTA_UP_DIR
state=${XDG_STATE_HOME:-$HOME/.local/state}/rota
conf=${XDG_CONFIG_HOME:-$HOME/.config}/rota
data=${XDG_DATA_HOME:-$HOME/.local/share}/rota
fail() { printf '%s\n' "$*" >&2; exit 1; }
tree=${tree:-$data/$build}
PATH=$tree/bin:$PATH
export PATH
node() { ROTA_ADDRESS=local rstat nodes -o "$1" 'address~^unix:' 2>/dev/null; }
store() { pid=$(cat "$state/rgcs.pid" 2>/dev/null) && grep -qs '^Name:.rgcs$' "/proc/$pid/status" && ! grep -qs '^State:.Z' "/proc/$pid/status"; }
whole() { (cd "$tree" && sha256sum -c complete) >/dev/null 2>&1; }	# as it was sent
end_store() { store && kill "$pid" && while store; do sleep 0.02; done; }
]]

local probe = [[
set -- ${SSH_CONNECTION-}
echo "server ${3-}"
echo "system $(uname -s)"
echo "arch $(uname -m)"
echo "glibc $(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/.* //')"
echo "host $(uname -n)"
echo "home $HOME"
if [ -x "$tree/bin/rlet" ] && { [ "$tree" != "$data/$build" ] || whole; }; then echo "tree $tree"; fi
d=$data; while [ ! -d "$d" ]; do d=${d%/*}; [ -n "$d" ] || d=/; done
echo "free $(df -Pk "$d" 2>/dev/null | awk 'NR == 2 { print $4 }')"
echo "cluster $(cat "$state/cluster" 2>/dev/null)"
[ ! -x "$tree/bin/rstat" ] || echo "row $(node name,cpus,gpus,drivers)"
! store || echo "store $pid"
true
]]

-- the archive is the rest of the input; a tree has its name once it is whole.  What runs from a damaged one goes on
local unpack = [[
mkdir -p "$data" || exit 1
new=$data/.$build.$$
trap 'rm -rf "$new" "$new.sums"' EXIT
mkdir "$new" && tar -xzf - -C "$new" && (cd "$new" && find . -type f -exec sha256sum {} + >"$new.sums" && mv "$new.sums" complete) ||
	fail "cannot unpack into '$data'"
whole || { rm -rf "$tree"; mv "$new" "$tree"; } || exit 1
"$tree/bin/rlet" -V >/dev/null || fail "the programs do not run there"
]]

-- the key is the rest of the input, unless it lies there
local start = [[
was=$(cat "$state/cluster" 2>/dev/null) row=$(node name,cpus,gpus)
if [ -n "$row" ] && [ "${was%% *}" != "$cluster" ]; then
	fail "another node was started there just now"
fi
mkdir -p "$state" || exit 1
case $sent in 1)
	mkdir -p "$conf"
	key=$conf/$cluster.key
	cat >"$key.new" && mv "$key.new" "$key" || fail "cannot write '$key'" ;;
esac
scope=
[ -z "${SSH_CONNECTION-}" ] || ! systemd-run --user --scope -q true >/dev/null 2>&1 </dev/null || scope='systemd-run --user --scope -q --'
err=$state/start.err
if [ "$role" = head ] && ! store; then
	rm -f "$state/listens"
	$scope rgcs --listen "$listen" --key "$key" --detached --ready-fd 3 </dev/null >"$state/listens" 2>"$err" 3>&1 &
	pid=$!
	tries=0
	while [ ! -s "$state/listens" ] && kill -0 $pid 2>/dev/null && [ $tries -lt 600 ]; do tries=$((tries + 1)); sleep 0.05; done
	[ -s "$state/listens" ] || { cat "$err" >&2; exit 1; }
	echo $pid >"$state/rgcs.pid"
	address=$(head -1 "$state/listens")
fi
[ "$role" != head ] || echo "address ${address:-$(head -1 "$state/listens" 2>/dev/null)}"
[ -n "$address" ] || address=$(head -1 "$state/listens")
[ -n "$row" ] || echo "$cluster $address $build $instance" >"$state/cluster"
if [ -z "$row" ]; then
	if [ -n "$setup" ]; then
		sh -ec "$setup" </dev/null >"$err" 2>&1 || { s=$?; tail -n 5 "$err" >&2; fail "setup ended with status $s"; }
	fi
	n=$( { eval "$environment"; $scope rlet -l --join "$address" --listen "$reached" --key "$key" --detached --ready-fd 3 "$@" 3>&1 </dev/null >/dev/null 2>"$err" & } | head -c 1 | wc -c)
	[ "$n" -gt 0 ] || { tail -n 5 "$err" >&2; exit 1; }
	row=$(node name,cpus,gpus)
	echo "started 1"
	sed -n 's/^rlet: \(this session ends.*\)/note \1/p' "$err" | head -n 1
else
	echo "was $(echo "$was" | cut -d' ' -f3)"
fi
rm -f "$err"
echo "row $row"
]]

-- what rota doctor says there, and what only another machine can judge
local look = [[
echo "wall $(date +%s.%N)"
]] .. probe .. [[
echo "runs $(cut -d' ' -f3 "$state/cluster" 2>/dev/null)"
[ ! -x "$tree/bin/rota" ] || { echo "key $(rota key "${name:-$cluster}" 2>/dev/null | cut -f2)"; rota doctor $quiet | sed 's/^/check /'; }
true
]]

-- the keys are the rest of the input
local rekey = [[
mkdir -p "$conf" && cat >"$conf/$cluster.key.new" && mv "$conf/$cluster.key.new" "$conf/$cluster.key" || fail "cannot write '$conf/$cluster.key'"
]]

-- every node hears of every other one, and reaches it; of many, the next ones
local meet = [[
tries=0
while list=$(ROTA_ADDRESS=local rstat nodes -o state,address); seen=$(echo "$list" | grep -c '^alive'); [ "$seen" -lt "$nodes" ] && [ $tries -lt 100 ]; do
	tries=$((tries + 1))
	sleep 0.05
done
echo "seen $seen"
rota reach $(echo "$list" | sed -n '/unix:/d; s/^alive.//p' | sort | awk -v k="$skip" '{ a[NR - 1] = $0 } END { for (i = 0; i < NR && i < 32; i++) print a[(i + k) % NR] }') | head -n 1
]]

local ending = [[
if [ -x "$tree/bin/rota" ]; then rota down -q $force || exit; fi
[ "$role" != head ] || end_store
rm -f "$state/cluster" "$state/rgcs.pid" "$state/listens" "$state/start.err"
case $purge in 1)
	[ ! -x "$tree/bin/rota" ] || rota down -q --purge
	[ -n "${own-}" ] || rm -f "$conf/$cluster.key"
	[ "$tree" != "$data/$build" ] || rm -rf "$data"/[0-9]*.[0-9]*-*
	[ -z "${own-}" ] || rm -rf "$XDG_STATE_HOME"
	dir=${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/rota}
	dir=${ROTA_DIR:-${dir:-/tmp/rota-$(id -u)}}
	ls "$dir"/*.sock >/dev/null 2>&1 || rm -f "$dir"/*lock
	rmdir "$dir" "$data" "$conf" "$state" 2>/dev/null ;;
esac
[ -z "${own-}" ] || rm -rf "$ROTA_DIR"
true
]]

-- --- many hosts at once ----------------------------------------------------------------------------------------------

-- o: cluster, build, tree (nil: the shipped one), jobs, say(host, text)
function M.new(o) return setmetatable(o, M) end

-- The last lines of what a program said, without the noise of the way there; one line where it is one.
local function last_lines(text, host)
	text = text:gsub("Warning: Permanently added[^\n]*\n", ""):gsub("%s+$", "")
	local lines = {}
	for line in text:gmatch "[^\n]+" do lines[#lines + 1] = (line:gsub("^r%w+: ", "")) end
	return table.concat(lines, "\n", math.max(1, #lines - 4))
end

-- the text for its sh, with variables and words
local function text_of(self, h, i, script, o)
	local head = {}
	for k, v in pairs { cluster = self.cluster, build = self.build, tree = self:place(h) or "" } do head[#head + 1] = k .. "=" .. quoted(v) end
	for k, v in pairs(self:directories(h)) do head[#head + 1] = k .. "=" .. quoted(v) end
	for k, v in pairs(o.vars and o.vars(h, i) or {}) do head[#head + 1] = k .. "=" .. quoted(v) end
	local args = {}
	for _, a in ipairs(o.args and o.args(h, i) or {}) do args[#args + 1] = quoted(a) end
	return table.concat(head, "\n") .. "\nset -- " .. table.concat(args, " ") .. "\n" .. prelude .. script
end

-- a program here that runs it on host i, as core.run takes it
function M:program(h, i, script, o)
	local text = text_of(self, h, i, script, o)
	-- the shell there reads just the script; what follows is its input.  No character here means anything to any login shell
	local command = ([[exec sh -c 'eval "$(head -c %d)"']]):format(#text)
	return { argv = self:argv(h, command), input = { text, o.input or "" }, timeout = o.timeout or 60 }
end

-- Runs on each host the text of script with the variables vars(host) and the words of args(host); input is appended.
function M:script(hosts, script, o)
	local list = {}
	for i, h in ipairs(hosts) do
		list[i] = self:program(h, i, script, o)
	end
	local done = core.run(list, { jobs = self.jobs, line = o.line })
	local out = {}
	for i, r in ipairs(done) do out[i] = self:result(hosts[i], r, o) end
	return out
end

function M:result(h, r, o)		-- of what a program on h ended with
	if r.timeout then return { why = ("no answer in %d s"):format(o.timeout or 60) } end
	if r.status ~= 0 and not o.line then return { why = self:explain(h, r, last_lines(r.err)), status = r.status } end
	local out = { status = r.status }
	for k, v in r.out:gmatch "([^\n ]+) ([^\n]*)" do if v ~= "" then out[k] = v end end
	return out
end

function M:explain(h, r, text) return text ~= "" and text or ("status %d"):format(r.status) end
function M:directories(h) return {} end
function M:place(h) return nil end

local function row(r)			-- "name<TAB>cpus<TAB>gpus<TAB>drivers" of rstat
	if r.row then
		local f = {}
		for x in (r.row .. "\t"):gmatch "([^\t]*)\t" do f[#f + 1] = x end
		r.name, r.cpus, r.gpus, r.drivers = f[1], tonumber(f[2]), tonumber(f[3]), tonumber(f[4])
	end
	return r
end

local function rows(list)
	for _, r in ipairs(list) do row(r) end
	return list
end

function M:list(hosts) return rows(self:script(hosts, probe, { timeout = 30 })) end

function M:ready(hosts)
	local list = self:list(hosts)
	for _, r in ipairs(list) do
		if not r.why and not r.row then r.why = "no node runs there" end
	end
	return list
end

function M:unpack(hosts, archive) return self:script(hosts, unpack, { input = archive, timeout = 600 }) end

-- what: role, address (nil for a head that is to choose a port), listen, key (path here), text (of the key, nil: it lies there), rlet(host) words
function M:launch(hosts, what) return rows(self:script(hosts, start, self:launching(what))) end

function M:launching(what)
	return {
		timeout = 120, input = what.text,
		args = function(h)
			local words = what.rlet(h)
			if self.here then words[#words + 1] = "--name" words[#words + 1] = h.name end	-- else all would have this machine's
			return words
		end,
		vars = function(h)
			local env = {}
			for name, v in pairs(h.limits or {}) do env[#env + 1] = ("ulimit -%s %s"):format(what.limits[name], v) end
			for name, v in pairs(h.env or {}) do env[#env + 1] = ("export %s=%s"):format(name, quoted(v)) end
			return { role = what.role, address = what.address or "", listen = what.listen or "", sent = what.text and "1" or "0", key = what.key, reached = self.reached, instance = h.instance or "",
				setup = table.concat(h.setup or {}, "\n"), environment = table.concat(env, " && ") }
		end,
	}
end
M.start, M.rows = start, rows

-- results { wall=, arch=, tree=, runs=, key=, ... }, each with lines={ state<TAB>check<TAB>text, ... } and at=, when it said the time
function M:doctor(hosts, o)
	local lines, said, err = {}, {}, {}
	for i in ipairs(hosts) do lines[i], said[i], err[i] = {}, {}, {} end
	local results = self:script(hosts, look, { timeout = 60, vars = function() return { quiet = o.quiet and "-q" or "", name = o.name or "" } end,
		line = function(i, text, stream)
			if stream ~= "out" then err[i][#err[i] + 1] = text return end
			local k, v = text:match "^([^ ]+) (.*)"
			if k == "check" then lines[i][#lines[i] + 1] = v
			elseif k then said[i][k] = v ~= "" and v or nil end
			if k == "wall" then said[i].at = core.wall() end
		end })
	for i, r in ipairs(results) do
		if not r.why and r.status ~= 0 then said[i].why = self:explain(hosts[i], r, last_lines(table.concat(err[i], "\n") .. "\n")) end
		said[i].why = said[i].why or r.why
		said[i].lines = lines[i]
	end
	return said
end

-- the cluster's keys there are these from now on: daemons see that when the next connection begins
function M:rekey(hosts, text) return self:script(hosts, rekey, { timeout = 30, input = text }) end

-- results { seen=N, far="address why" }
function M:meet(hosts, nodes)
	return self:script(hosts, meet, { vars = function(_, i) return { nodes = nodes, skip = i } end })
end

function M:drain(hosts) return self:list(hosts) end

function M:terminate(hosts, o)
	return self:script(hosts, ending, { timeout = 60, vars = function()
		return { force = o.force and "--force" or "", purge = o.purge and "1" or "0", role = o.role }
	end })
end

-- runs a command of the user on each; line(i, text, stream) gets what it says
function M:exec(hosts, words, line)
	return self:script(hosts, [[exec "$@"]], { timeout = 1e9, args = function() return words end, line = line })
end

return M
