#!/bin/sh
# prints.sh - what tasks print goes to the driver's stderr, each line with its task; stdout stays data
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
cat >load.lua <<'END'
local rota = require "rota"
local load = rota.task(function(name)
	print("loading " .. name)
	for _ = 1, 20 do print("waiting for " .. name) end
	return #name
end)
for _, name in ipairs { "one", "three" } do print(rota.get(load(name))) end
END

# stdout
rlua load.lua 2>notes
#> 3
#> 5

# stderr: file, line and process of the task, here without the process; repeats are counted
sed 's/ [0-9]*|/ PID|/' notes | grep -v more
#> load.lua:2 PID| loading one
#> load.lua:2 PID| waiting for one
#> load.lua:2 PID| loading three
#> load.lua:2 PID| waiting for three
grep -c 'waiting for .* \[.* more\]' notes
#> 2

# all of them, or none
ROTA_OUTPUT=all rlua load.lua 2>&1 >/dev/null | wc -l
#> 42
ROTA_OUTPUT=none rlua load.lua 2>&1 >/dev/null | wc -l
#> 0

# a task that dies: what it printed last is in its error
cat >die.lua <<'END'
local rota = require "rota"
local die = rota.task(function() print "opening x" os.exit(1) end):with { retries = 0 }
local _, err = rota.pget(die())
print((tostring(err):gsub("%d+", "PID", 1)))
END
rlua die.lua 2>/dev/null
#> worker PID called exit(1); it printed last: opening x
