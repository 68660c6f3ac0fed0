-- program-frames: frames of 100 bytes to a program in Python that is kept running, and back, one by one
local rota = require "rota"
rota.init { cpus = 2 }
local echo = rota.cmd { "python3", "-c", [[
import sys
sys.path.insert(0, "../../program")
import rota_program
rota_program.serve({"echo": lambda data: data})
]] }:actor { mode = "frames" }
local text = ("f"):rep(100)
assert(rota.get(echo:call("echo", text)) == text)
local start, n = rota.now(), 0
repeat
	for _ = 1, 1000 do rota.get(echo:call("echo", text)) end
	n = n + 1000
until rota.now() - start > 1
print(("program-frames %.0f"):format(n / (rota.now() - start)))
