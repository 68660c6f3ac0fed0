/* capi_node.h - for capi_*.c: a directory of its own with the shared object in it, a node of its own */
#ifndef T_CAPI_NODE_H
#define T_CAPI_NODE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "capi/rota.h"
#include "tap.h"

static char node_dir[64], node_so[96];

static void
node_end(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'", node_dir);
	if (*node_dir && system(cmd) != 0)
		perror("rm");
}

static struct rota_ctx *
node_begin(unsigned cpus)
{
	struct rota_options o = { .cpus = cpus, .name = "capi test" };
	struct rota_ctx *ctx;
	char cmd[512];

	strcpy(node_dir, "/tmp/capi.XXXXXX");
	if (!mkdtemp(node_dir))
		exit(1);
	atexit(node_end);
	snprintf(node_so, sizeof node_so, "%s/so.so", node_dir);
	snprintf(cmd, sizeof cmd, "${CC:-cc} -x c -std=c11 -O1 -Wall -Wextra -Werror -shared -fPIC -D_GNU_SOURCE -Ilib/capi -o '%s' t/capi_so.h",
	    node_so);
	unsetenv("ROTA_ADDRESS");
	unsetenv("ROTA_NAMESPACE");
	setenv("ROTA_DIR", node_dir, 1);
	if (system(cmd) != 0)
		exit(1);
	if (rota_init(&ctx, &o) < 0) {
		printf("# %s\n", rota_why());
		exit(1);
	}
	return ctx;
}

static inline struct rota_fn *
node_fn(struct rota_ctx *ctx, const char *symbol)
{
	struct rota_fn *fn;

	if (rota_cfunc(ctx, node_so, symbol, NULL, &fn) < 0) {
		printf("# %s\n", rota_why());
		exit(1);
	}
	return fn;
}

/* fn(args) waited for: 0 or the code; *r is to be released */
static inline int
node_call(struct rota_ctx *ctx, struct rota_fn *fn, const struct rota_value *args, size_t n, struct rota_value *v, struct rota_ref **r)
{
	int e = rota_submit(ctx, fn, args, n, r);

	return e < 0 ? e : rota_get(ctx, *r, v, ROTA_FOREVER);
}

#endif
