/* rm - forgetting what the node keeps */
#include "base/die.h"
#include "base/err.h"
#include "robj.h"

static int
forget(struct client *cl, const char *name)
{
	char why[512] = "";
	struct id id;
	int e;

	if ((e = client_lookup(cl, name, NULL, &id, why, sizeof why)) == 0)
		e = client_remove(cl, id, why, sizeof why);
	if (e == ERR_NOTFOUND) {
		if (!common.quiet)
			warn(0, "%s; nothing to remove", *why ? why : err_str(e));
		return 0;
	}
	if (e == ERR_NO_CLUSTER)
		die(125, 0, "%s", client_lost(cl) ? client_lost(cl) : "the node is gone");
	if (e < 0) {
		warn(0, "%s", *why ? why : err_str(e));
		return 1;
	}
	if (common.verbose)
		warn(0, "'%s' is removed", name);
	return 0;
}

int
cmd_rm(int argc, char *argv[])
{
	return each_id(argc, argv, forget);
}
