/*
 * fn - functions as they are submitted: bytes shared by hash, a header block in the slab, options, a resource shape.
 */
#include <stdio.h>
#include "base/hash.h"
#include "client/inner.h"

void
task_opts_init(struct task_opts *o)
{
	*o = (struct task_opts){ .cpus = 1000, .retries = 3, .retry_on = RETRY_CRASH };
}

/* --- functions ------------------------------------------------------------------------------------------- */

static struct fncode *
code_l(struct client *c, const void *p, size_t n)
{
	struct hash128 h = hash128(p, n);
	struct id key = { (uint32_t)(h.a >> 32), (uint32_t)h.a, h.b };
	struct fncode *k = idmap_get(&c->codes, key);

	if (k && k->len == n) {
		k->count++;
		return k;
	}
	if (!(k = calloc(1, sizeof *k)))
		return NULL;
	k->hash[0] = h.a;
	k->hash[1] = h.b;
	k->len = (uint32_t)n;
	k->count = 1;
	k->unit = n == 0 ? 0 : n <= SLAB_BLOCK_MAX ? slab_alloc(&c->slab, n) : slab_run(&c->slab, n);
	if (n && k->unit == 0) {
		free(k);
		return NULL;
	}
	if (n)
		memcpy(slab_at(&c->slab, k->unit), p, n);
	idmap_put(&c->codes, key, k);
	return k;
}

static void
code_free_l(struct client *c, struct fncode *k)
{
	struct id key = { (uint32_t)(k->hash[0] >> 32), (uint32_t)k->hash[0], k->hash[1] };

	if (--k->count)
		return;
	if (idmap_get(&c->codes, key) == k)
		idmap_del(&c->codes, key);
	if (k->unit && k->len <= SLAB_BLOCK_MAX)
		slab_free(&c->slab, k->unit);
	free(k);
}

/* what fits of name: of a path its end, for that has the file and the line */
static const char *
short_name(const char *name, size_t n)
{
	size_t len = strlen(name);
	const char *slash;

	if (len <= n)
		return name;
	name += len - n;
	return (slash = strchr(name, '/')) != NULL && slash[1] ? slash + 1 : name;
}

static int
fn_make_l(struct client *c, enum fn_kind kind, struct fncode *code, const char *name, const struct task_opts *o,
    struct fn **out)
{
	static _Atomic uint64_t serial;		/* this process's: never used again */
	struct fn *fn = calloc(1, sizeof *fn), **v;
	struct fnblk *b;
	uint32_t u = slab_alloc(&c->slab, sizeof *b);

	if (!fn || !u)
		goto nomem;
	if (c->fn_free == c->nfn) {		/* fn_free: first index that may be free */
		uint32_t n = c->nfn ? c->nfn * 2 : 16;

		if (!(v = realloc(c->fn, n * sizeof *v)))
			goto nomem;
		memset(v + c->nfn, 0, (n - c->nfn) * sizeof *v);
		c->fn = v;
		c->nfn = n;
	}
	if (kind != FN_METHOD && !(fn->shape = shape_l(c, o)))
		goto nomem;
	fn->opts = *o;
	if (fn->shape)
		fn->shape->fns++;
	c->priorities |= o->priority != 0;
	fn->opts.resources = NULL;
	fn->opts.nresources = 0;
	fn->opts.on = NULL;
	fn->unit = u;
	fn->priv = c->fn_free;
	fn->count = 1;
	fn->est = EST_UNKNOWN;
	fn->code = code;
	snprintf(fn->name, sizeof fn->name, "%s", name);
	c->fn[fn->priv] = fn;
	while (c->fn_free < c->nfn && c->fn[c->fn_free])
		c->fn_free++;
	b = slab_at(&c->slab, u);
	*b = (struct fnblk){ .serial = ++serial, .hash = { code->hash[0], code->hash[1] }, .bytes = code->unit,
	    .len = code->len, .kind = (uint8_t)kind, .nret = (uint8_t)(o->returns > 1 ? o->returns : 0),
	    .once = o->retries == 0 && kind != FN_METHOD, .priv = fn->priv, .flags = o->stream ? FNBLK_STREAM : 0,
	    .namelen = (uint8_t)strlen(fn->name) };
	snprintf(b->name, sizeof b->name, "%.*s", (int)sizeof b->name - 1, short_name(fn->name, sizeof b->name - 1));
	*out = fn;
	return 0;
nomem:
	if (u)
		slab_free(&c->slab, u);
	free(fn);
	return -ENOMEM;
}

int
client_fn(struct client *c, enum fn_kind kind, const void *p, size_t n, const char *name, const struct task_opts *o,
    struct fn **fn)
{
	struct fncode *k;
	int e = -ENOMEM;

	lock_take(&c->lock);
	if ((k = code_l(c, p, n)) && (e = fn_make_l(c, kind, k, name, o, fn)) < 0)
		code_free_l(c, k);
	lock_drop(&c->lock);
	return e;
}

void
fn_unref_l(struct client *c, struct fn *fn)
{
	if (--fn->count)
		return;
	if (fn->captured)
		fn_unref_l(c, fn->captured);
	if (fn->shape)
		fn->shape->fns--;
	code_free_l(c, fn->code);
	slab_free(&c->slab, fn->unit);
	c->fn[fn->priv] = NULL;
	if (fn->priv < c->fn_free)
		c->fn_free = fn->priv;
	free(fn);
}

void
client_fn_free(struct client *c, struct fn *fn)
{
	lock_take(&c->lock);
	fn_unref_l(c, fn);
	lock_drop(&c->lock);
}

/* fn as a task in a capturing placement group submits it: from any bundle of that group */
struct fn *
fn_captured_l(struct client *c, struct fn *fn)
{
	struct task_opts o = fn->opts;

	if (!fn->shape || !id_none(o.group))
		return fn;
	if (fn->captured && id_eq(fn->captured->opts.group, c->pgroup))
		return fn->captured;
	o.group = c->pgroup;
	o.capture = true;
	o.spread = false;
	o.resources = fn->shape->opts.resources;
	o.nresources = fn->shape->opts.nresources;
	if (fn->captured)
		fn_unref_l(c, fn->captured);
	fn->captured = NULL;
	fn->code->count++;
	if (fn_make_l(c, ((struct fnblk *)slab_at(&c->slab, fn->unit))->kind, fn->code, fn->name, &o, &fn->captured) < 0) {
		code_free_l(c, fn->code);
		return NULL;
	}
	fn->captured->est = fn->est;
	return fn->captured;
}

const char *
client_task_name(struct client *c, const struct rec *r)
{
	return r->fn ? fn_of(c, r->fn)->name : NULL;
}
