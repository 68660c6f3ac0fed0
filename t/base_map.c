/* base_map.c - map and idmap against a plain array under random puts and deletes; order is of the keys alone */
#include <errno.h>
#include <stdlib.h>
#include "tap.h"
#include "base/idmap.h"
#include "base/map.h"

enum { KEYS = 3000 };

static uint64_t rnd = 88172645463325252ull;

static uint64_t
next(void)
{
	rnd ^= rnd << 13, rnd ^= rnd >> 7, rnd ^= rnd << 17;
	return rnd;
}

static uint64_t
key(unsigned k)			/* small, large and crowded ones */
{
	return k < 1000 ? k : k < 2000 ? hash_unmix(k) : UINT64_MAX - k;
}

static struct id
ident(unsigned k)
{
	return k < 1500 ? id_make(1, 2, k, 0) : id_make(k, k / 3, 9, k & 3);
}

static int
test_map(int rounds)
{
	static char val[KEYS][2];
	struct map m = MAP_INIT;
	void *shadow[KEYS] = { 0 };
	size_t n = 0, seen;
	int good = map_get(&m, 1) == NULL && map_del(&m, 1) == NULL && map_put(&m, 1, NULL) == -EINVAL, i;

	for (i = 0; i < rounds; i++) {
		unsigned k = (unsigned)(next() % KEYS);
		void *v = val[k] + next() % 2;

		if (next() % 3) {
			good &= map_put(&m, key(k), v) == 0;
			n += !shadow[k];
			shadow[k] = v;
		} else {
			good &= map_del(&m, key(k)) == shadow[k];
			n -= !!shadow[k];
			shadow[k] = NULL;
		}
		k = (unsigned)(next() % KEYS);
		good &= map_get(&m, key(k)) == shadow[k] && m.n == n;
	}
	seen = 0;
	for (struct map_iter it = MAP_ITER; map_next(&m, &it); seen++)
		good &= map_get(&m, it.key) == it.val;
	good &= seen == n;
	for (struct map_iter it = MAP_ITER; map_next(&m, &it); )	/* all may go during the walk */
		good &= map_del(&m, it.key) == it.val;
	good &= m.n == 0;
	map_release(&m);
	return good && m.slot == NULL;
}

static int
test_idmap(int rounds)
{
	static char val[KEYS][2];
	struct idmap m = IDMAP_INIT;
	void *shadow[KEYS] = { 0 };
	size_t n = 0, seen;
	int good = idmap_get(&m, ident(1)) == NULL && idmap_del(&m, ident(1)) == NULL, i;

	for (i = 0; i < rounds; i++) {
		unsigned k = (unsigned)(next() % KEYS);
		void *v = val[k] + next() % 2;

		if (next() % 3) {
			good &= idmap_put(&m, ident(k), v) == 0;
			n += !shadow[k];
			shadow[k] = v;
		} else {
			good &= idmap_del(&m, ident(k)) == shadow[k];
			n -= !!shadow[k];
			shadow[k] = NULL;
		}
		k = (unsigned)(next() % KEYS);
		good &= idmap_get(&m, ident(k)) == shadow[k] && m.n == n;
	}
	seen = 0;
	for (struct idmap_iter it = IDMAP_ITER; idmap_next(&m, &it); seen++)
		good &= idmap_get(&m, it.key) == it.val;
	good &= seen == n;
	for (struct idmap_iter it = IDMAP_ITER; idmap_next(&m, &it); )
		good &= idmap_del(&m, it.key) == it.val;
	good &= m.n == 0;
	idmap_release(&m);
	return good && m.slot == NULL;
}

/* Up and down, sparse and in a table that was once larger: the walk is the same. */
static int
test_order(void)
{
	struct map a = MAP_INIT, b = MAP_INIT;
	struct map_iter i = MAP_ITER, j = MAP_ITER;
	char v;
	unsigned k;
	int good = 1;

	for (k = 0; k < 500; k++)
		good &= map_put(&a, k, &v) == 0;
	for (k = 5000; k-- > 0; )
		good &= map_put(&b, k, &v) == 0;
	for (k = 500; k < 5000; k++)
		good &= map_del(&b, k) == &v;
	while (map_next(&a, &i))
		good &= map_next(&b, &j) && i.key == j.key;
	good &= !map_next(&b, &j) && a.len < b.len;
	map_release(&a);
	map_release(&b);
	return good;
}

int
main(void)
{
	struct map m = MAP_INIT;
	struct map_iter it = MAP_ITER;
	uint64_t i, last = 0, walked = 0;

	ok(!map_next(&m, &it));
	ok(test_map(200000));
	ok(test_idmap(200000));
	ok(test_order());
	for (i = 0; i < 2000; i++)		/* the last homes, which lean on the tail */
		map_put(&m, hash_unmix(UINT64_MAX - i), &last);
	ok(m.n == 2000 && map_get(&m, hash_unmix(UINT64_MAX)) == &last && map_get(&m, hash_unmix(UINT64_MAX - 1999)) == &last);
	for (it = (struct map_iter)MAP_ITER; map_next(&m, &it); walked++)
		last = it.key;
	ok(walked == 2000 && last == hash_unmix(UINT64_MAX));
	map_release(&m);
	return tap_done();
}
