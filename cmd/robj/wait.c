/* wait - until objects are there */
#include <errno.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/err.h"
#include "base/num.h"
#include "robj.h"

static const struct opt wait_opts[] = { { 't', "timeout", "TIME", "wait no longer" }, COMMON_OPTS, { 0 } };

int
cmd_wait(int argc, char *argv[])
{
	struct opt_state o = { .opts = wait_opts, .help = help, .verb = "wait", .words = kept_words };
	uint64_t deadline = WAIT_FOREVER;
	struct client *cl;
	const char *name;
	struct ids ids;
	int64_t ns;
	int c, e, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case 't':
			if (num_duration(o.arg, &ns) < 0)
				opt_bad("-t", o.arg, "a time, as 90, 10m or 1h");
			deadline = clock_ns() + (uint64_t)ns;
			break;
		default: common_opt(c, o.arg);
		}
	cl = join(false);
	ids_init(&ids, argc - o.index, argv + o.index);
	while ((name = ids_next(&ids)) != NULL) {
		char why[512] = "";
		struct id id;

		if ((e = client_lookup_wait(cl, name, deadline, &id, why, sizeof why)) == 0)
			continue;
		if (e == ERR_NO_CLUSTER)
			die(125, 0, "%s", client_lost(cl) ? client_lost(cl) : "the node is gone");
		if (e == -ETIMEDOUT && !common.quiet)
			warn(0, "no object '%s' came within the time", name);
		else if (e != -ETIMEDOUT)
			warn(0, "%s", *why ? why : err_str(e));
		status = e == -ETIMEDOUT ? 124 : 1;
	}
	client_close(cl);
	return status;
}
