/* base_opt.c - options from a table: values, long-only, optional ones; one-line errors, exit 2; -h -V; completion */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tap.h"
#include "base/die.h"
#include "base/opt.h"

enum { BAR = 256, PIPE };

static const struct opt opts[] = {
	{ 'j', "jobs", "N", "at once" },
	{ 'k', "keep-order", NULL, "input order" },
	{ 'x', NULL, NULL, "letter only" },
	{ BAR, "bar", NULL, "progress" },
	{ BAR, "progress", NULL, NULL },
	{ PIPE, "pipe", "[SIZE]", "blocks" },
	{ 'o', "columns", "COL", "columns" },
	{ 0 }
};
static const char *const verbs[] = { "ls", "show", NULL };

static char out[8192];

/* Parses argv in a child and leaves all it wrote in out: "letter=value " for each option, then the operands. */
static int
parse(char *const *argv)
{
	int p[2], st, c, argc = 0;
	size_t n = 0;
	ssize_t r;

	while (argv[argc])
		argc++;
	fflush(stdout);
	if (pipe(p) < 0)
		return -1;
	if (fork() == 0) {
		struct opt_state o = { .opts = opts, .help = "usage: tool\n", .verbs = verbs };

		dup2(p[1], 1), dup2(p[1], 2);
		progname = "tool";
		while ((c = opt_next(&o, argc, (char **)argv)) != -1)
			printf(c < 256 ? "%c=%s " : "%d=%s ", c, o.arg ? o.arg : "");
		for (c = o.index; c < argc; c++)
			printf("%s ", argv[c]);
		exit(0);
	}
	close(p[1]);
	while (n < sizeof out - 1 && (r = read(p[0], out + n, sizeof out - 1 - n)) > 0)
		n += (size_t)r;
	out[n] = '\0';
	close(p[0]);
	return wait(&st) > 0 && WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static int
is(const char *want)
{
	if (strcmp(out, want) == 0)
		return 1;
	printf("# %s# wanted %s\n", out, want);
	return 0;
}

#define ARGS(...) (char *[]){ (char *)"tool", __VA_ARGS__, NULL }

int
main(void)
{
	ok(parse(ARGS("-j", "3", "-kx", "--jobs=4", "ls", "-k")) == 0 && is("j=3 k= x= j=4 ls -k "));
	ok(parse(ARGS("--keep", "--bar", "--progress", "-j5", "--", "-k")) == 0 && is("k= 256= 256= j=5 -k "));
	ok(parse(ARGS("--pipe", "--pipe=10M", "10M")) == 0 && is("257= 257=10M 10M "));
	ok(parse(ARGS("--foo")) == 2 && is("tool: unknown option '--foo'; see tool -h\n"));
	ok(parse(ARGS("--jbos=7")) == 2 && is("tool: unknown option '--jbos'; did you mean '--jobs'? see tool -h\n"));
	ok(parse(ARGS("-z")) == 2 && is("tool: unknown option '-z'; see tool -h\n"));
	ok(parse(ARGS("-kz")) == 2 && is("tool: unknown option '-z'; see tool -h\nk= "));
	ok(parse(ARGS("--p", "x")) == 2 && is("tool: option '--p' is ambiguous (--progress, --pipe); see tool -h\n"));
	ok(parse(ARGS("-j")) == 2 && is("tool: option '-j' needs a value: N; see tool -h\n"));
	ok(parse(ARGS("--jobs")) == 2 && is("tool: option '--jobs' needs a value: N; see tool -h\n"));
	ok(parse(ARGS("--bar=3")) == 2 && is("tool: option '--bar' takes no value; see tool -h\n"));
	ok(parse(ARGS("--keep-order=3")) == 2 && is("tool: option '--keep-order' takes no value; see tool -h\n"));
	ok(parse(ARGS("--co", "a")) == 0 && is("o=a "));		/* --complete-words is no option to people */
	ok(parse(ARGS("-h")) == 0 && is("usage: tool\n") && parse(ARGS("-k", "--help")) == 0 && is("k= usage: tool\n"));
	ok(parse(ARGS("-V")) == 0 && strncmp(out, "tool (rota) 0.1.0, Lua 5.4.", 27) == 0 && strstr(out, ", protocol 1\n"));
	ok(parse(ARGS("--complete-words")) == 0 && strncmp(out, "--jobs\n-j\n", 10) == 0);
	ok(strstr(out, "--bar\n") && strstr(out, "-x\n") && strstr(out, "--help\n") && strstr(out, "\nls\nshow\n") && !strstr(out, "--progress"));
	return tap_done();
}
