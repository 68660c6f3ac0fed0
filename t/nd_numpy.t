#!/bin/sh
# nd_numpy.t - types and values of results are numpy's, for a sample of operations; with PEERS=1 and PYTHON, one that has numpy
. "${0%/*}/lib.sh"
[ -n "${PEERS:-}" ] && [ "${PEERS:-0}" != 0 ] || { echo '1..0 # SKIP peers are compared with PEERS=1'; exit 0; }
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import numpy' 2>/dev/null || { echo "1..0 # SKIP $PYTHON has no numpy"; exit 0; }

# a line for each: operation, then each operand and the result as type:shape:hexadecimal bytes
cat >"$TMP/make.lua" <<'END'
local B = require "rota.codec".buffer
local types = { "bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f16", "f32", "f64", "c64", "c128" }
local rng = B.rng(1)
local function text(b)
	if type(b) ~= "userdata" then return "none" end
	return ("%s:%s:%s"):format(b:dtype(), table.concat({ b:shape() }, "x"), (b:string():gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
end
local function make(t)
	if t == "bool" then return rng:integers({ 3, 4 }, 0, 1):cast "bool" end
	if t:find "^[iu]" then return rng:integers({ 3, 4 }, t:find "u" and 0 or -9, 9, t) end
	return rng:normal({ 3, 4 }, 0, 4):cast(t)
end
local function line(op, ...)
	local out, last = { op }, select("#", ...)
	for i = 1, last do out[i + 1] = text((select(i, ...))) end
	print(table.concat(out, " "))
end
local function try(f, ...) local good, r = pcall(f, ...) return good and r or nil end
for _, op in ipairs { "add", "subtract", "mul", "div", "idiv", "mod", "minimum", "maximum", "atan2", "hypot", "band", "bor", "bxor",
    "lt", "le", "gt", "ge", "eq", "ne" } do
	for _, s in ipairs(types) do for _, t in ipairs(types) do
		local a, b = make(s), make(t)
		line(op, a, b, try(a[op], a, b))
	end end
end
for _, op in ipairs { "neg", "abs", "sign", "square", "conj", "real", "floor", "ceil", "round", "trunc", "isnan", "isfinite", "sqrt", "cbrt",
    "exp", "exp2", "expm1", "log", "sin", "cos", "tan", "tanh", "asin" } do
	for _, t in ipairs(types) do local a = make(t) line(op, a, try(a[op], a)) end
end
for _, op in ipairs { "sum", "prod", "mean", "min", "max", "argmin", "argmax", "any", "all", "var", "std", "cumsum", "sort", "argsort" } do
	for _, t in ipairs(types) do local a = make(t):t() line(op, a:copy(), try(a[op], a, 1)) end
end
END
cat >"$TMP/check.py" <<'END'
import sys, numpy as np
np.seterr(all="ignore")
names = dict(i8="i1", u8="u1", i16="i2", u16="u2", i32="i4", u32="u4", i64="i8", u64="u8", f16="f2", f32="f4", f64="f8", c64="c8", c128="c16", bool="?")
def array(s):
	if s == "none": return None
	t, shape, data = s.split(":")
	return np.frombuffer(bytes.fromhex(data), dtype=names[t]).reshape([int(n) for n in shape.split("x") if n])
alias = dict(mul="multiply", div="divide", idiv="floor_divide", atan2="arctan2", band="bitwise_and", bor="bitwise_or", bxor="bitwise_xor", lt="less",
	le="less_equal", gt="greater", ge="greater_equal", eq="equal", ne="not_equal", neg="negative", abs="absolute", round="rint", asin="arcsin")
axes = "sum prod mean min max argmin argmax any all var std cumsum sort argsort".split()
bad = n = 0
for l in sys.stdin:
	op, *rest = l.split()
	*ops, got = [array(s) for s in rest]
	kinds = [o.dtype.kind for o in ops]
	f = getattr(np, alias.get(op, op))
	try:
		want = (f(ops[0], axis=0, kind="stable") if "sort" in op else f(ops[0], axis=0)) if op in axes else f(*ops)
	except TypeError:
		want = None
	if op.startswith("arg"): want = want + 1
	# what is said to differ: functions of bool that numpy lacks or has by way of f16, real of what is real
	if want is None or got is None:
		if (want is None) != (got is None) and "b" not in kinds and not ("c" in kinds and op in ("round", "exp2", "expm1")):
			bad += 1; print("#", op, [str(o.dtype) for o in ops], "here:", got is not None, "numpy:", want is not None)
		continue
	n += 1
	if want.dtype != got.dtype and not ("b" in kinds and op in ("conj", "square", "real", "abs", "floor", "ceil", "trunc", "round")) and not (op in ("round", "floor", "ceil", "trunc", "mean", "var", "std") and kinds[0] in "iub"):
		bad += 1; print("#", op, [str(o.dtype) for o in ops], "type", got.dtype, "numpy:", want.dtype)
	eps = 4e-3 if want.dtype.itemsize == 2 or got.dtype.itemsize == 2 else 1e-4 if want.dtype in (np.float32, np.complex64) else 1e-11
	if want.shape != got.shape or not np.allclose(np.asarray(got, want.dtype), want, rtol=eps, atol=eps * 10, equal_nan=True):
		bad += 1; print("#", op, [str(o.dtype) for o in ops], "\n#", str(got).replace("\n", " "), "\n#", str(want).replace("\n", " "))
print("#", n, "compared with numpy", np.__version__)
sys.exit(bad > 0 or n < 1000)
END
agrees() { rlua "$TMP/make.lua" >"$TMP/cases" && "$PYTHON" "$TMP/check.py" <"$TMP/cases"; }
check 'numpy gives the same' agrees
done_testing
