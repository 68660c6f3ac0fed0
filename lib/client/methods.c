/*
 * methods - what a handle's bytes say: an array of the methods' names, then maybe a map of what callers must know:
 *	groups		array of the names of concurrency groups, in the order of their numbers, the first is 1
 *	methods		map: name -> map of the options that the class declared for calls of it
 *	max_pending	calls of one process that may be under way
 *	retries		of calls that had started when the actor died
 * They come from whoever made the actor: nothing here trusts them.
 */
#include "client/inner.h"
#include "wire/mp.h"

bool
actor_has(const struct actor *a, const char *name, size_t n)
{
	struct mp m = mp_read(a->methods, a->nmethods);
	struct mp_tok t;

	if (mp_next(&m, &t) < 0 || t.kind != MP_ARRAY)
		return false;
	for (size_t left = t.n; left > 0 && mp_next(&m, &t) == 0; left--)
		if (t.kind == MP_STR && t.n == n && memcmp(t.p, name, n) == 0)
			return true;
	return false;
}

struct span
methods_info(struct span methods, const char *key)
{
	struct mp m = mp_read(methods.p, methods.n);
	size_t n = strlen(key);
	struct mp_tok t;

	if (methods.n == 0 || mp_skip(&m) < 0 || m.p == m.end || mp_next(&m, &t) < 0 || t.kind != MP_MAP)
		return span_of(NULL, 0);
	for (size_t left = t.n; left > 0; left--) {
		const unsigned char *p;
		bool same;

		if (mp_next(&m, &t) < 0)
			break;
		same = t.kind == MP_STR && t.n == n && memcmp(t.p, key, n) == 0;
		p = m.p;
		if (mp_skip(&m) < 0)
			break;
		if (same)
			return span_of(p, (size_t)(m.p - p));
	}
	return span_of(NULL, 0);
}

struct span
actor_info(const struct actor *a, const char *key)
{
	return methods_info(span_of(a->methods, a->nmethods), key);
}

int
actor_group(const struct actor *a, const char *name, size_t n)
{
	struct span g = actor_info(a, "groups");
	struct mp m = mp_read(g.p, g.n);
	struct mp_tok t;

	if (g.n == 0 || mp_next(&m, &t) < 0 || t.kind != MP_ARRAY || t.n >= a->nlane)
		return ERR_NOTFOUND;
	for (size_t i = 1, all = t.n; i <= all && mp_next(&m, &t) == 0; i++)
		if (t.kind == MP_STR && t.n == n && memcmp(t.p, name, n) == 0)
			return (int)i;
	return ERR_NOTFOUND;
}
