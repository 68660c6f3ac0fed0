#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/grow.h"
#include "capi/cfn.h"
#include "capi/inner.h"
#include "capi/load.h"
#include "capi/run.h"

#define FNCACHE 256u
#define FEW 8u				/* arguments that lie on the stack */
#define DEPTH_MAX 64u			/* tasks inside each other: they share a stack */

struct chunk {				/* of rota_alloc */
	struct chunk *next;
	max_align_t bytes[];
};

struct crun {
	struct rota_ctx x;
	struct lib *libs;
	struct {			/* functions by where they lie in their submitter's slab */
		uint64_t serial;
		uint32_t proc, unit;
		rota_task *f;
	} cache[FNCACHE];
	const struct rota_method *class;	/* of the actor that this worker is */
	void *self;
	/* of the running task */
	struct running {
		const struct task_in *t;
		struct chunk *chunks;
		struct rec **later;	/* to be released at its end */
		size_t nlater, caplater, narg;	/* the first narg: values of arguments */
		char text[CAPI_WHY];	/* of rota_fail */
	} r;
	unsigned depth;			/* tasks that wait, each inside the one before */
};

struct crun *
crun_new(struct client *c)
{
	struct crun *u = calloc(1, sizeof *u);

	if (u) {
		u->x.c = c;
		u->x.run = u;
		capi_client = c;
	}
	return u;
}

bool
crun_is_class(const struct spec *s)
{
	struct cfn f;

	return cfn_get(&f, s->code, s->ncode) == 0;
}

bool
crun_is_actor(const struct crun *u)
{
	return u && u->class;
}

/* --- functions ---------------------------------------------------------------------------------------------------------- */

static rota_task *
function(struct crun *u, const struct task_in *t, char *why, size_t n)
{
	unsigned i = (t->rec.fn ^ t->proc * 31u) % FNCACHE;
	const unsigned char *p;
	unsigned char *copy;
	rota_task *f = NULL;

	if (u->cache[i].serial == t->fn.serial && u->cache[i].proc == t->proc && u->cache[i].unit == t->rec.fn)
		return u->cache[i].f;
	if (!(p = serve_code(u->x.c, t)) || t->fn.len > 2 * PATH_MAX || !(copy = malloc(t->fn.len + 1u))) {
		snprintf(why, n, "the function's bytes lie outside its submitter's slab");
		return NULL;
	}
	memcpy(copy, p, t->fn.len);	/* what is parsed does not change */
	copy[t->fn.len] = '\0';
	if (t->fn.kind == FN_METHOD) {
		for (const struct rota_method *m = u->class; m->name && !f; m++)
			if (strcmp(m->name, (char *)copy) == 0)
				f = m->f;
		if (!f)
			snprintf(why, n, "the actor has no method '%s'", t->fn.name);
	} else {
		*(void **)&f = load_symbol(&u->libs, copy, t->fn.len, why, n);
	}
	free(copy);
	if (f) {
		u->cache[i].serial = t->fn.serial;
		u->cache[i].proc = t->proc;
		u->cache[i].unit = t->rec.fn;
		u->cache[i].f = f;
	}
	return f;
}

/* --- arguments ---------------------------------------------------------------------------------------------------------- */

static int
later(struct crun *u, struct rec *r)
{
	struct rec **v = grow(u->r.later, &u->r.caplater, u->r.nlater, sizeof *v);

	if (!v)
		return -ENOMEM;
	u->r.later = v;
	u->r.later[u->r.nlater++] = r;
	return 0;
}

/* another object's value in place of an argument; it lies in the arena, or would have been copied here */
static int
valref(struct crun *u, const struct mp_tok *t, struct rota_value *v)
{
	struct client *c = u->x.c;
	struct wref w;
	struct rec *r;
	int e;

	if (t->n != WREF_SIZE)
		return ERR_PROTO;
	val_wref_unpack(&w, t->p);
	client_decoding(c, true);
	r = client_import(c, &w);
	client_decoding(c, false);
	if (!r || later(u, r) < 0)
		return -ENOMEM;
	e = rota_get(&u->x, ref_of(r), v, ROTA_FOREVER);
	return e;
}

static int
arguments(struct crun *u, const unsigned char *p, size_t n, unsigned nvals, const void *x, unsigned char form,
    struct rota_value *v)
{
	struct mp m = mp_read(p, n);
	int e = 0;

	for (unsigned i = 0; i < nvals && e == 0; i++) {
		struct mp look = m;
		struct mp_tok t = { 0 };

		if (form == FORM_ARGS && n > WREF_SIZE && mp_next(&look, &t) == 0 && t.kind == MP_EXT && t.ext == VAL_VALREF) {
			m = look;
			e = valref(u, &t, &v[i]);
		} else {
			struct rec *whole;

			if ((e = cread_value(&m, &v[i], form, x)) == 0 && v[i].type == ROTA_OTHER && cread_is_slice(&v[i]) &&
			    (e = cread_slice(&u->x, &v[i], form == FORM_ARGS, &whole)) == 0)
				e = later(u, whole);
		}
	}
	u->r.narg = u->r.nlater;
	return e;
}

/* --- the end of a task ---------------------------------------------------------------------------------------------------- */

static void
let_go(struct crun *u, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		client_release(u->x.c, u->r.later[i]);
}

static void
clean(struct crun *u)
{
	struct chunk *k;

	while ((k = u->r.chunks)) {
		u->r.chunks = k->next;
		free(k);
	}
	let_go(u, u->r.narg, u->r.nlater);
	u->r.nlater = u->r.narg = 0;
	u->r.t = NULL;
}

static int
error_put(struct crun *u, struct buf *b, int code, const char *task, unsigned attempt)
{
	if (code >= 0)
		snprintf(u->r.text, sizeof u->r.text, "the function returned %d", code);
	return val_error_put(b, &(struct val_err){ .code = code >= 0 ? ERR_TASK : code, .task = task, .attempt = attempt,
	    .message = *u->r.text ? u->r.text : err_str(code),
	    .node = (const char *)client_welcome(u->x.c)->node_name.p });
}

static void
fail(struct crun *u, struct task_in *t, int code)
{
	struct buf b = BUF_INIT;
	struct payload p;

	error_put(u, &b, code, t->fn.name, t->rec.attempt + 1u);
	let_go(u, 0, u->r.narg);
	p = (struct payload){ b.data, b.len, 1, PAYLOAD_ERROR, NULL, 0 };
	serve_done(u->x.c, t, &p, 0, false);
	buf_release(&b);
}

static int
publish(struct crun *u, struct task_in *t, const struct rota_value *v, size_t n, uint32_t ret, bool part)
{
	struct cenc c = { .x = &u->x };
	struct payload p;
	int e = cenc_values(&c, v, n);

	if (e == 0) {
		cenc_payload(&c, &p);
		if (!part && u->r.narg) {
			let_go(u, 0, u->r.narg);
			u->r.nlater -= u->r.narg;
			memmove(u->r.later, u->r.later + u->r.narg, u->r.nlater * sizeof *u->r.later);
			u->r.narg = 0;
		}
		if ((e = serve_done(u->x.c, t, &p, ret, part)) < 0)
			capi_failed(&u->x, e);
	}
	cenc_release(&c);
	return e;
}

static int
results(struct crun *u, struct task_in *t, const struct rota_value *out)
{
	struct rota_iter it;
	struct rota_value v;
	int e;

	if (t->fn.nret <= 1)
		return publish(u, t, out, 1, 0, false);
	if (out->type != ROTA_ARRAY || out->n != t->fn.nret)
		return capi_say(ROTA_EVALUE, "a task with returns=%d sets an array of as many elements", t->fn.nret);
	if ((e = rota_iter(&it, out)) < 0)
		return e;
	for (uint32_t i = 1; (e = rota_next(&it, &v)) > 0; i++)
		if ((e = publish(u, t, &v, 1, i, true)) < 0)
			return e;
	return e < 0 ? e : publish(u, t, NULL, 0, 0, false);
}

/* the straight path of a result: a plain value that fits a record, nothing held */
static inline bool
done_small(struct crun *u, struct task_in *t, const struct rota_value *out)
{
	unsigned char small[CENC_SMALL];
	struct payload p = { small, 0, 1, 0, NULL, 0 };
	int n;

	if (t->fn.nret > 1 || u->r.nlater || (n = cenc_small(small, out, 1)) < 0)
		return false;
	p.n = (size_t)n;
	return serve_done(u->x.c, t, &p, 0, false) == 0;
}

/* of a task that was told to end, that is its error, whatever it made of it */
static int
ended(struct crun *u, const struct task_in *t, int e)
{
	int why = serve_cancelled(u->x.c, t, true);

	if (why)
		snprintf(u->r.text, sizeof u->r.text, "%s", why == ERR_TIMEOUT ? LATE_TEXT : CANCEL_TEXT);
	return why ? why : e;
}

void
crun_task(struct crun *u, struct task_in *t)
{
	struct rota_value few[FEW], *v = few, out;
	rota_task *f;
	int e;

	u->r.t = t;
	u->r.text[0] = '\0';
	if (t->nvals > FEW && !(v = malloc(t->nvals * sizeof *v))) {
		fail(u, t, -ENOMEM);
		return;
	}
	serve_enter(u->x.c, t);
	if (!(f = function(u, t, u->r.text, sizeof u->r.text)))
		e = ERR_ENV;
	else
		e = arguments(u, t->args, t->n, t->nvals, t->arena ? cread_view(&t->view) : NULL, FORM_ARGS, v);
	if (e == 0) {
		memset(&out, 0, sizeof out);
		e = f(&u->x, v, t->nvals, &out);
		if (e == 0 && !done_small(u, t, &out) && (e = results(u, t, &out)) < 0)
			snprintf(u->r.text, sizeof u->r.text, "result: %.400s", rota_why());
	}
	if (e != 0)
		fail(u, t, ended(u, t, e));
	if (u->r.chunks || u->r.nlater)
		clean(u);
	u->r.t = NULL;
	if (v != few)
		free(v);
}

void
crun_own(struct crun *u, const struct rec *r)
{
	struct buf args = BUF_INIT;
	struct running was;
	struct task_in t;
	bool any = false;

	if (u->depth >= DEPTH_MAX || !u->r.t)
		return;
	while (!rec_is_ready(r)) {
		if (!any)
			serve_args_swap(u->x.c, &args);
		any = true;
		if (serve_own_of(u->x.c, &t, FN_C) != 1)
			break;
		was = u->r;
		memset(&u->r, 0, offsetof(struct running, text));
		u->depth++;
		crun_task(u, &t);
		u->depth--;
		free(u->r.later);
		u->r = was;
		serve_enter(u->x.c, u->r.t);
	}
	if (any)
		serve_args_swap(u->x.c, &args);
	buf_release(&args);
}

/* --- actors ---------------------------------------------------------------------------------------------------------------- */

static int
construct(struct crun *u, const struct spec *s, struct rota_value *v)
{
	struct rota_value out = rota_nil();
	const struct rota_method *m;
	int e;

	if (!(u->class = load_symbol(&u->libs, s->code, s->ncode, u->r.text, sizeof u->r.text)))
		return ERR_ENV;
	if (s->arena) {
		struct wref w;
		struct rec *r;

		val_wref_unpack(&w, s->args);
		if (!(r = client_import(u->x.c, &w)) || later(u, r) < 0)
			return -ENOMEM;
		u->r.narg = 1;
		if ((e = rota_get_all(&u->x, ref_of(r), v, s->nvals, ROTA_FOREVER)) < 0)
			return e;
	} else if ((e = arguments(u, s->args, s->nargs, s->nvals, NULL, FORM_REF, v)) < 0) {
		return e;
	}
	for (m = u->class; m->name && strcmp(m->name, "new") != 0; m++)
		;
	return m->name ? m->f(&u->x, v, s->nvals, &out) : 0;
}

void
crun_construct(struct crun *u, const struct spec *s)
{
	struct rota_value *v = malloc((s->nvals + 1u) * sizeof *v);
	struct buf b = BUF_INIT;
	int e;

	u->r.text[0] = '\0';
	e = v ? construct(u, s, v) : -ENOMEM;
	if (e != 0)
		error_put(u, &b, e == ROTA_ETASK || e > 0 ? ERR_ACTOR_DIED : e, "new", 0);
	let_go(u, 0, u->r.narg);
	clean(u);
	serve_actor_up(u->x.c, e == 0, b.data, b.len);
	buf_release(&b);
	free(v);
}

/* --- what a task may call -------------------------------------------------------------------------------------------------- */

int
rota_fail(struct rota_ctx *x, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(x->run ? x->run->r.text : capi_why(), CAPI_WHY, fmt, ap);
	va_end(ap);
	return code < 0 ? code : ROTA_ETASK;
}

void *
rota_alloc(struct rota_ctx *x, size_t n)
{
	struct chunk *k = x->run && n < SIZE_MAX - sizeof *k ? malloc(sizeof *k + n) : NULL;

	if (!k)
		return NULL;
	k->next = x->run->r.chunks;
	x->run->r.chunks = k;
	return k->bytes;
}

void
rota_defer(struct rota_ctx *x, struct rota_ref *r)
{
	if (x->run && r)
		later(x->run, rec_of(r));	/* without memory for it, it stays until the worker ends */
}

int
rota_cancelled(struct rota_ctx *x)
{
	int e = x->run && x->run->r.t ? serve_cancelled(x->c, x->run->r.t, true) : 0;

	return e ? capi_say(e, "%s", e == ERR_TIMEOUT ? LATE_TEXT : CANCEL_TEXT) : 0;
}

const char *
rota_task_name(struct rota_ctx *x)
{
	return x->run && x->run->r.t ? x->run->r.t->fn.name : "";
}

unsigned
rota_attempt(struct rota_ctx *x)
{
	return x->run && x->run->r.t ? x->run->r.t->rec.attempt + 1u : 0;
}

void
rota_set_self(struct rota_ctx *x, void *self)
{
	if (x->run)
		x->run->self = self;
}

void *
rota_self(struct rota_ctx *x)
{
	return x->run ? x->run->self : NULL;
}
