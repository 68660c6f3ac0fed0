/* core_bundle.c - bundles of placement groups in messages: what was put is got back, and what makes no sense is refused */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "core/bundle.h"
#include "core/group.h"
#include "tap.h"

static struct lease_core names, others;

static int
get(bool make, struct span all, struct res **v, unsigned *n, char why[BUNDLE_WHY])
{
	why[0] = '\0';
	return bundles_get(&others, make, all, v, n, why);
}

int
main(void)
{
	struct res total = { { 0 } }, in[3] = { { { 1000, 500, 1 << 30 } }, { { 0, 0, 0 } }, { { INT32_MAX } } }, *v;
	struct lease_limits none = { .workers = 0 };
	struct buf b = BUF_INIT, many = BUF_INIT;
	char why[BUNDLE_WHY];
	unsigned n, bad = 0;

	lease_init(&names, &total, &none);
	lease_init(&others, &total, &none);
	in[1].v[lease_resource(&names, "ssd", 3, true)] = 2000;
	in[1].v[lease_resource(&names, "tpu", 3, true)] = 1500;
	lease_resource(&others, "tpu", 3, true);		/* it numbers them otherwise */
	for (int i = 0; i < 3; i++)
		ok(bundle_put(&names, &in[i], &b) == 0);
	ok(get(false, span_of(b.data, b.len), &v, &n, why) == ERR_NOTFOUND && strcmp(why, "a bundle needs 2 ssd") == 0);
	free(v);
	ok(get(true, span_of(b.data, b.len), &v, &n, why) == 0 && n == 3 && memcmp(&v[0], &in[0], sizeof v[0]) == 0 &&
	    memcmp(&v[2], &in[2], sizeof v[2]) == 0);
	ok(v[1].v[lease_resource(&others, "ssd", 3, false)] == 2000 && v[1].v[lease_resource(&others, "tpu", 3, false)] == 1500);
	free(v);
	for (size_t cut = 1; cut < b.len; cut++) {		/* whole ones, or nothing that makes sense */
		int e = get(true, span_of(b.data, cut), &v, &n, why);

		bad += e != ERR_PROTO && !(e == 0 && n < 3);
		free(v);
	}
	ok(bad == 0);
	ok(get(true, span_of(NULL, 0), &v, &n, why) == 0 && n == 0);
	free(v);
	for (unsigned i = 0; i <= GROUP_BUNDLES_MAX; i++)
		bundle_put(&names, &in[2], &many);
	ok(get(true, span_of(many.data, many.len), &v, &n, why) == -E2BIG);
	free(v);
	buf_release(&b);
	buf_release(&many);
	lease_release(&names);
	lease_release(&others);
	return tap_done();
}
