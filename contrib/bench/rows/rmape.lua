-- rmap-e: lines a second of a trivial expression, order kept, the start of rmap and of its node included
local now = require "rota".now
local N = 3000000
local file = os.getenv "ROTA_DIR" .. "/lines"
os.execute(("seq %d >%s"):format(N, file))
local start = now()
assert(os.execute("rmap -k -e 'line * line' <" .. file .. " >/dev/null"))
print(("rmap-e %.0f"):format(N / (now() - start)))
