/*
 * robj - the object store from the shell: what is put stays with the node until it is removed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "base/err.h"
#include "client/listing.h"
#include "os/fd.h"
#include "os/sig.h"
#include "robj.h"

const char help[] =
"usage: robj put [--ttl TIME] [--name NAME] [FILE ...]  keep bytes; prints the id\n"
"       robj get [ID ...]     values: bytes as they are, others as a line of JSON\n"
"       robj cat [ID ...]     bytes, one after the other\n"
"       robj exec ID COMMAND [ARG ...]  with the bytes at $ROTA_OFFSET of fd 3\n"
"       robj ls [FILTER ...]  what the node keeps, as COL=VALUE or COL~REGEX say\n"
"       robj show [ID ...]    all about one\n"
"       robj wait [-t TIME] [ID ...]  until they are there\n"
"       robj du [FILTER ...]  how much there is, by owner\n"
"       robj rm [ID ...]      forget objects\n"
"ID is a name, or 4 or more hex digits that begin only one id. Without ID the ids\n"
"are read from stdin, one a line; put without FILE keeps stdin.\n"
"put:    --ttl TIME   forget it after TIME, as 90, 10m, 1h; default: never\n"
"        --name NAME  a name, which no other object has\n"
"ls show du: -J JSON lines  -o COL,... columns  -r reverse  -w watch  --header\n"
"        -w  keep watching: redraws a terminal, a line an event in a pipe\n"
"all:    -A ADDR  the cluster, --address      -N NAME  namespace\n"
"        -q  -v  -h  -V   quiet, verbose, help, version\n"
"Examples:\n"
"        id=$(robj put <movie.wav); robj cat $id | sha256sum\n"
"        robj ls -o id | robj rm\n"
"man robj\n";

static const struct opt opts[] = { COMMON_OPTS, { 0 } };
static const char *const verbs[] = { "put", "get", "cat", "exec", "ls", "show", "wait", "du", "rm", NULL };

struct common common;

bool
common_opt(int c, const char *arg)
{
	switch (c) {
	case 'A': common.address = arg; return true;
	case 'N': common.namespace = arg; return true;
	case 'q': common.quiet = true; return true;
	case 'v': common.verbose = true; return true;
	}
	return false;
}

struct client *
join(bool put)
{
	const char *address = common.address ? common.address : getenv("ROTA_ADDRESS");
	bool named = address && *address, own = named && strcmp(address, "private") == 0;
	struct client_opts o = { .address = named ? address : "", .namespace = common.namespace, .name = "robj", .tool = true,
	    .err = -1 };
	struct client *c;
	char why[1024];
	int e = own ? ERR_NO_CLUSTER : client_open(&c, &o, why, sizeof why);

	if (e == ERR_NO_CLUSTER && (!named || own)) {
		if (put)
			die(125, 0, "no node is running: an object would vanish at once. Start one with 'rota up', or name a "
			    "cluster with -A");
		die(125, 0, "no node is running; start one with 'rota up', or name a cluster with -A");
	}
	if (e < 0)
		die(125, 0, "%s", why);
	return c;
}

void
kept_words(FILE *f)
{
	static const struct table_col cols[] = { { "id", TABLE_STRING }, { "name", TABLE_STRING }, { "kept", TABLE_BOOL }, { NULL, 0 } };
	const char *address = getenv("ROTA_ADDRESS");
	struct client_opts o = { .address = address ? address : "", .name = "robj", .tool = true, .err = -1 };
	struct listing l;
	struct client *c;
	char why[1024];

	if ((address && strcmp(address, "private") == 0) || client_open(&c, &o, why, sizeof why) < 0)
		return;
	if (listing_read(&l, c, "objects", cols, why, sizeof why) == 0 && listing_filter(&l, "kept=true", why, sizeof why) == 0)
		for (size_t i = 0; i < l.len; i++)
			for (unsigned k = 0; k < 2; k++) {
				const struct listing_cell *w = listing_at(&l, i, cols[k].name);
				const char *p = (const char *)l.text.data + w->off;

				if (!w->none && !memchr(p, '\n', w->len))
					fprintf(f, "%.*s\n", (int)w->len, p);
			}
	client_close(c);
}

void
ids_init(struct ids *i, int argc, char *argv[])
{
	*i = (struct ids){ .argv = argv, .in = argc == 0 };
	if (i->in && isatty(STDIN_FILENO) && !common.quiet)
		warn(0, "reading ids from the terminal, one a line; end with Ctrl-D");
}

const char *
ids_next(struct ids *i)
{
	ssize_t n;

	if (!i->in)
		return *i->argv ? *i->argv++ : NULL;
	do {
		errno = 0;
		if ((n = getline(&i->line, &i->cap, stdin)) < 0) {
			if (ferror(stdin))
				die(125, -errno, "cannot read stdin");
			free(i->line);
			i->line = NULL;
			return NULL;
		}
		if (n > 0 && i->line[n - 1] == '\n')
			i->line[--n] = '\0';
	} while (n == 0);
	return i->line;
}

int
each_id(int argc, char *argv[], int (*one)(struct client *cl, const char *name))
{
	struct opt_state o = { .opts = opts, .help = help, .verb = argv[0], .words = kept_words };
	struct client *cl;
	const char *name;
	struct ids ids;
	int c, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		common_opt(c, o.arg);
	cl = join(false);
	ids_init(&ids, argc - o.index, argv + o.index);
	while ((name = ids_next(&ids)) != NULL)
		status |= one(cl, name);
	client_close(cl);
	return status;
}

int
main(int argc, char *argv[])
{
	static int (*const run[])(int, char **) = { cmd_put, cmd_get, cmd_get, cmd_exec, cmd_ls, cmd_show, cmd_wait, cmd_du, cmd_rm };
	struct opt_state o = { .opts = opts, .help = help, .verbs = verbs };
	int c, e = -1;

	progname = "robj";
	fd_standard();
	sig_filesize();
	while ((c = opt_next(&o, argc, argv)) != -1)
		common_opt(c, o.arg);
	argc -= o.index, argv += o.index;
	if (argc && strcmp(argv[0], "status") == 0)
		argv[0] = (char *)"show";
	if (argc == 0)
		die(2, 0, "a verb is missing: put, get, cat, exec, ls, show, wait, du or rm; see robj -h");
	for (int i = 0; verbs[i]; i++)
		if (strcmp(argv[0], verbs[i]) == 0)
			e = run[i](argc, argv);
	if (e < 0)
		opt_unknown("verb", argv[0], verbs);
	if (fflush(stdout) || ferror(stdout))
		die(125, -errno, "cannot write to stdout");
	return e;
}
