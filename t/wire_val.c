/* wire_val.c - values: what is well formed, which references are in it, how errors and JSON come out; any bytes are safe */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include "base/err.h"
#include "guard.h"
#include "tap.h"
#include "wire/mp.h"
#include "wire/val.h"

static struct buf b;			/* the value under test */

/*
 * Appends to b:  n t f  i7 (integer)  d0.5 (float)  'text'  [N {N (heads; elements follow)  rNODE vNODE (REF, VALREF)
 * sN bN (SHARED, BACK)  0 (NULL)  o (OOB)  mNAME (MODULE)  <T ... > (nested ext number T)
 */
static void
val(const char *s)
{
	unsigned char body[WREF_SIZE] = { 0 };
	size_t open[8], nopen = 0, n;
	int type[8];
	char *end;

	for (; *s; s = end) {
		end = (char *)s + 1;
		switch (*s) {
		case 'n': mp_put_nil(&b); break;
		case 't': mp_put_bool(&b, true); break;
		case 'f': mp_put_bool(&b, false); break;
		case 'i': mp_put_int(&b, strtoll(s + 1, &end, 10)); break;
		case 'd': mp_put_float(&b, strtod(s + 1, &end)); break;
		case '\'': n = strcspn(s + 1, "'"); mp_put_str(&b, s + 1, n); end += n + 1; break;
		case '[': mp_put_array(&b, strtoul(s + 1, &end, 10)); break;
		case '{': mp_put_map(&b, strtoul(s + 1, &end, 10)); break;
		case 'r':
		case 'v':
			val_wref_pack(body, &(struct wref){ .id = { (uint32_t)strtoul(s + 1, &end, 10), 2, 3 }, .size = 9 });
			mp_put_ext(&b, *s == 'r' ? VAL_REF : VAL_VALREF, body, WREF_SIZE);
			break;
		case 's':
		case 'b':
			le_put32(body, (uint32_t)strtoul(s + 1, &end, 10));
			mp_put_ext(&b, *s == 's' ? VAL_SHARED : VAL_BACK, body, 4);
			break;
		case '0': mp_put_ext(&b, VAL_NULL, NULL, 0); break;
		case 'o':
			memset(body, 0, 13);
			le_put64(body + 4, 5);
			mp_put_ext(&b, VAL_OOB, body, 13);
			break;
		case 'm': n = strcspn(s + 1, " "); mp_put_ext(&b, VAL_MODULE, s + 1, n); end += n; break;
		case '<': open[nopen] = b.len; mp_ext_open(&b); type[nopen++] = (int)strtol(s + 1, &end, 10); break;
		case '>': nopen--; mp_ext_close(&b, open[nopen], type[nopen]); break;
		}
	}
}

static int
check(const char *s, unsigned nvals, unsigned flags)
{
	b.len = 0;
	val(s);
	return val_check(guard(b.data, b.len), b.len, nvals, flags);
}

static bool
json(const char *s, unsigned nvals, const char *want)
{
	static const struct val_oob oob = { (const unsigned char *)"far\n!", 5 };
	struct buf out = BUF_INIT;
	bool good;
	int e;

	b.len = 0;
	val(s);
	buf_add(&out, "x", 1);
	e = val_to_json_oob(&out, guard(b.data, b.len), b.len, nvals, &oob, 1);
	good = e == 0 && out.len == strlen(want) + 1 && memcmp(out.data + 1, want, out.len - 1) == 0;
	if (!good)
		printf("# %s: %d %.*s\n", s, e, (int)out.len, (const char *)out.data);
	buf_release(&out);
	return good;
}

static void
slices(void)
{
	static const int64_t ends[] = { INT64_MIN, -11, -10, -3, -1, 0, 1, 3, 10, 11, INT64_MAX };
	struct wref w = { .id = id_make(1, 2, 3, 4), .size = 77 }, back;
	bool good = true;
	int64_t i, j;

	b.len = 0;
	ok(val_slice_put(&b, &w, INT64_MIN, 99) == 0 && val_check(b.data, b.len, 1, 0) == 0 && b.len == 3 + 43 + 9 + 1);
	ok(val_slice_get(b.data + 3, b.len - 3, &back, &i, &j) == 0 && id_eq(back.id, w.id) && back.size == 77 && i == INT64_MIN && j == 99);
	ok(val_slice_get(b.data + 3, b.len - 4, &back, &i, &j) == ERR_PROTO && val_slice_get(b.data, b.len, &back, &i, &j) == ERR_PROTO);
	for (size_t a = 0; a < sizeof ends / sizeof *ends; a++)		/* the elements that are in it, one by one */
		for (size_t z = 0; z < sizeof ends / sizeof *ends; z++) {
			uint64_t first, count, want = 0, from = 0;

			for (int64_t k = 1; k <= 10; k++)
				if ((ends[a] < 0 ? k >= 11 + ends[a] : k >= ends[a]) && (ends[z] < 0 ? k <= 11 + ends[z] : k <= ends[z])) {
					from = want++ ? from : (uint64_t)k - 1;
				}
			val_slice_range(10, ends[a], ends[z], &first, &count);
			good &= count == want && first == from;
		}
	ok(good && "as string.sub counts");
}

static void
checks(void)
{
	static const struct {
		const char *s;
		unsigned nvals;
		int want;
	} c[] = { { "", 0, 0 }, { "", 1, ERR_PROTO }, { "n", 0, ERR_PROTO }, { "n", 1, 0 }, { "i1 i2", 2, 0 }, { "i1 i2", 1, ERR_PROTO },
	    { "i1", 2, ERR_PROTO }, { "[3 i1 'a' {1 'k' d1.5", 1, 0 }, { "[2 i1", 1, ERR_PROTO }, { "{1 n i1", 1, ERR_PROTO },
	    { "{1 dnan i1", 1, ERR_PROTO }, { "{2 i1 i1 d0.5 t", 1, 0 }, { "r1 v2 0 o", 4, 0 }, { "[1 <7 {1 'message' 'x' >", 1, 0 },
	    { "<7 'x' >", 1, ERR_PROTO }, { "<7 {0 {0 >", 1, ERR_PROTO }, { "<7 {1 i1 'x' >", 1, ERR_PROTO },
	    { "<7 {1 'value' {1 i1 i1 >", 1, 0 }, { "<7 >", 1, ERR_PROTO }, { "<5 i1 'Counter' [1 'add' >", 1, 0 }, { "<5 [2 i1 >", 1, ERR_PROTO },
	    { "s0 [1 b0", 1, 0 }, { "[2 s0 {0 b0", 1, 0 }, { "b0", 1, ERR_PROTO }, { "s1 {0", 1, ERR_PROTO }, { "[2 b0 s0 {0", 1, ERR_PROTO },
	    { "[2 s0 {0 s0 {0", 1, ERR_PROTO }, { "s0", 1, ERR_PROTO }, { "s0 s1 {0", 1, ERR_PROTO }, { "[1 s0", 1, ERR_PROTO },
	    { "s0 {0 b0 s1 [0 b1", 4, 0 }, { "[2 <5 s0 {0 > b0", 1, 0 }, { "{1 s0 'k' b0", 1, 0 }, { "<16 >", 1, ERR_PROTO },
	    { "<-1 >", 1, ERR_PROTO }, { "<14 n >", 1, ERR_PROTO }, { "<1 n >", 1, ERR_PROTO }, { "<5 s0 >", 1, ERR_PROTO },
	    { "<17 r1 i1 i-1 >", 1, 0 }, { "<17 r1 i1 >", 1, ERR_PROTO }, { "<17 v1 i1 i2 >", 1, ERR_PROTO }, { "<17 r1 i1 'a' >", 1, ERR_PROTO },
	    { "<17 r1 i1 i2 i3 >", 1, ERR_PROTO }, { "<17 i1 i2 i3 >", 1, ERR_PROTO } };
	static const char *const code[] = { "<3 i1 >", "<4 >", "<10 >", "<13 'point' {0 >", "mlpeg", "[1 {1 'f' <3 [1 r1 >", "<5 <3 >>" };
	bool good = true;
	size_t i;

	for (i = 0; i < sizeof c / sizeof c[0]; i++)
		if (check(c[i].s, c[i].nvals, 0) != c[i].want || check(c[i].s, c[i].nvals, VAL_ALLOW_CODE) != c[i].want)
			good = false, printf("# %s: %d\n", c[i].s, check(c[i].s, c[i].nvals, 0));
	ok(good && "what is well formed and what is not");
	for (i = 0, good = true; i < sizeof code / sizeof code[0]; i++)
		if (check(code[i], 1, 0) != ERR_VALUE || check(code[i], 1, VAL_ALLOW_CODE) != 0)
			good = false, printf("# %s\n", code[i]);
	ok(good && "code only where it is allowed");
	ok(check("<13 'a' >", 1, VAL_ALLOW_CODE) == ERR_PROTO && check("<13 i1 i1 >", 1, VAL_ALLOW_CODE) == ERR_PROTO);
	ok(check("<13 'a' i1 i1 >", 1, VAL_ALLOW_CODE) == ERR_PROTO);
	slices();
	ok(check("[2 <3 > {1 n n", 1, 0) == ERR_PROTO);		/* malformed wins over foreign */
	b.len = 0;
	mp_put_uint(&b, UINT64_MAX);
	ok(val_check(b.data, b.len, 1, 0) == ERR_VALUE && val_first(b.data, b.len) == 9);
	b.len = 0;
	mp_put_ext(&b, VAL_MODFN, "string\0format", 13);
	ok(val_check(b.data, b.len, 1, VAL_ALLOW_CODE) == 0);
	b.len = 0;
	mp_put_ext(&b, VAL_MODFN, "string\0a\0b", 10);
	ok(val_check(b.data, b.len, 1, VAL_ALLOW_CODE) == ERR_PROTO);
	b.len = 0;
	mp_put_ext(&b, VAL_SHARED, "\0\0\0\0\0", 5);
	val("{0");
	ok(val_check(b.data, b.len, 1, 0) == ERR_PROTO);
	b.len = 0;
	mp_put_ext(&b, VAL_SHARED, "\0", 1);
	ok(val_check(guard(b.data, b.len), b.len, 1, 0) == ERR_PROTO);
	b.len = 0;
	mp_put_ext(&b, VAL_MODULE, "a\0b", 3);
	ok(val_check(b.data, b.len, 1, VAL_ALLOW_CODE) == ERR_PROTO);
}

static void
depth(void)
{
	static unsigned char s[VAL_DEPTH_READ + 2];
	size_t i;

	memset(s, 0x91, sizeof s);
	s[VAL_DEPTH_READ] = 1;
	ok(val_check(guard(s, VAL_DEPTH_READ + 1), VAL_DEPTH_READ + 1, 1, 0) == 0);
	s[VAL_DEPTH_READ] = 0x91;
	s[VAL_DEPTH_READ + 1] = 1;
	ok(val_check(guard(s, VAL_DEPTH_READ + 2), VAL_DEPTH_READ + 2, 1, 0) == ERR_PROTO);
	ok(val_first(s, sizeof s) == (ssize_t)sizeof s);
	b.len = 0;
	for (i = 0; i < VAL_DEPTH_READ; i++) {	/* a nested body within a nested body counts the same */
		struct buf outer = BUF_INIT;

		mp_put_ext(&outer, VAL_ACTOR, b.data, b.len);
		buf_release(&b);
		b = outer;
	}
	ok(val_check(guard(b.data, b.len), b.len, 1, 0) == 0);
	val("n");
	ok(val_check(b.data, b.len, 2, 0) == 0);
	struct buf outer = BUF_INIT;
	mp_put_array(&outer, 2);
	mp_put_raw(&outer, b.data, b.len);
	ok(val_check(outer.data, outer.len, 1, 0) == ERR_PROTO);
	buf_release(&outer);
}

struct seen {
	uint32_t node[16];
	bool valref[16];
	unsigned n, stop;
};

static int
see(void *arg, const struct wref *r, bool valref)
{
	struct seen *s = arg;

	if (s->n < 16) {
		s->node[s->n] = r->id.node;
		s->valref[s->n] = valref;
	}
	return ++s->n == s->stop ? -EIO : 0;
}

static void
refs(void)
{
	struct wref w = { .id = { 0x01020304, 5, UINT64_C(0x060708090a0b0c0d) }, .off = 6, .gen = 7, .nbuf = 8, .flags = 9, .size = 10 }, x;
	static const char all[] = "v1 [2 r2 {2 r3 r4 'k' <7 {1 'cause' <7 {1 'value' r5 >>"
	    "<3 i1 [1 r6 > <4 <3 r7 >> <13 'point' {1 'r' r8 > <5 r9 > <10 r10 > s0 [2 b0 r11";
	struct seen s = { .n = 0 };
	unsigned char p[WREF_SIZE];
	bool good = true;
	unsigned i;

	val_wref_pack(p, &w);
	val_wref_unpack(&x, p);
	ok(p[0] == 4 && p[3] == 1 && p[8] == 0x0d && p[16] == 6 && p[24] == 7 && p[28] == 8 && p[30] == 9 && p[32] == 10 && p[39] == 0);
	ok(id_eq(w.id, x.id) && x.off == 6 && x.gen == 7 && x.nbuf == 8 && x.flags == 9 && x.size == 10);
	b.len = 0;
	val(all);
	ok(val_walk_refs(guard(b.data, b.len), b.len, 8, see, &s) == 0 && s.n == 11);
	for (i = 0; i < 11; i++)
		good &= s.node[i] == i + 1 && s.valref[i] == (i == 0);
	ok(good && "wherever a reference may lie, in order");
	s = (struct seen){ .stop = 4 };
	ok(val_walk_refs(b.data, b.len, 8, see, &s) == -EIO && s.n == 4);
	b.len = 0;
	val("'no refs'");
	s = (struct seen){ 0 };
	ok(val_walk_refs(b.data, b.len, 1, see, &s) == 0 && s.n == 0);
	ok(val_walk_refs(b.data, b.len, 2, see, &s) == ERR_PROTO);
}

static void
firsts(void)
{
	b.len = 0;
	val("s0 [2 s1 {1 'a' i1 b1 i7");
	ok(val_first(b.data, b.len) == (ssize_t)b.len - 1);
	ok(val_first(b.data, b.len - 2) == ERR_PROTO && val_first(b.data, 0) == ERR_PROTO && val_first(b.data, 6) == ERR_PROTO);
}

static void
buffers(void)
{
	double d[6] = { 0.5, 1, 2, 3, 4, NAN };
	struct val_buffer v = { .dtype = VAL_F64, .ndim = 2, .shape = { 2, 3 }, .p = (const unsigned char *)d }, w;
	struct mp m;
	struct mp_tok t;
	unsigned char body[64] = { VAL_F64, 2 };
	struct buf out = BUF_INIT;

	b.len = 0;
	ok(val_buffer_put(&b, &v) == 0 && val_check(guard(b.data, b.len), b.len, 1, 0) == 0);
	m = (struct mp){ b.data, b.data + b.len };
	ok(mp_next(&m, &t) == 0 && t.kind == MP_EXT && t.ext == VAL_BUFFER && val_buffer_get(&w, t.p, t.n) == 0);
	ok(w.dtype == VAL_F64 && w.ndim == 2 && !w.oob && w.shape[1] == 3 && w.bytes == 48 && memcmp(w.p, d, 48) == 0);
	ok(val_buffer_get(&w, t.p, t.n - 1) == ERR_PROTO);
	ok(val_to_json(&out, b.data, b.len, 1) == 0 && buf_add(&out, "", 1) == 0 &&
	    strcmp((char *)out.data, "{\"dtype\":\"f64\",\"shape\":[2,3],\"data\":[0.5,1.0,2.0,3.0,4.0,null]}") == 0);
	v.oob = true;
	v.index = 7;
	b.len = 0;
	ok(val_buffer_put(&b, &v) == 0 && val_check(guard(b.data, b.len), b.len, 1, 0) == 0);
	m = (struct mp){ b.data, b.data + b.len };
	ok(mp_next(&m, &t) == 0 && val_buffer_get(&w, t.p, t.n) == 0 && w.oob && w.index == 7 && w.bytes == 48);
	le_put64(body + 2, UINT64_C(1) << 61);		/* times 8 bytes: more than there are */
	le_put64(body + 10, UINT64_C(1) << 61);
	body[18] = 1;
	ok(val_buffer_get(&w, body, 23) == ERR_PROTO);
	le_put64(body + 2, UINT64_C(1) << 40);
	le_put64(body + 10, 0);
	ok(val_buffer_get(&w, body, 23) == 0 && w.bytes == 0);
	body[0] = 99;
	ok(val_buffer_get(&w, body, 23) == ERR_PROTO);
	v.dtype = 0;
	ok(val_buffer_put(&b, &v) == ERR_VALUE);
	ok(val_dtype_size(VAL_BF16) == 2 && strcmp(val_dtype_word(VAL_I64), "i64") == 0 && !val_dtype_word(0));
	buf_release(&out);
}

static void
halves(void)
{
	unsigned char e[2 * 5];
	static const uint16_t f16[] = { 0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555 }, bf16[] = { 0x3f80, 0xc000, 0, 0x7f80, 0x3e80 };
	struct val_buffer v = { .dtype = VAL_F16, .ndim = 1, .shape = { 5 }, .p = e };
	struct buf out = BUF_INIT;
	unsigned i;

	b.len = 0;
	for (i = 0; i < 5; i++)
		le_put16(e + 2 * i, f16[i]);
	val_buffer_put(&b, &v);
	for (i = 0; i < 5; i++)
		le_put16(e + 2 * i, bf16[i]);
	v.dtype = VAL_BF16;
	val_buffer_put(&b, &v);
	ok(val_to_json(&out, b.data, b.len, 2) == 0 && buf_add(&out, "", 1) == 0 && strcmp((char *)out.data,
	    "{\"dtype\":\"f16\",\"shape\":[5],\"data\":[1.0,-2.0,5.9604644775390625e-08,null,0.333251953125]}\t"
	    "{\"dtype\":\"bf16\",\"shape\":[5],\"data\":[1.0,-2.0,0.0,null,0.25]}") == 0);
	buf_release(&out);
}

static void
errors(void)
{
	char text[64] = "";
	const unsigned char value[] = { 0x81, 0xa4, 'c', 'o', 'd', 'e', 7 };
	struct val_err e = { .code = ERR_CRASHED, .message = "worker 12 died", .node = "n1", .value = value, .nvalue = sizeof value };
	int code = 0;

	b.len = 0;
	ok(val_error(&b, ERR_TIMEOUT, "task sq.lua:2: timed out", "sq.lua:2", "n1", 2, "at line 1") == 0);
	ok(val_check(guard(b.data, b.len), b.len, 1, 0) == 0 && val_first(b.data, b.len) == (ssize_t)b.len);
	ok(val_error_text(guard(b.data, b.len), b.len, text, sizeof text, &code) == 0 && code == ERR_TIMEOUT);
	ok(strcmp(text, "task sq.lua:2: timed out") == 0);
	ok(val_error_text(b.data, b.len, text, 5, NULL) == 0 && strcmp(text, "task") == 0);
	ok(val_error_text(b.data, b.len, NULL, 0, &code) == 0);
	memset(text, 'z', sizeof text);
	ok(val_error_text(b.data, b.len, text, 24, NULL) == 0 && text[23] == '\0' && text[24] == 'z');
	b.len = 0;
	ok(val_error_put(&b, &e) == 0 && val_error_text(guard(b.data, b.len), b.len, text, sizeof text, &code) == 0);
	ok(code == ERR_CRASHED && strcmp(text, "worker 12 died") == 0);
	b.len = 0;
	ok(val_error(&b, -ENOENT, NULL, NULL, NULL, 0, NULL) == 0 && val_error_text(b.data, b.len, text, sizeof text, &code) == 0);
	ok(code == ERR_NOTFOUND && strcmp(text, "No such file or directory") == 0);
	b.len = 0;
	val("i7");
	text[0] = 'z';
	ok(val_error_text(b.data, b.len, text, sizeof text, &code) == ERR_NOTFOUND && text[0] == 'z');
	b.len = 0;
	val("s0 <7 {3 'cause' s1 {1 'x' b1 'code' 'later' 'message' 'hm' >");
	ok(val_error_text(guard(b.data, b.len), b.len, text, sizeof text, &code) == 0 && code == ERR_TASK && strcmp(text, "hm") == 0);
	b.len = 0;
	val("<7 {2 'message' 'x' >");
	ok(val_error_text(guard(b.data, b.len), b.len, text, sizeof text, &code) == ERR_PROTO);
}

static void
jsons(void)
{
	ok(json("n", 1, "null") && json("t", 1, "true") && json("i-5", 1, "-5") && json("d3", 1, "3.0") && json("dnan", 1, "null"));
	ok(json("'a\"b\n'", 1, "\"a\\\"b\\n\"") && json("'\xff\xe2\x82\xac'", 1, "\"\\ufffd\xe2\x82\xac\"") && json("0", 1, "null"));
	ok(json("[0", 1, "[]") && json("{0", 1, "{}") && json("[2 [0 {0", 1, "[[],{}]"));
	ok(json("i1 'b' {1 'a' [2 i1 i2", 3, "1\t\"b\"\t{\"a\":[1,2]}") && json("", 0, "") && json("[0 [0", 2, "[]\t[]"));
	ok(json("{4 i1 i1 d0.5 i2 t i3 'k' i4", 1, "{\"1\":1,\"0.5\":2,\"true\":3,\"k\":4}"));
	ok(json("[2 i1 r1", 1, "[1,\"00000001000000020000000000000003\"]") && json("{1 r1 v1", 1,
	    "{\"00000001000000020000000000000003\":\"00000001000000020000000000000003\"}"));
	ok(json("{2 {1 'a' i1 i2 [1 {0 i3", 1, "{\"[table]\":2,\"[table]\":3}"));
	ok(json("[2 s0 {1 'self' b0 b0", 1, "[{\"self\":\"[shared]\"},\"[shared]\"]"));
	ok(json("[3 <3 [1 i1 > <4 <3 >> <5 i1 >", 1, "[\"[function]\",\"[task]\",\"[actor]\"]"));
	ok(json("[2 <3 s0 [1 i1 > b0", 1, "[\"[function]\",\"[shared]\"]"));
	ok(json("[3 <13 'point' {1 'x' i1 > <13 'p' i5 > i2", 1, "[{\"x\":1},5,2]"));
	ok(json("[2 <7 {2 'message' 'x' 'value' [1 i1 > i2", 1, "[{\"message\":\"x\",\"value\":[1]},2]"));
	ok(json("{1 <7 {1 'message' 'x' > i1", 1, "{\"[error]\":1}") && json("{1 <13 'p' [1 [0 > i1", 1, "{\"[table]\":1}"));
	ok(json("[2 mlpeg <10 >", 1, "[\"[module lpeg]\",\"[globals]\"]") && json("o", 1, "\"far\\n!\""));
	b.len = 0;
	mp_put_ext(&b, VAL_MODFN, "string\0format", 13);
	struct buf out = BUF_INIT;
	ok(val_to_json(&out, b.data, b.len, 1) == 0 && out.len == 26 &&
	    memcmp(out.data, "\"[function string.format]\"", 26) == 0);
	out.len = 0;
	b.len = 0;
	val("o");
	ok(val_to_json(&out, b.data, b.len, 1) == 0 && out.len == 11 && memcmp(out.data, "\"[5 bytes]\"", 11) == 0);
	ok(val_to_json(&out, b.data, b.len, 2) == ERR_PROTO && out.len == 11);
	out.len = 0;
	ok(val_to_json_oob(&out, b.data, b.len, 1, &(struct val_oob){ guard("four", 4), 4 }, 1) == 0 && out.len == 11);
	buf_release(&out);
}

/* Every truncation and many mutations of a payload with everything in it; all readers agree on what is well formed. */
static void
noise(void)
{
	static const char all[] = "v1 [5 r2 {3 r3 r4 'k' <7 {2 'message' 'm' 'cause' <7 {1 'value' r5 >> i1 d1.5 t n o "
	    "<3 i1 [1 r6 > <4 <3 r7 >> <13 'point' {1 'r' r8 > <5 r9 > <10 r10 > s0 [4 b0 r11 s1 {1 'x' b1 b1 mlpeg 0 i-70000";
	static const float el[3] = { 1, 2, 3 };
	struct val_buffer v = { .dtype = VAL_F32, .ndim = 1, .shape = { 3 }, .p = (const unsigned char *)el };
	struct buf out = BUF_INIT;
	struct seen s;
	unsigned char *m, *p;
	char text[40];
	uint64_t seed = 6;
	unsigned i, nvals = 12, good = 0, bad = 0, agree = 0, code;
	size_t n, cut = 0;
	int e;

	b.len = 0;
	val(all);
	val_buffer_put(&b, &v);
	ok(val_check(guard(b.data, b.len), b.len, nvals, VAL_ALLOW_CODE) == 0 && val_check(b.data, b.len, nvals, 0) == ERR_VALUE);
	for (n = 0; n < b.len; n++) {
		p = guard(b.data, n);
		cut += val_check(p, n, nvals, VAL_ALLOW_CODE) == ERR_PROTO && val_to_json(&out, p, n, nvals) == ERR_PROTO && out.len == 0;
	}
	ok(cut == b.len);
	m = malloc(b.len);
	for (i = 0; i < 60000; i++) {
		memcpy(m, b.data, b.len);
		n = mutate(m, b.len, &seed);
		p = guard(m, n);
		e = val_check(p, n, nvals, VAL_ALLOW_CODE);
		*(e == 0 ? &good : &bad) += 1;
		s = (struct seen){ 0 };
		out.len = 0;
		agree += (val_walk_refs(p, n, nvals, see, &s) == 0) == (e == 0);
		agree += (val_to_json(&out, p, n, nvals) == 0) == (e == 0);
		agree += val_first(p, n) <= (ssize_t)n;
		code = rnd(&seed) % n % 64;			/* an error or anything else, from any place */
		val_error_text(p + code, n - code, text, sizeof text, NULL);
	}
	ok(agree == 3 * 60000);
	ok(good > 1000 && bad > 1000);
	printf("# %u well formed, %u not\n", good, bad);
	free(m);
	buf_release(&out);
}

int
main(void)
{
	checks();
	depth();
	refs();
	firsts();
	buffers();
	halves();
	errors();
	jsons();
	noise();
	buf_release(&b);
	return tap_done();
}
