/* capi_values.c - values, tasks and actors through librota: what goes in comes out, in place where it is large */
#include <errno.h>
#include <fcntl.h>
#include "capi_node.h"

static struct rota_ctx *ctx;
static struct rota_fn *echo;

static bool
same(const struct rota_value *a, const struct rota_value *b)
{
	struct rota_iter i, k;
	struct rota_value x, y;
	int e;

	if (a->type != b->type || a->n != b->n)
		return false;
	switch (a->type) {
	case ROTA_NIL: return true;
	case ROTA_BOOL: case ROTA_INT: return a->i == b->i;
	case ROTA_FLOAT: return memcmp(&a->d, &b->d, sizeof a->d) == 0;
	case ROTA_STRING: return memcmp(a->s, b->s, a->n) == 0;
	case ROTA_BUFFER:
		for (unsigned d = 0; d < a->ndim; d++)
			if (rota_shape(a, d) != rota_shape(b, d))
				return false;
		return a->dtype == b->dtype && a->ndim == b->ndim && memcmp(a->p, b->p, a->n) == 0;
	case ROTA_ARRAY: case ROTA_MAP:
		if (rota_iter(&i, a) < 0 || rota_iter(&k, b) < 0)
			return false;
		while ((e = rota_next(&i, &x)) > 0)
			if (rota_next(&k, &y) != 1 || !same(&x, &y))
				return false;
		return e == 0 && rota_next(&k, &y) == 0;
	}
	return false;
}

/* through the store, and through a task and back */
static bool
trip(const struct rota_value *v)
{
	struct rota_value w;
	struct rota_ref *r, *t;
	bool good = rota_put(ctx, v, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == 0 && same(v, &w);

	good = good && node_call(ctx, echo, v, 1, &w, &t) == 0 && same(v, &w);
	if (!good) {
		printf("# type %d, n %zu: came back as type %d, n %zu: %s\n", v->type, v->n, w.type, w.n, rota_why());
		return false;
	}
	rota_release(ctx, t);
	w = rota_refv(r);			/* the reference stands for its value */
	good = node_call(ctx, echo, &w, 1, &w, &t) == 0 && same(v, &w);
	rota_release(ctx, t);
	rota_release(ctx, r);
	return good;
}

static void
plain(void)
{
	static const int64_t ints[] = { 0, 1, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, INT64_C(1) << 40, INT64_MAX, -1, -32, -33,
	    -128, -129, -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1, INT64_MIN };
	static const double floats[] = { 0, -0.0, 1.5, 1e300, -1e-300, 0x1p63 };
	struct rota_value v = rota_nil();
	bool good = trip(&v);

	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
		v = rota_int(ints[i]), good = trip(&v) && good;
	for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
		v = rota_float(floats[i]), good = trip(&v) && good;
	v = rota_bool(0), good = trip(&v) && good;
	v = rota_bool(7), good = trip(&v) && good;
	ok(good);
}

static void
strings(void)
{
	static const size_t len[] = { 0, 1, 29, 30, 31, 32, 33, 255, 256, 1024, 1025, 4096, 5000, 65535, 65536, 1 << 20 };
	char *s = malloc(1 << 20);
	bool good = true;

	for (size_t i = 0; i < 1 << 20; i++)
		s[i] = (char)(i * 7);
	for (size_t i = 0; i < sizeof len / sizeof *len; i++) {
		struct rota_value v = rota_string(s, len[i]);

		good = trip(&v) && good;
	}
	ok(good);
	free(s);
}

static void
structures(void)
{
	uint64_t shape[2] = { 3, 100 };
	float *f = calloc(300, sizeof *f);
	struct rota_value one[2] = { rota_int(1), rota_text("two") }, pairs[8], v, w;

	for (int i = 0; i < 300; i++)
		f[i] = (float)i;
	pairs[0] = rota_text("list"), pairs[1] = rota_array(one, 2);
	pairs[2] = rota_text("buffer"), pairs[3] = rota_buffer(ROTA_F32, 2, shape, f);
	pairs[4] = rota_int(5), pairs[5] = rota_map(NULL, 0);
	shape[1] = 2;
	pairs[6] = rota_float(.5), pairs[7] = rota_buffer(ROTA_U8, 2, shape, "abcdef");
	shape[1] = 100;
	v = rota_map(pairs, 3);
	ok(trip(&v));
	shape[1] = 2;
	ok(trip(&pairs[7]));
	shape[1] = 100;
	ok(trip(&pairs[3]) && trip(&pairs[1]) && trip(&pairs[5]));
	ok(rota_field(&v, "list", &w) == 0 && rota_at(&w, 1, &w) == 0 && w.n == 3);
	ok(rota_field(&v, "none", &w) == ROTA_ENOTFOUND && rota_at(&pairs[1], 2, &w) == ROTA_ENOTFOUND && rota_at(&v, 0, &w) == ROTA_EVALUE);
	free(f);
}

static void
built(void)
{
	struct rota_builder *b = rota_builder_new(ctx);
	struct rota_value v = rota_text("k"), w;

	ok(rota_build_array(b, 3) == 0 && rota_built(b, &w) == ROTA_EPROTO);
	ok(rota_build_map(b, 1) == 0 && rota_build(b, &v) == 0 && rota_build(b, &v) == 0);
	v = rota_float(2.5);
	ok(rota_build(b, &v) == 0 && rota_build_array(b, 0) == 0 && rota_built(b, &w) == 0 && w.n == 3);
	ok(trip(&w));
	rota_builder_reset(b);
	v = rota_int(9);
	ok(rota_build(b, &v) == 0 && rota_built(b, &w) == 0 && w.i == 9);
	rota_builder_free(b);
}

static void
refused(void)
{
	struct rota_value v = rota_string(NULL, 3), w;
	struct rota_ref *r;

	ok(rota_put(ctx, &v, &r) == ROTA_EVALUE && strstr(rota_why(), "without its bytes"));
	v = rota_array(NULL, 2);
	ok(rota_put(ctx, &v, &r) == ROTA_EVALUE);
	v = rota_nil();
	w = rota_map(&v, 0);
	w.n = 1;
	struct rota_value pair[2] = { rota_nil(), rota_int(1) };
	w = rota_map(pair, 1);
	ok(rota_put(ctx, &w, &r) == ROTA_EVALUE && strstr(rota_why(), "key"));
	v.type = 99;
	ok(rota_put(ctx, &v, &r) == ROTA_EVALUE);
	struct rota_value deep[300];

	deep[0] = rota_int(1);
	for (int i = 1; i < 300; i++)
		deep[i] = rota_array(&deep[i - 1], 1);
	ok(rota_put(ctx, &deep[299], &r) == ROTA_EVALUE && rota_put(ctx, &deep[150], &r) == 0);
	rota_release(ctx, r);
}

static void
in_place(void)
{
	uint64_t shape[1] = { 1000000 };
	struct rota_value pairs[4] = { rota_text("a"), rota_buffer(ROTA_U8, 1, shape, NULL), rota_text("b"), rota_buffer(ROTA_U8, 1, shape, NULL) },
	    v = rota_map(pairs, 2), w;
	struct rota_fn *total = node_fn(ctx, "total");
	struct rota_ref *r, *t;
	void *p[2];
	char id[33];

	ok(rota_create(ctx, &v, p, 1, &r) == ROTA_EVALUE);
	ok(rota_create(ctx, &v, p, 2, &r) == 0 && (uintptr_t)p[0] % 64 == 0 && p[0] != p[1]);
	memset(p[0], 1, 1000000);
	memset(p[1], 2, 1000000);
	ok(!rota_ready(ctx, r) && rota_get(ctx, r, &w, 1000000) == -ETIMEDOUT);
	ok(rota_seal(ctx, r) == 0 && rota_ready(ctx, r) && rota_seal(ctx, r) == -EINVAL);
	ok(rota_get(ctx, r, &w, 0) == 0 && rota_field(&w, "b", &v) == 0 && v.p == p[1] && v.n == 1000000);
	ok(node_call(ctx, total, &v, 1, &w, &t) == 0 && w.i == 2000000);
	rota_release(ctx, t);
	ok(rota_keep(ctx, r, NULL, 0) == 0);
	rota_id(ctx, r, id);
	rota_release(ctx, r);			/* the node has it */
	ok(rota_lookup(ctx, id, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == 0 && rota_field(&w, "a", &v) == 0 &&
	    v.n == 1000000 && ((const char *)v.p)[999999] == 1);
	rota_release(ctx, r);
	v = rota_buffer(ROTA_U8, 1, shape, NULL);
	ok(rota_create(ctx, &v, p, 1, &r) == 0);
	rota_abort(ctx, r);
	ok(rota_lookup(ctx, "no-such-name", &r) < 0 && *rota_why());
	rota_fn_free(ctx, total);
}

/* does the descriptor show n bytes at off that are these? */
static bool
shows(int fd, uint64_t off, uint64_t n, const void *want, size_t len)
{
	char *p = malloc(len);
	bool yes = fd >= 0 && n == len && pread(fd, p, len, (off_t)off) == (ssize_t)len && memcmp(p, want, len) == 0;

	free(p);
	close(fd);
	return yes;
}

static void
parts(void)
{
	static unsigned char bytes[3000 * 1000];
	uint64_t shape[2] = { 3000, 1000 }, off, n;
	struct rota_fn *total = node_fn(ctx, "total");
	struct rota_value v = rota_buffer(ROTA_U8, 2, shape, bytes), w;
	struct rota_ref *whole = NULL, *part = NULL, *less = NULL, *t;
	int fd;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i / 1000);
	ok(rota_put(ctx, &v, &whole) == 0 && rota_slice(ctx, whole, 10, 20, &part) == 0 && rota_slice(ctx, part, 5, 100, &less) == 0);
	ok(rota_get(ctx, part, &w, ROTA_FOREVER) == 0 && w.type == ROTA_BUFFER && w.ndim == 2 && w.n == 20000 &&
	    rota_shape(&w, 0) == 20 && rota_shape(&w, 1) == 1000 && memcmp(w.p, bytes + 10000, w.n) == 0);
	ok(rota_get(ctx, less, &w, ROTA_FOREVER) == 0 && rota_shape(&w, 0) == 15 && memcmp(w.p, bytes + 15000, w.n) == 0);
	rota_release(ctx, part);
	rota_release(ctx, whole);			/* less keeps it */
	ok(trip(&w));					/* a part is a value like another */
	v = rota_refv(less);
	ok(node_call(ctx, total, &v, 1, &w, &t) == 0 && w.i == 1000 * (15 + 29) * 15 / 2);
	rota_release(ctx, t);
	ok((fd = rota_ref_fd(ctx, less, &off, &n)) >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	ok(shows(fd, off, n, bytes + 15000, 15000));
	ok((fd = rota_ref_fd(ctx, less, NULL, NULL)) >= 0 && close(fd) == 0);
	rota_release(ctx, less);
	v = rota_text("short");
	ok(rota_put(ctx, &v, &whole) == 0 && (fd = rota_ref_fd(ctx, whole, &off, &n)) >= 0 && shows(fd, off, n, "short", 5) && off == 0);
	ok(rota_slice(ctx, whole, 1, 3, &part) == 0 && rota_get(ctx, part, &w, 0) == 0 && w.n == 3 && memcmp(w.s, "hor", 3) == 0);
	rota_release(ctx, part);
	ok(rota_slice(ctx, whole, 5, 0, &part) == 0 && rota_get(ctx, part, &w, 0) == 0 && w.n == 0);
	rota_release(ctx, part);
	rota_release(ctx, whole);
	v = rota_int(7);
	ok(rota_put(ctx, &v, &whole) == 0 && rota_ref_fd(ctx, whole, &off, &n) == ROTA_EVALUE && rota_slice(ctx, whole, 0, 1, &part) == 0 &&
	    rota_get(ctx, part, &w, 0) == ROTA_EVALUE && strstr(rota_why(), "only strings and buffers"));
	rota_release(ctx, part);
	rota_release(ctx, whole);
	rota_fn_free(ctx, total);
}

static void
references(void)
{
	struct rota_fn *add1 = node_fn(ctx, "add1"), *inside = node_fn(ctx, "inside"), *makes = node_fn(ctx, "makes"),
	    *count = node_fn(ctx, "count");
	struct rota_value v = rota_int(0), w, many[40];
	struct rota_ref *r[101], *t;
	bool good = true;

	rota_submit(ctx, add1, &v, 1, &r[0]);		/* a chain: none waits for the one before it here */
	for (int i = 1; i <= 100; i++) {
		v = rota_refv(r[i - 1]);
		good = rota_submit(ctx, add1, &v, 1, &r[i]) == 0 && good;
	}
	ok(good && rota_get(ctx, r[100], &w, ROTA_FOREVER) == 0 && w.i == 101);
	for (int i = 0; i <= 100; i++)
		rota_release(ctx, r[i]);
	v = rota_text("within");
	rota_put(ctx, &v, &r[0]);
	w = rota_refv(r[0]);
	v = rota_array(&w, 1);
	ok(node_call(ctx, inside, &v, 1, &w, &t) == 0 && w.n == 6 && memcmp(w.s, "within", 6) == 0);
	rota_release(ctx, t);
	rota_release(ctx, r[0]);
	ok(node_call(ctx, makes, NULL, 0, &w, &t) == 0 && rota_at(&w, 0, &v) == 0 && v.type == ROTA_REF &&
	    rota_ref_of(ctx, &v, &r[0]) == 0);
	rota_release(ctx, t);
	ok(rota_get(ctx, r[0], &w, ROTA_FOREVER) == 0 && w.n == 14 && memcmp(w.s, "made in a task", 14) == 0);
	rota_release(ctx, r[0]);
	for (int i = 0; i < 40; i++)
		many[i] = rota_int(i);
	ok(node_call(ctx, count, many, 40, &w, &t) == 0 && w.i == 40);
	rota_release(ctx, t);
	ok(node_call(ctx, count, NULL, 0, &w, &t) == 0 && w.i == 0);
	rota_release(ctx, t);
	rota_fn_free(ctx, add1);
	rota_fn_free(ctx, inside);
	rota_fn_free(ctx, makes);
	rota_fn_free(ctx, count);
}

static void
failures(void)
{
	struct rota_task_options o;
	struct rota_fn *fails = node_fn(ctx, "fails"), *dies, *fn, *slow = node_fn(ctx, "sleeps");
	struct rota_value v = rota_int(0), w;
	struct rota_ref *r, *t;

	ok(node_call(ctx, fails, &v, 1, &w, &r) == ROTA_ENOTFOUND && w.type == ROTA_ERROR && w.code == ROTA_ENOTFOUND);
	ok(w.n == strlen("no luck here: task fails, attempt 1") && memcmp(w.s, "no luck here", 12) == 0);
	v = rota_refv(r);			/* who was given it fails with it */
	ok(node_call(ctx, echo, &v, 1, &w, &t) == ROTA_ENOTFOUND && memcmp(w.s, "no luck here", 12) == 0);
	rota_release(ctx, r);
	rota_release(ctx, t);
	v = rota_int(5);
	ok(node_call(ctx, fails, &v, 1, &w, &r) == ROTA_ETASK && memcmp(w.s, "the function returned 5", w.n) == 0);
	rota_release(ctx, r);
	v = rota_int(-EACCES);
	ok(node_call(ctx, fails, &v, 1, &w, &r) == ROTA_ETASK && w.n && memcmp(w.s, strerror(EACCES), w.n) == 0);
	rota_release(ctx, r);
	rota_task_defaults(&o);
	o.retries = 0;
	rota_cfunc(ctx, node_so, "dies", &o, &dies);
	ok(node_call(ctx, dies, NULL, 0, &w, &r) == ROTA_ECRASHED);
	rota_release(ctx, r);
	ok(rota_cfunc(ctx, "none.so", "f", NULL, &fn) == -ENOENT && rota_cfunc(ctx, node_so, "", NULL, &fn) == -EINVAL);
	fn = node_fn(ctx, "no_such_function");
	ok(node_call(ctx, fn, NULL, 0, &w, &r) == ROTA_EENV && w.n);
	rota_release(ctx, r);
	rota_fn_free(ctx, fn);
	rota_task_defaults(&o);
	o.cpus = 100000;
	rota_cfunc(ctx, node_so, "echo", &o, &fn);
	ok(node_call(ctx, fn, NULL, 0, &w, &r) == ROTA_EINFEASIBLE);
	rota_release(ctx, r);
	rota_fn_free(ctx, fn);
	rota_task_defaults(&o);
	o.timeout = 50000000;
	rota_cfunc(ctx, node_so, "sleeps", &o, &fn);
	v = rota_float(20);
	ok(node_call(ctx, fn, &v, 1, &w, &r) == ROTA_ETIMEOUT);
	rota_release(ctx, r);
	rota_fn_free(ctx, fn);
	struct rota_fn *waits = node_fn(ctx, "waits");

	ok(rota_submit(ctx, waits, NULL, 0, &r) == 0 && rota_get(ctx, r, &w, 20000000) == -ETIMEDOUT);
	ok(rota_cancel(ctx, r, 0) == 1 && rota_get(ctx, r, &w, ROTA_FOREVER) == ROTA_ECANCELLED && w.type == ROTA_ERROR);
	ok(rota_cancel(ctx, r, 0) == 0 && rota_cancelled(ctx) == 0);
	rota_release(ctx, r);
	rota_fn_free(ctx, waits);
	v = rota_int(7);
	ok(rota_put(ctx, &v, &r) == 0 && rota_cancel(ctx, r, 0) <= 0);
	rota_release(ctx, r);
	o.cpus = -1;
	ok(rota_cfunc(ctx, node_so, "echo", &o, &fn) == -EINVAL);
	ok(!strcmp(rota_strerror(ROTA_ELOST), "the object was lost"));
	rota_fn_free(ctx, slow);
	rota_fn_free(ctx, dies);
	rota_fn_free(ctx, fails);
}

static void
several(void)
{
	struct rota_task_options o;
	struct rota_fn *three, *nested = node_fn(ctx, "nested");
	struct rota_value v = rota_int(7), w, a[2] = { rota_int(10), rota_text(node_so) };
	struct rota_ref *r[3], *t;
	unsigned char ready[3];
	struct rota_waitset *s = rota_waitset_new(ctx);
	uint64_t tag, seen = 0;

	rota_task_defaults(&o);
	o.returns = 3;
	rota_cfunc(ctx, node_so, "three", &o, &three);
	ok(rota_submit(ctx, three, &v, 1, r) == 0 && rota_wait(ctx, r, 3, 3, ROTA_FOREVER, ready) == 3 && ready[0] && ready[2]);
	ok(rota_wait(ctx, r, 3, 1, 0, NULL) == 3);
	ok(rota_get(ctx, r[2], &w, 0) == 0 && w.i == 21);
	for (uint64_t i = 0; i < 3; i++) {
		rota_waitset_add(ctx, s, r[i], i);
		rota_release(ctx, r[i]);
	}
	while (rota_waitset_next(ctx, s, ROTA_FOREVER, &t, &tag) == 0) {
		seen |= UINT64_C(1) << tag;
		rota_release(ctx, t);
	}
	ok(seen == 7 && rota_waitset_next(ctx, s, ROTA_FOREVER, &t, &tag) == ROTA_ENOTFOUND);
	rota_waitset_free(ctx, s);
	o.returns = 2;
	rota_fn_free(ctx, three);
	rota_cfunc(ctx, node_so, "three", &o, &three);
	rota_submit(ctx, three, &v, 1, r);
	ok(rota_get(ctx, r[1], &w, ROTA_FOREVER) == ROTA_EVALUE);
	rota_release(ctx, r[0]);
	rota_release(ctx, r[1]);
	rota_fn_free(ctx, three);
	ok(node_call(ctx, nested, a, 2, &w, &t) == 0 && w.i == 55);
	rota_release(ctx, t);
	rota_fn_free(ctx, nested);
}

static void
actors(void)
{
	struct rota_actor_options o;
	struct rota_actor *a, *b;
	struct rota_value v = rota_int(100), w;
	struct rota_ref *r, *last = NULL;
	bool good = true;

	rota_actor_defaults(&o);
	o.name = "sum";
	o.restarts = 1;
	if (!ok(rota_actor_new(ctx, node_so, "counter", &v, 1, &o, &a) == 0 && rota_actor_wait(ctx, a, ROTA_FOREVER) == 0)) {
		printf("# %s\n", rota_why());
		return;
	}
	v = rota_int(1);
	for (int i = 0; i < 1000; i++) {
		rota_release(ctx, last);
		good = rota_call(ctx, a, "add", &v, 1, &last) == 0 && good;
	}
	ok(good && rota_get(ctx, last, &w, ROTA_FOREVER) == 0 && w.i == 1100);
	rota_release(ctx, last);
	ok(rota_call(ctx, a, "sub", &v, 1, &r) == ROTA_ENOTFOUND && rota_call(ctx, a, "new", &v, 1, &r) == ROTA_ENOTFOUND);
	ok(rota_find(ctx, NULL, "sum", &b) == 0 && rota_call(ctx, b, "add", &v, 1, &r) == 0 &&
	    rota_get(ctx, r, &w, ROTA_FOREVER) == 0 && w.i == 1101);
	rota_release(ctx, r);
	rota_actor_release(ctx, b);
	w = rota_actorv(a);			/* a handle travels */
	v = rota_array(&w, 1);
	ok(rota_call(ctx, a, "echo", &v, 1, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == 0 && rota_at(&w, 0, &v) == 0 &&
	    v.type == ROTA_ACTOR && rota_actor_of(ctx, &v, &b) == 0);
	rota_release(ctx, r);
	v = rota_int(2);
	ok(rota_call(ctx, b, "add", &v, 1, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == 0 && w.i == 1103);
	rota_release(ctx, r);
	rota_actor_release(ctx, b);
	ok(rota_call(ctx, a, "die", NULL, 0, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == ROTA_EACTOR);
	rota_release(ctx, r);
	ok(rota_call(ctx, a, "add", &v, 1, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == 0 && w.i == 102);	/* made anew */
	rota_release(ctx, r);
	ok(rota_stop(ctx, a) == 0 && rota_call(ctx, a, "add", &v, 1, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == ROTA_EACTOR);
	rota_release(ctx, r);
	rota_actor_release(ctx, a);
	ok(rota_find(ctx, NULL, "nobody", &a) == ROTA_ENOTFOUND && strstr(rota_why(), "nobody"));
	ok(rota_actor_new(ctx, node_so, "no_class", NULL, 0, NULL, &a) == ROTA_EENV);
	struct rota_value two[2] = { v, v };

	ok(rota_actor_new(ctx, node_so, "counter", two, 2, NULL, &a) == 0 && rota_actor_wait(ctx, a, ROTA_FOREVER) == ROTA_EACTOR);
	ok(rota_call(ctx, a, "add", &v, 1, &r) == 0 && rota_get(ctx, r, &w, ROTA_FOREVER) == ROTA_EVALUE && w.n == 18 &&
	    memcmp(w.s, "one number at most", 18) == 0);
	rota_release(ctx, r);
	rota_actor_release(ctx, a);
}

int
main(void)
{
	struct rota_ctx *again;

	ctx = node_begin(2);
	ok(rota_init(&again, NULL) == 0 && again == ctx);
	rota_close(again);
	echo = node_fn(ctx, "echo");
	plain();
	strings();
	structures();
	built();
	refused();
	in_place();
	parts();
	references();
	failures();
	several();
	actors();
	rota_fn_free(ctx, echo);
	rota_close(ctx);
	return tap_done();
}
