/* rmap - runs a command, or Lua, for each input line, in parallel, on this user's node. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "os/fd.h"
#include "os/sig.h"
#include "rmap.h"

static const char *
name_of(const struct options *o)	/* as rstat shows us */
{
	static char s[120];
	size_t n = (size_t)snprintf(s, sizeof s, "rmap%s", o->lua_name ? " -e" : "");

	for (int i = 0; i < o->argc && n < sizeof s - 1; i++)
		n += (size_t)snprintf(s + n, sizeof s - n, " %s", o->argv[i]);
	return s;
}

/* what one item takes of the node: with -j N and no -c so much that N fit at once */
static void
resources(struct options *o, uint64_t cpus)
{
	if (!o->cpus_given && o->jobs_given && !o->percent)
		o->task.cpus = o->jobs == 0 ? 0 : cpus / o->jobs < 1000 ? (uint32_t)(cpus / o->jobs) : 1000;
	if (o->nresources) {
		o->resources.data[0] = (unsigned char)(0x80 | o->nresources);
		o->task.resources = o->resources.data;
		o->task.nresources = o->resources.len;
	}
}

static void
notice(void *arg, const char *text)
{
	(void)arg;
	warn(0, "%s", text);
}

int
main(int argc, char *argv[])
{
	static struct options o;
	static struct run r;
	struct client_opts co = { .may_start = true, .err = -1 };
	char why[512];
	int e;

	progname = "rmap";
	fd_standard();
	sig_filesize();
	options_parse(&o, argc, argv);
	r.o = &o;
	if (o.lua_name)
		lines_check(&o);
	else
		commands_check(&r);
	if (o.dry)
		return run_dry(&r);
	co.address = o.address;
	co.namespace = o.namespace;
	co.name = name_of(&o);
	if ((e = client_open(&r.c, &co, why, sizeof why)) < 0)
		die(125, 0, "%s", *why ? why : "no node can be reached");
	if (!o.quiet)
		client_set_hooks(r.c, &(struct client_hooks){ .notice = notice });
	resources(&o, client_cpus(r.c));
	return run_all(&r);
}
