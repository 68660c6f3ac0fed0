#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/bundle.h"
#include "core/group.h"
#include "wire/mp.h"

int
bundle_custom(struct lease_core *names, struct res *r, struct span *custom, bool make)
{
	struct mp m = mp_read(custom->p, custom->n);
	struct mp_tok map, key, val;
	unsigned i;

	if (custom->n == 0)
		return 0;
	if (mp_next(&m, &map) < 0 || (map.kind != MP_MAP && !(map.kind == MP_ARRAY && map.n == 0)))
		return ERR_PROTO;
	while (map.n-- > 0) {
		if (mp_next(&m, &key) < 0 || key.kind != MP_STR || mp_next(&m, &val) < 0 || val.kind != MP_INT || val.i < 0 ||
		    val.i > INT32_MAX)
			return ERR_PROTO;
		if (val.i == 0)
			continue;
		if ((i = lease_resource(names, (const char *)key.p, key.n, make)) < RES_CUSTOM || i >= RES_MAX) {
			*custom = span_of(key.p, key.n);
			r->v[RES_CPU] = val.i;	/* how much, for the message */
			return ERR_NOTFOUND;
		}
		r->v[i] = val.i;
	}
	return 0;
}

static int
get(struct lease_core *names, bool make, struct mp *r, struct res *bundle, char why[BUNDLE_WHY])
{
	struct mp_tok t, v[4];
	struct span custom;
	int e;

	if (mp_next(r, &t) < 0 || t.kind != MP_ARRAY || t.n != 4)
		return ERR_PROTO;
	for (int i = 0; i < 4; i++)
		if (mp_next(r, &v[i]) < 0 || (i < 3 ? v[i].kind != MP_INT || v[i].i < 0 : v[i].kind != MP_BIN))
			return ERR_PROTO;
	if (v[0].u > INT32_MAX || v[1].u > INT32_MAX || v[2].u > INT64_MAX / 1024)
		return ERR_PROTO;
	*bundle = (struct res){ .v = { [RES_CPU] = v[0].i, [RES_GPU] = v[1].i, [RES_MEM] = v[2].i } };
	custom = span_of(v[3].p, v[3].n);
	if ((e = bundle_custom(names, bundle, &custom, make)) == ERR_NOTFOUND)
		snprintf(why, BUNDLE_WHY, "a bundle needs %g %.*s", (double)bundle->v[RES_CPU] / 1000,
		    (int)(custom.n < 64 ? custom.n : 64), (const char *)custom.p);
	return e;
}

int
bundles_get(struct lease_core *names, bool make, struct span all, struct res **v, unsigned *n, char why[BUNDLE_WHY])
{
	struct mp r = mp_read(all.p, all.n);
	int e = 0;

	*v = NULL;
	*n = 0;
	while (e == 0 && r.p < r.end) {
		if (*n >= GROUP_BUNDLES_MAX)
			return -E2BIG;
		if (*n % 16 == 0) {
			struct res *more = reallocarray(*v, *n + 16, sizeof *more);

			if (more == NULL)
				return -ENOMEM;
			*v = more;
		}
		e = get(names, make, &r, &(*v)[*n], why);
		*n += e == 0 || e == ERR_NOTFOUND;
	}
	return e;
}

int
bundle_put(const struct lease_core *names, const struct res *r, struct buf *b)
{
	struct buf custom = BUF_INIT;
	uint32_t k = 0;
	int e = 0;

	for (unsigned i = RES_CUSTOM; i < RES_MAX; i++)
		k += r->v[i] > 0;
	if (k)
		e = mp_put_map(&custom, k);
	for (unsigned i = RES_CUSTOM; k && e == 0 && i < RES_MAX; i++)
		if (r->v[i] > 0 && (e = mp_put_str(&custom, names->name[i], strlen(names->name[i]))) == 0)
			e = mp_put_int(&custom, r->v[i]);
	if (e == 0 && (e = mp_put_array(b, 4)) == 0 && (e = mp_put_int(b, r->v[RES_CPU])) == 0 &&
	    (e = mp_put_int(b, r->v[RES_GPU])) == 0 && (e = mp_put_int(b, r->v[RES_MEM])) == 0)
		e = mp_put_bin(b, custom.data, custom.len);
	buf_release(&custom);
	return e;
}
