/* l_nd_math - buffers: arithmetic, comparisons, functions of each element, products. */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include "script/buffer.h"

static const char *const binary_word[] = {
#define X(NAME, word) word,
	ND_BINARY_MAP(X)
#undef X
};
static const char *const unary_word[] = {
#define X(NAME, word) word,
	ND_UNARY_MAP(X)
#undef X
};

static int
binary_raise(lua_State *L, int e, int op, const struct nd *a, const struct nd *b)
{
	if (e == -ERANGE)
		return luaL_error(L, "%s: an integer to a negative power; cast it to f64", binary_word[op]);
	return buffer_raise(L, e, binary_word[op], a, b);
}

static int
binary(lua_State *L, int op)		/* a op b [, out]: at least one of them is a buffer */
{
	struct buffer *x = buffer_test(L, 1), *y = buffer_test(L, 2);
	bool wide = op >= ND_LT || op == ND_DIV;
	struct buffer_scalar s1, s2;
	struct nd a, b;
	const struct nd *ops[2] = { &a, &b };
	int64_t shape[ND_DIMS];
	int type, ndim, e;

	if (!x && !y)
		return luaL_typeerror(L, 1, "rota.buffer");
	buffer_operand(L, 1, &a, &s1, y ? y->a.type : ND_F64, wide);
	buffer_operand(L, 2, &b, &s2, x ? x->a.type : ND_F64, wide);
	if ((type = nd_binary_type(op, a.type, b.type, NULL)) < 0)
		return buffer_raise(L, type, binary_word[op], &a, &b);
	if (nd_shapes(&ndim, shape, ops, 2) < 0)
		return buffer_raise(L, -EINVAL, binary_word[op], &a, &b);
	if ((e = nd_binary(op, &buffer_result(L, 3, (unsigned)type, ndim, shape)->a, &a, &b)) < 0)
		return binary_raise(L, e, op, &a, &b);
	return 1;
}

static int
l_binary(lua_State *L)
{
	buffer_check(L, 1);
	luaL_checkany(L, 2);
	return binary(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
}

static int
l_operator(lua_State *L)
{
	lua_settop(L, 2);
	return binary(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
}

static int
unary(lua_State *L, int op)		/* op a [, out] */
{
	struct nd a = buffer_check(L, 1)->a;
	int type = nd_unary_type(op, a.type, NULL), e;

	if (type < 0)
		return buffer_raise(L, type, unary_word[op], &a, NULL);
	if ((e = nd_unary(op, &buffer_result(L, 2, (unsigned)type, a.ndim, a.shape)->a, &a)) < 0)
		return buffer_raise(L, e, unary_word[op], &a, NULL);
	return 1;
}

static int
l_unary(lua_State *L)
{
	return unary(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
}

static int
l_unary_operator(lua_State *L)		/* Lua gives the operand twice */
{
	lua_settop(L, 1);
	return unary(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
}

static int
l_clip(lua_State *L)			/* b:clip(lo, hi [, out]); nil: no limit */
{
	struct nd a = buffer_check(L, 1)->a, lo, hi;
	struct buffer_scalar s1, s2;
	bool has_lo = !lua_isnoneornil(L, 2), has_hi = !lua_isnoneornil(L, 3);
	const struct nd *ops[3] = { &a, &a, &a };
	int64_t shape[ND_DIMS];
	unsigned type = a.type;
	int ndim, e;

	if (has_lo) {
		buffer_operand(L, 2, &lo, &s1, a.type, false);
		type = nd_promote(type, lo.type);
		ops[1] = &lo;
	}
	if (has_hi) {
		buffer_operand(L, 3, &hi, &s2, a.type, false);
		type = nd_promote(type, hi.type);
		ops[2] = &hi;
	}
	if (nd_shapes(&ndim, shape, ops, 3) < 0)
		return luaL_error(L, "clip: the shapes do not fit together");
	if ((e = nd_clip(&buffer_result(L, 4, type, ndim, shape)->a, &a, has_lo ? &lo : NULL, has_hi ? &hi : NULL)) < 0)
		return buffer_raise(L, e, "clip", &a, NULL);
	return 1;
}

static int
l_cast(lua_State *L)			/* b:cast(type) -> a copy of that type */
{
	struct buffer *b = buffer_check(L, 1);
	unsigned t = buffer_type_arg(L, 2, 0);

	luaL_argcheck(L, t, 2, "a type expected");
	nd_copy(&buffer_push(L, t, b->a.ndim, b->a.shape)->a, &b->a);
	return 1;
}

static int
l_assign(lua_State *L)			/* b:assign(x): elements of x, converted and broadcast -> b */
{
	struct buffer *b = buffer_writable(L, 1);
	struct buffer_scalar s;
	struct nd x;
	int e;

	buffer_operand(L, 2, &x, &s, b->a.type, false);
	if ((e = nd_copy(&b->a, &x)) < 0)
		return buffer_raise(L, e, "assign", &b->a, &x);
	lua_settop(L, 1);
	return 1;
}

static int
l_where(lua_State *L)			/* cond:where(x, y): x where true, else y; also rota.buffer.where(cond, x, y) */
{
	struct nd c = buffer_check(L, 1)->a, a, b;
	struct buffer *x = buffer_test(L, 2), *y = buffer_test(L, 3);
	struct buffer_scalar s1, s2;
	const struct nd *ops[3] = { &c, &a, &b };
	unsigned beside = x ? x->a.type : y ? y->a.type : ND_BOOL;
	int64_t shape[ND_DIMS];
	int ndim, e;

	buffer_operand(L, 2, &a, &s1, y ? y->a.type : beside, false);
	buffer_operand(L, 3, &b, &s2, x ? x->a.type : beside, false);
	if (nd_shapes(&ndim, shape, ops, 3) < 0)
		return luaL_error(L, "where: the shapes do not fit together");
	if ((e = nd_where(&buffer_result(L, 4, nd_promote(a.type, b.type), ndim, shape)->a, &c, &a, &b)) < 0)
		return buffer_raise(L, e, "where", &a, &b);
	return 1;
}

static int
l_allclose(lua_State *L)		/* a:allclose(b [, rtol 1e-5 [, atol 1e-8]]): |a - b| <= atol + rtol |b|, or a = b */
{
	struct nd a = buffer_check(L, 1)->a, b, r, t;
	double rtol = luaL_optnumber(L, 3, 1e-5), atol = luaL_optnumber(L, 4, 1e-8);
	const struct nd *ops[2] = { &a, &b };
	struct buffer_scalar s;
	struct buffer *near, *lim, *diff;
	int64_t shape[ND_DIMS];
	int ndim, e;

	buffer_operand(L, 2, &b, &s, a.type, true);
	if (nd_shapes(&ndim, shape, ops, 2) < 0)
		return buffer_raise(L, -EINVAL, "allclose", &a, &b);
	diff = buffer_push(L, ND_C128, ndim, shape);	/* wide enough for any */
	lim = buffer_push(L, ND_F64, ndim, shape);
	near = buffer_push(L, ND_BOOL, ndim, shape);
	nd_init(&r, ND_F64, 0, NULL, &rtol);
	nd_init(&t, ND_F64, 0, NULL, &atol);
	if ((e = nd_copy(&diff->a, &b)) < 0 || (e = nd_unary(ND_ABS, &lim->a, &diff->a)) < 0 ||
	    (e = nd_binary(ND_MUL, &lim->a, &lim->a, &r)) < 0 || (e = nd_binary(ND_ADD, &lim->a, &lim->a, &t)) < 0 ||
	    (e = nd_binary(ND_SUB, &diff->a, &a, &diff->a)) < 0)
		return buffer_raise(L, e, "allclose", &a, &b);
	b = buffer_push(L, ND_F64, ndim, shape)->a;
	if ((e = nd_unary(ND_ABS, &b, &diff->a)) < 0 || (e = nd_binary(ND_LE, &near->a, &b, &lim->a)) < 0)
		return buffer_raise(L, e, "allclose", &a, &b);
	buffer_operand(L, 2, &b, &s, a.type, true);
	diff = buffer_push(L, ND_BOOL, ndim, shape);
	if ((e = nd_binary(ND_EQ, &diff->a, &a, &b)) < 0 || (e = nd_binary(ND_BOR, &near->a, &near->a, &diff->a)) < 0)
		return buffer_raise(L, e, "allclose", &a, &b);
	for (e = 0; e < ndim; e++)
		shape[e] = 1;
	nd_init(&t, ND_BOOL, ndim, shape, s.bytes);
	nd_reduce(ND_ALL, &t, &near->a, (1u << ndim) - 1, 0);
	lua_pushboolean(L, s.bytes[0]);
	return 1;
}

static int
l_matmul(lua_State *L)			/* a:matmul(b [, out]) */
{
	struct buffer *a = buffer_check(L, 1), *b = buffer_check(L, 2), *out;
	unsigned type = nd_promote(a->a.type, b->a.type);
	int64_t shape[ND_DIMS];
	int ndim, e;

	lua_settop(L, 3);
	if ((e = nd_matmul_shape(&a->a, &b->a, &ndim, shape)) < 0)
		return buffer_raise(L, e, "matmul", &a->a, &b->a);
	a = buffer_to(L, 1, type);
	b = buffer_to(L, 2, type);
	out = buffer_result(L, 3, type, ndim, shape);
	if (out->a.type != type || !nd_packed(&out->a))
		return luaL_error(L, "matmul: the result needs a buffer of type %s without gaps", nd_word(type));
	if ((e = nd_matmul(&out->a, &a->a, &b->a)) < 0)
		return e == -EINVAL ? luaL_error(L, "matmul: the result lies on an operand") :
		    buffer_raise(L, e, "matmul", &a->a, &b->a);
	if (ndim == 0)
		buffer_push_element(L, &out->a, out->a.data);
	return 1;
}

static void
closures(lua_State *L, const char *const *words, int n, lua_CFunction f)
{
	for (int i = 0; i < n; i++) {
		lua_pushinteger(L, i);
		lua_pushcclosure(L, f, 1);
		lua_setfield(L, -2, words[i]);
	}
}

void
buffer_math_methods(lua_State *L)
{
	static const luaL_Reg methods[] = { {"clip", l_clip}, {"cast", l_cast}, {"assign", l_assign}, {"where", l_where},
	    {"allclose", l_allclose}, {"matmul", l_matmul}, {"dot", l_matmul}, {NULL, NULL} };

	closures(L, binary_word, ND_BINARIES, l_binary);
	closures(L, unary_word, ND_UNARIES, l_unary);
	luaL_setfuncs(L, methods, 0);
}

void
buffer_math_meta(lua_State *L)
{
	static const struct { const char *event; int op; } binaries[] = { { "__add", ND_ADD }, { "__sub", ND_SUB },
	    { "__mul", ND_MUL }, { "__div", ND_DIV }, { "__idiv", ND_IDIV }, { "__mod", ND_MOD }, { "__pow", ND_POW },
	    { "__band", ND_BAND }, { "__bor", ND_BOR }, { "__bxor", ND_BXOR }, { "__shl", ND_SHL }, { "__shr", ND_SHR } };

	for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++) {
		lua_pushinteger(L, binaries[i].op);
		lua_pushcclosure(L, l_operator, 1);
		lua_setfield(L, -2, binaries[i].event);
	}
	lua_pushinteger(L, ND_NEG);
	lua_pushcclosure(L, l_unary_operator, 1);
	lua_setfield(L, -2, "__unm");
	lua_pushinteger(L, ND_INV);
	lua_pushcclosure(L, l_unary_operator, 1);
	lua_setfield(L, -2, "__bnot");
}
