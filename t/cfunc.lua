-- cfunc.lua - C functions as tasks from Lua, actors written in C called from Lua, and the other way round
package.path = arg[0]:match "^.*/" .. "?.lua;" .. package.path
local T = require "tap"
local rota = require "rota"
local ok, is, has, raises = T.ok, T.is, T.has, T.raises

local dir = T.tmp()
rota.init{ namespace = "cfunc" }
local cc = (os.getenv "CC" or "cc") .. " -std=c11 -O1 -D_GNU_SOURCE -Ilib/capi "
local so = dir .. "/so.so"
assert(os.execute(cc .. "-x c -shared -fPIC -o " .. so .. " t/capi_so.h"))
local function c(symbol, options) return rota.cfunc(so, symbol, options) end

--- tasks
local add1, echo, total = c "add1", c "echo", c "total"
is(rota.get(add1(41)), 42, "a C function runs")
is(tostring(add1), "task add1", "its name is the symbol")
is(tostring(c("add1", { name = "more" })), "task more", "or what it is given")
is(rota.map(add1, { 1, 2, 3 }), { 2, 3, 4, n = 3 }, "map")
local refs = {}
for i = 1, 1000 do refs[i] = add1(i) end
local sum = 0
for i = 1, 1000 do sum = sum + rota.get(refs[i]) end
is(sum, 501500, "a thousand of them")
is(rota.get(add1(add1(add1(0)))), 3, "references as arguments")
is(rota.get(rota.task(function(x) return x * 2 end)(add1(20))), 42, "into a Lua task")
is(rota.get(add1(rota.task(function(x) return x * 2 end)(20))), 41, "and out of one")
is(rota.get(rota.task(function(t) return rota.get(t(1)) end)(add1)), 2, "the task itself travels as a value")
is(rota.get(rota.task(function() return rota.get(add1(2)) end)()), 3, "and as an upvalue")
is(rota.get({ c("three", { returns = 3 })(5) }), { 5, 10, 15, n = 3 }, "several returns")
is(rota.get(c "three":with{ retries = 1 }(2)), { 2, 4, 6 }, "with")

--- values
for name, v in pairs { ["nil"] = false, int = -5, float = 2.5, whole = 3.0, string = "s\0t", long = ("x"):rep(5000), huge = ("y"):rep(2000000),
    list = { 1, "two", { 3.5 } }, map = { a = 1, b = { c = false } }, empty = {}, mixed = { [1] = "a", [5] = "b", k = 1 } } do
	is(rota.get(echo(v), { as = "string" }), v, "there and back: " .. name)
end
is(rota.get(echo(nil)), nil, "there and back: nil")
is(rota.get(c "count"(1, nil, 3, nil)), 4, "nil is an argument")
local b = rota.buffer(10000, "u8")
for i = 1, 10000 do b[i] = i % 5 end
is(rota.get(total(b)), 20000, "a buffer in place")
is(rota.get(total(rota.put(b))), 20000, "a stored one")
local back = rota.get(echo(b))
ok(back:dtype() == "u8" and #back == 10000 and back[4] == 4, "a buffer back")
is(rota.get(total{ 1, 2, 3 }), 6, "an array")
is(#rota.get(c "fill"(100000, 65), { as = "string" }), 100000, "memory of the task")
local t = { 1 }
is(rota.get(c "count"({ t, t })), 1, "a table that comes twice is read")
is(select(2, rota.pget(echo{ t, t })).code, "value", "but what comes again is Lua's")
local r = rota.put "inside"
is(rota.get(c "inside"{ r }), "inside", "a reference inside a table")
is(rota.get(rota.get(c "makes"())[1]), "made in a task", "a reference that a C task made")
is(rota.get(c "nested"(12, so)), 144, "tasks that submit tasks and wait")

--- errors
raises("cannot open 'none.so': No such file", "no such file", rota.cfunc, "none.so", "f")
raises("the name of a function is expected", "no symbol", rota.cfunc, so, "")
raises("no option 'cpu'", "options are checked", rota.cfunc, so, "add1", { cpu = 2 })
raises("rota.task: a function is expected, got string", "a string is no function", rota.task, "add1")
has(select(2, rota.pget(c "nothing"())), "has no symbol 'nothing'", "no such symbol")
local _, err = rota.pget(c "fails"(0))
is(err.code, "notfound", "the code of an error")
has(err, "no luck here: task fails, attempt 1", "its text")
is(err.attempt, 1, "the attempt")
has(select(2, rota.pget(c "fails"(3))), "the function returned 3", "what is no code")
is(select(2, rota.pget(c("dies", { retries = 0 })())).code, "crashed", "abort() in a task")
is(rota.get(add1(1)), 2, "others go on")
is(select(2, rota.pget(echo(function() end))).code, "value", "code comes to C, but does not go back")
local w = c "waits"()
is(rota.pget(w, 0.05), nil, "it waits")
rota.cancel(w)
is(select(2, rota.pget(w)).code, "cancelled", "cancelled")
is(select(2, rota.pget(c("sleeps", { timeout = 0.05 })(20.0))).code, "timeout", "out of time")

--- an actor in Lua, a program in C that calls it; and its own actor, found from here
local Sum = rota.actor{ new = function(self) self.n = 0 end, add = function(self, k, t) self.n = self.n + k + #t return self.n, "two" end }
local s = Sum:with{ name = "lua-sum" }()
local main = dir .. "/main.c"
local f = assert(io.open(main, "w"))
f:write [[
#include <rota.h>
#include <stdio.h>
#define CHECK(x) do { if ((x) < 0) { printf("line %d: %s\n", __LINE__, rota_why()); return 1; } } while (0)
int main(int argc, char *argv[])
{
	struct rota_actor_options o;
	struct rota_value in[2], list[2] = { rota_int(1), rota_int(2) }, v[2];
	struct rota_actor *a, *b;
	struct rota_ctx *ctx;
	struct rota_ref *r;
	(void)argc;
	CHECK(rota_init(&ctx, NULL));
	CHECK(rota_find(ctx, NULL, "lua-sum", &a));
	in[0] = rota_int(40);
	in[1] = rota_array(list, 2);
	CHECK(rota_call(ctx, a, "add", in, 2, &r));
	printf("%d values: ", rota_get_all(ctx, r, v, 2, ROTA_FOREVER));
	printf("%d %.*s\n", (int)v[0].i, (int)v[1].n, v[1].s);
	rota_release(ctx, r);
	printf("%s\n", rota_call(ctx, a, "sub", in, 2, &r) == ROTA_ENOTFOUND ? rota_why() : "?");
	rota_actor_defaults(&o);
	o.name = "c-sum";
	CHECK(rota_actor_new(ctx, argv[1], "counter", in, 1, &o, &b));
	CHECK(rota_actor_wait(ctx, b, ROTA_FOREVER));
	printf("ready\n");
	fflush(stdout);
	getchar();
	rota_close(ctx);
	return 0;
}
]]
f:close()
local O = os.getenv "O" or "build"
if os.execute(("nm -D %s/lib/librota.so.0 | grep -qE '__[at]san_init'"):format(O)) then
	print "# the library is a sanitized one: no program of C"
else
	assert(os.execute(cc .. "-Wno-error -o " .. dir .. "/main " .. main .. (" -L%s/lib -Wl,-rpath,%s/lib -lrota"):format(O, O)))
	assert(os.execute(("mkfifo %s/in"):format(dir)))
	local p = assert(io.popen(("ROTA_NAMESPACE=cfunc %s/main %s <%s/in"):format(dir, so, dir), "r"))
	local hold = assert(io.open(dir .. "/in", "w"))
	is(p:read "l", "2 values: 42 two", "a C program calls an actor in Lua")
	has(p:read "l", "has no method 'sub'", "and is told which methods there are")
	is(p:read "l", "ready", "it makes one of its own")
	local cs = assert(rota.find "c-sum")
	is(rota.get(cs:add(2)), 42, "which is called from Lua")
	is(rota.get{ cs:add(1), cs:add(1), cs:echo{ 1 } }, { 43, 44, { 1 }, n = 3 }, "in order")
	raises("has no method 'new'", "its constructor is no method", function() return cs:new() end)
	hold:close()
	p:close()
	local till, e = rota.now() + 20, nil
	repeat e = select(2, rota.pget(cs:add(1))) until e or rota.now() > till	-- the node hears of its end
	is(e and e.code, "actor_died", "it goes with its program")
end
T.done()
