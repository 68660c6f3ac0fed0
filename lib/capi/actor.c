/*
 * actor - actors from C, whatever they are written in.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include "base/hash.h"
#include "capi/cfn.h"
#include "capi/inner.h"

static struct actor *
actor_of(struct rota_actor *a)
{
	return (struct actor *)(void *)a;
}

void
rota_actor_defaults(struct rota_actor_options *o)
{
	memset(o, 0, sizeof *o);
}

static int
options(struct actor_spec *s, const struct rota_actor_options *o)
{
	task_opts_init(&s->opts);
	s->opts.cpus = 0;
	s->opts.retries = 0;
	if (!o)
		return 0;
	if (!(o->cpus >= 0 && o->cpus < 1e6) || !(o->gpus >= 0 && o->gpus < 1e6))
		return capi_say(-EINVAL, "an option of an actor is out of its range");
	s->opts.cpus = (uint32_t)(o->cpus * 1000 + .5);
	s->opts.gpus = (uint32_t)(o->gpus * 1000 + .5);
	s->opts.memory = o->memory;
	s->opts.retries = o->retries;
	s->restarts = o->restarts < 0 ? UINT32_MAX : (uint32_t)o->restarts;
	s->name = o->name;
	s->detached = o->detached != 0;
	return 0;
}

/* The names of the class's methods, which handles carry: the shared object is looked into here, in the caller. */
static int
methods(const struct cfn *f, struct buf *b)
{
	void *h = dlopen(f->path, RTLD_LAZY|RTLD_LOCAL);	/* what its tasks call need not be there */
	const struct rota_method *m = h ? dlsym(h, f->symbol) : NULL;
	size_t n = 0, all = 0;
	int e;

	if (!m) {
		e = capi_say(ROTA_EENV, "cannot load class '%s': %s", f->symbol, dlerror());
		if (h)
			dlclose(h);
		return e;
	}
	for (; m[all].name; all++)
		n += strcmp(m[all].name, "new") != 0;
	e = mp_put_array(b, n);
	for (size_t i = 0; e == 0 && i < all; i++)
		if (strcmp(m[i].name, "new") != 0)
			e = mp_put_str(b, m[i].name, strlen(m[i].name));
	dlclose(h);
	return e;
}

/* as an argument of a constructor a reference stands for its value, as for tasks; here it is waited for */
static int
expand(struct rota_ctx *x, struct rota_value *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].type == ROTA_REF && v[i].form == FORM_OWN && v[i].ref) {
			int e = rota_get(x, v[i].ref, &v[i], ROTA_FOREVER);

			if (e < 0)
				return e;
		}
	return 0;
}

int
rota_actor_new(struct rota_ctx *x, const char *path, const char *symbol, const struct rota_value *args, size_t n,
    const struct rota_actor_options *o, struct rota_actor **out)
{
	struct rota_value *v = malloc((n + 1) * sizeof *v);
	struct actor_spec s = { .class = symbol };
	struct buf code = BUF_INIT, names = BUF_INIT;
	struct cenc c = { .x = x };
	struct payload p;
	struct cfn f;
	struct actor *a;
	int e = v ? 0 : -ENOMEM;

	if (e == 0 && n)
		memcpy(v, args, n * sizeof *v);
	if (e < 0 || (e = options(&s, o)) < 0 || (e = cfn_find(&f, path, symbol, capi_why(), CAPI_WHY)) < 0 ||
	    (e = cfn_put(&code, &f)) < 0 || (e = methods(&f, &names)) < 0 || (e = expand(x, v, n)) < 0 ||
	    (e = cenc_values(&c, v, n)) < 0)
		goto out;
	cenc_payload(&c, &p);
	s.args = &p;
	s.code = code.data;
	s.ncode = code.len;
	s.methods = names.data;
	s.nmethods = names.len;
	*capi_why() = '\0';
	if ((e = client_actor_new(x->c, &s, &a, capi_why(), CAPI_WHY)) == 0)
		*out = (struct rota_actor *)(void *)a;
	else if (!*capi_why())
		capi_failed(x, e);
out:
	cenc_release(&c);
	buf_release(&code);
	buf_release(&names);
	free(v);
	return e;
}

int
rota_find(struct rota_ctx *x, const char *space, const char *name, struct rota_actor **out)
{
	struct actor *a;
	int e = client_actor_find(x->c, space ? space : "", name, &a, capi_why(), CAPI_WHY);

	if (e < 0)
		return *capi_why() ? e : capi_failed(x, e);
	*out = (struct rota_actor *)(void *)a;
	return 0;
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

static struct fn *
method_l(struct rota_ctx *x, const char *name, int retries, unsigned lane)
{
	size_t n = strlen(name);
	uint64_t key = hash64(name, n) + (uint64_t)(uint32_t)retries * 64 + lane;
	struct method *first = map_get(&x->methods, key), *m;
	struct task_opts o;

	for (m = first; m; m = m->next)
		if (m->retries == retries && m->lane == lane && strcmp(m->name, name) == 0)
			return m->fn;
	if (!(m = malloc(sizeof *m + n + 1)))
		return NULL;
	memcpy(m->name, name, n + 1);
	m->retries = retries;
	m->lane = lane;
	m->next = first;
	task_opts_init(&o);
	o.retries = retries;
	o.lane = lane;
	if (client_fn(x->c, FN_METHOD, name, n, name, &o, &m->fn) < 0 || map_put(&x->methods, key, m) < 0) {
		free(m);
		return NULL;
	}
	return m->fn;
}

/* the concurrency group that the class declared for calls of this method; 0: none */
static unsigned
lane_of(const struct actor *a, const char *name)
{
	struct span all = actor_info(a, "methods");
	struct rota_value map, of, group;
	struct mp m = mp_read(all.p, all.n);
	char why[CAPI_WHY];
	int g = 0;

	if (all.n == 0)
		return 0;
	memcpy(why, capi_why(), sizeof why);		/* that it says nothing is no failure */
	if (cread_value(&m, &map, FORM_REF, NULL) == 0 && rota_field(&map, name, &of) == 0 &&
	    rota_field(&of, "group", &group) == 0 && group.type == ROTA_STRING)
		g = actor_group(a, group.s, group.n);
	memcpy(capi_why(), why, sizeof why);
	return g > 0 ? (unsigned)g : 0;
}

int
rota_call(struct rota_ctx *x, struct rota_actor *actor, const char *name, const struct rota_value *args, size_t n,
    struct rota_ref **out)
{
	struct actor *a = actor_of(actor);
	unsigned char small[CENC_SMALL];
	int len = cenc_small(small, args, n), e = 0;
	struct payload p = { small, (size_t)len, (unsigned)n, 0, NULL, 0 };
	struct cenc c;
	struct fn *fn;

	if (!actor_has(a, name, strlen(name)))
		return capi_say(ROTA_ENOTFOUND, "actor '%s' has no method '%s'", actor_class(a), name);
	lock_take(&x->lock);
	fn = method_l(x, name, actor_retries(a), lane_of(a, name));
	lock_drop(&x->lock);
	if (!fn)
		return capi_failed(x, -ENOMEM);
	if (len < 0) {
		c = (struct cenc){ .x = x, .top = true };
		if ((e = cenc_values(&c, args, n)) < 0) {
			cenc_release(&c);
			return e;
		}
		cenc_payload(&c, &p);
	}
	while ((e = client_call(x->c, a, fn, &p, (struct rec **)(void *)out)) == -EAGAIN && (e = capi_room(x)) == 0)
		;
	if (len < 0)
		cenc_release(&c);
	return e < 0 ? capi_failed(x, e) : 0;
}

int
rota_actor_wait(struct rota_ctx *x, struct rota_actor *a, int64_t timeout)
{
	int e = client_actor_wait(x->c, actor_of(a), capi_deadline(timeout));

	return e == -ETIMEDOUT || e == -EINTR ? e : capi_failed(x, e);
}

int
rota_stop(struct rota_ctx *x, struct rota_actor *a)
{
	return client_actor_end(x->c, actor_of(a), true, false);
}

int
rota_kill(struct rota_ctx *x, struct rota_actor *a, int restart)
{
	return client_actor_end(x->c, actor_of(a), false, restart != 0);
}

void
rota_actor_release(struct rota_ctx *x, struct rota_actor *a)
{
	if (a)
		client_actor_drop(x->c, actor_of(a));
}
