/* base_id.c - fields come back from an id and its text; prefixes name a range; hashes spread */
#include <errno.h>
#include <string.h>
#include "tap.h"
#include "base/id.h"

int
main(void)
{
	struct id a = id_make(0x12345678, 0x9abcdef0, 0x1122334455, 0x667788), b, lo, hi;
	unsigned bucket[256] = { 0 }, i, most = 0;
	char s[ID_TEXT];

	ok(id_task(a) == 0x1122334455 && id_ret(a) == 0x667788);
	ok(strcmp(id_format(s, a), "123456789abcdef01122334455667788") == 0);
	ok(id_prefix(s, &b, &hi) == 0 && id_eq(a, b) && id_eq(a, hi));
	ok(id_prefix("123456789ABCDEF01122334455667788", &b, &hi) == 0 && id_eq(a, b));
	ok(id_prefix("123456789abcdef011223344556677880", &b, &hi) == -EINVAL);
	ok(id_prefix("123456789abcdef0112233445566778g", &b, &hi) == -EINVAL && id_prefix("", &b, &hi) == -EINVAL && id_eq(a, b));
	b = id_make(UINT32_MAX, UINT32_MAX, ID_TASK_MAX, ID_RET_MAX);
	ok(id_task(b) == ID_TASK_MAX && id_ret(b) == ID_RET_MAX && b.seq == UINT64_MAX);
	ok(id_none((struct id){ 0 }) && !id_none(a));

	ok(id_prefix("123", &lo, &hi) == -EINVAL && id_prefix("12x4", &lo, &hi) == -EINVAL);
	ok(id_prefix("1234", &lo, &hi) == 0 && lo.node == 0x12340000 && hi.node == 0x1234ffff && lo.seq == 0 && hi.seq == UINT64_MAX);
	ok(id_cmp(lo, a) < 0 && id_cmp(a, hi) < 0 && id_cmp(a, a) == 0);
	ok(id_prefix("123456789abcdef01122", &lo, &hi) == 0 && id_cmp(lo, a) <= 0 && id_cmp(a, hi) <= 0 && lo.seq >> 48 == 0x1122);
	ok(id_prefix("123456789abcdef01122334455667788", &lo, &hi) == 0 && id_eq(lo, a) && id_eq(hi, a));

	for (i = 0; i < 25600; i++)
		bucket[id_hash(id_make(1, 7, i, 0)) >> 56]++;	/* top bits of consecutive tasks: a map's home */
	for (i = 0; i < 256; i++)
		if (bucket[i] > most)
			most = bucket[i];
	ok(most < 160);						/* 100 on average */
	return tap_done();
}
