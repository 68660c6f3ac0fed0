/*
 * bundle - bundles of placement groups as messages have them: msgpack arrays, one after the other, of CPUs and GPUs in
 * thousandths, memory in bytes, and a binary that holds a map from names of custom resources to thousandths, or nothing.
 */
#ifndef CORE_BUNDLE_H
#define CORE_BUNDLE_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/span.h"
#include "core/lease.h"

#define BUNDLE_WHY 160u

/*
 * The amounts of such a map, in the numbers that names has for custom resources; with make it gets those that it lacks.
 * 0; ERR_PROTO; ERR_NOTFOUND for a resource that is not known, then *custom is its name and r->v[RES_CPU] how much.
 */
int	bundle_custom(struct lease_core *names, struct res *r, struct span *custom, bool make);
/*
 * All of them: *v and *n.  0; ERR_PROTO, -ENOMEM, -E2BIG for more than GROUP_BUNDLES_MAX, or
 * ERR_NOTFOUND as above, then why says "a bundle needs 1 ssd".  *v is to be freed in any case.
 */
int	bundles_get(struct lease_core *names, bool make, struct span all, struct res **v, unsigned *n, char why[BUNDLE_WHY]);
int	bundle_put(const struct lease_core *names, const struct res *r, struct buf *b);		/* appends one: 0 or -ENOMEM */

#endif
