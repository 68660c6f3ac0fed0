/* opts - the command line of rmap. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "base/num.h"
#include "base/opt.h"
#include "core/labels.h"
#include "rmap.h"
#include "wire/mp.h"

#define BLOCK_DEFAULT (UINT64_C(1) << 20)

static const char help[] =
"usage: rmap [options] [--] command [arg ...]    run command for each input line\n"
"       rmap [options] -e LUA | -f FILE          run Lua for each input line\n"
"words: {} item  {.} without extension  {/} basename  {//} dirname  {/.} both\n"
"       {#} number  {%} slot  {1} {2} column\n"
"input:  -0 NUL ends items   -d CHAR   -a FILE   ::: a b c   -C REGEX columns\n"
"        -n N items a command   -X as many as fit\n"
"        --pipe[=10M] blocks of stdin to the command   --recend S   --header\n"
"run:    -j N at once (CPUs)   -c CPUS -g GPUS -m MEM -R NAME=N\n"
"        -s one text, by sh -c   -t DUR each   --retries N   --ok 0,1\n"
"        --halt now|soon,fail|success|done=N   --delay DUR   --dry-run\n"
"files:  -D DIR send, run in   --wd DIR   --send FILE   --return FILE\n"
"        -E NAME[=VALUE] | -E none\n"
"output: -k input order   --tag   --line-buffer   -u at once   --results DIR\n"
"        --joblog FILE   --resume   --resume-failed   -J   --bar   -q   -v\n"
"where:  -A ADDRESS (ROTA_ADDRESS, else your node, else a private one)\n"
"exit:   0 all well, 1 some failed, 2 usage, 124 time, 125 rota failed,\n"
"        126 command cannot run, 127 command not found\n"
"\n"
"        find . -name '*.wav' -print0 | rmap -0 --bar -- ffmpeg -i {} {.}.mp3\n"
"        seq 3 | rmap -k -e 'line * line'\n"
"See man rmap.\n";

enum {
	OPT_PIPE = 256, OPT_RECEND, OPT_HEADER, OPT_RETRIES, OPT_OK, OPT_WD, OPT_TAG, OPT_REQUIRE, OPT_CITE, OPT_LINE,
	OPT_HALT, OPT_DELAY, OPT_DRY, OPT_TAGSTRING, OPT_RESULTS, OPT_JOBLOG, OPT_RESUME, OPT_RESUME_FAILED, OPT_BAR,
	OPT_SEND, OPT_RETURN, OPT_ON, OPT_ENV_FILE,
};

static const struct opt table[] = {
	{ '0', "null", NULL, "NUL bytes end items" },
	{ 'd', "delimiter", "CHAR", "CHAR ends items" },
	{ 'a', "arg-file", "FILE", "items from FILE" },
	{ 'C', "colsep", "REGEX", "columns {1} {2} of an item" },
	{ 'I', "replace", "STR", "STR stands for {}" },
	{ 'n', "max-args", "N", "items a command" },
	{ 'X', "fill", NULL, "as many items as fit" },
	{ OPT_PIPE, "pipe", "[SIZE]", "blocks of stdin to the command" },
	{ OPT_RECEND, "recend", "STR", "STR ends records" },
	{ OPT_HEADER, "header", NULL, "line 1 heads each block" },
	{ 'j', "jobs", "N", "at once" },
	{ 'P', "max-procs", "N", NULL },
	{ 'c', "cpus", "CPUS", "CPUs of an item" },
	{ 'g', "gpus", "GPUS", "GPUs of an item" },
	{ 'm', "memory", "SIZE", "memory of an item" },
	{ 'R', "resource", "NAME=N", "resource of an item" },
	{ 's', "shell", NULL, "the command is text for sh -c" },
	{ 't', "timeout", "DUR", "time limit of an item" },
	{ OPT_RETRIES, "retries", "N", "further tries" },
	{ OPT_OK, "ok", "LIST", "statuses that are success" },
	{ OPT_HALT, "halt", "WHEN", "when to start nothing more" },
	{ OPT_DELAY, "delay", "DUR", "time between two starts" },
	{ OPT_DRY, "dry-run", NULL, "print the commands only" },
	{ OPT_WD, "wd", "DIR", "run in DIR" },
	{ 'D', "dir", "DIR", "send DIR and run in it" },
	{ OPT_SEND, "send", "FILE", "a file that commands read" },
	{ OPT_RETURN, "return", "FILE", "a file that commands make" },
	{ OPT_ON, "on", "LABELS", "nodes with these labels" },
	{ 'E', "env", "NAME[=VALUE]", "pass or set a variable" },
	{ OPT_ENV_FILE, "env-file", "FILE", "variables from FILE" },
	{ 'k', "keep-order", NULL, "output in input order" },
	{ OPT_TAG, "tag", NULL, "item and TAB before each line" },
	{ OPT_TAGSTRING, "tagstring", "TEXT", "TEXT and TAB before each line" },
	{ OPT_RESULTS, "results", "DIR", "output into files too" },
	{ OPT_JOBLOG, "joblog", "FILE", "a line for each command that ended" },
	{ OPT_RESUME, "resume", NULL, "skip what the job log has" },
	{ OPT_RESUME_FAILED, "resume-failed", NULL, "skip what succeeded" },
	{ 'J', "json", NULL, "one JSON object a command" },
	{ OPT_BAR, "bar", NULL, "show progress on a terminal" },
	{ 'e', "expr", "LUA", "Lua for each line" },
	{ 'f', "file", "FILE", "Lua from FILE" },
	{ 'b', "batch", "N", "lines of a block with -e" },
	{ OPT_REQUIRE, "require", "MODULE", "load MODULE for -e" },
	{ 'A', "address", "ADDRESS", "which node" },
	{ 'N', "namespace", "NAME", "namespace" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "show each command" },
	{ 'r', "no-run-if-empty", NULL, NULL },
	{ 'S', "sshlogin", "HOST", NULL },
	{ OPT_LINE, "line-buffer", NULL, "whole lines as they come" },
	{ 'u', "ungroup", NULL, "output as it comes" },
	{ OPT_CITE, "will-cite", NULL, NULL },
	{ 0 }
};

static unsigned
number(const char *option, const char *s, unsigned least)
{
	unsigned n;

	if (num_uint(s, &n) < 0 || n < least)
		opt_bad(option, s, least ? "a number from 1 up" : "a number");
	return n;
}

static uint32_t
thousandths(const char *option, const char *s)
{
	char *end;
	double v = strtod(s, &end);

	if (!*s || *end || !(v >= 0) || v > 2000000)
		opt_bad(option, s, "a number such as 2 or 0.5");
	return (uint32_t)(v * 1000 + 0.5);
}

static int
delimiter(const char *s)
{
	static const char from[] = "ntrfva0\\", to[] = "\n\t\r\f\v\a\0\\";
	const char *p;
	char *end;
	long v;

	if (s[0] && !s[1])
		return (unsigned char)s[0];
	if (s[0] == '\\' && s[1] && !s[2] && (p = strchr(from, s[1])))
		return (unsigned char)to[p - from];
	if (s[0] == '\\' && s[1] == 'x' && s[2] && (v = strtol(s + 2, &end, 16)) >= 0 && v < 256 && !*end)
		return (int)v;
	opt_bad("-d", s, "one byte, or \\n \\t \\0 \\xHH");
}

static void
ok_list(struct options *o, const char *s)
{
	const char *p = s;
	char *end;

	memset(o->ok, 0, sizeof o->ok);
	do {
		long v = strtol(p, &end, 10);

		if (end == p || v < 0 || v > 255 || (*end && *end != ','))
			opt_bad("--ok", s, "statuses such as 0,1");
		o->ok[v] = true;
		p = end + 1;
	} while (*end);
}

static void
resource(struct options *o, const char *s)
{
	const char *eq = strchr(s, '=');

	if (!eq || eq == s || o->nresources == 15)
		opt_bad("-R", s, "NAME=N");
	if (o->nresources++ == 0)
		mp_put_map(&o->resources, 0);		/* its size is set at the end */
	mp_put_str(&o->resources, s, (size_t)(eq - s));
	mp_put_uint(&o->resources, thousandths("-R", eq + 1));
}

static void
on(struct options *o, const char *s)
{
	struct label_expr e = { 0 };
	char why[LABELS_WHY];

	if (label_expr_parse(&e, span_text(s), why) < 0)
		die(2, 0, "--on: %s", why);
	label_expr_release(&e);
	o->task.on = *s ? s : NULL;
}

static void
jobs(struct options *o, const char *s)
{
	size_t n = strlen(s);
	char num[16];

	o->jobs_given = true;
	if (n > 1 && n < sizeof num && s[n - 1] == '%') {
		snprintf(num, sizeof num, "%.*s", (int)(n - 1), s);
		if (num_uint(num, &o->percent) < 0 || o->percent == 0)
			opt_bad("-j", s, "a number, 0 for no limit, or a percentage");
	} else if (num_uint(s, &o->jobs) < 0) {
		opt_bad("-j", s, "a number, 0 for no limit, or a percentage");
	}
}

/* now|soon,fail|success|done=N, or never */
static void
halt(struct options *o, const char *s)
{
	static const char *const on[] = { "fail=", "success=", "done=" };
	const char *p = s;

	o->halt = HALT_NEVER;
	if (strcmp(s, "never") == 0)
		return;
	if (strncmp(p, "now,", 4) == 0)
		o->halt = HALT_NOW;
	else if (strncmp(p, "soon,", 5) == 0)
		o->halt = HALT_SOON;
	p += o->halt == HALT_NOW ? 4 : 5;
	for (int i = 0; o->halt != HALT_NEVER && i < 3; i++)
		if (strncmp(p, on[i], strlen(on[i])) == 0 && num_uint(p + strlen(on[i]), &o->halt_n) == 0 && o->halt_n > 0) {
			o->halt_on = i == 0 ? ON_FAIL : i == 1 ? ON_SUCCESS : ON_DONE;
			return;
		}
	opt_bad("--halt", s, "now or soon, a comma, and fail=N, success=N or done=N");
}

static void
push(const char ***v, unsigned *n, const char *s)
{
	if (!(*v = realloc(*v, (*n + 2) * sizeof **v)))
		die(125, -ENOMEM, "cannot read the options");
	(*v)[(*n)++] = s;
	(*v)[*n] = NULL;
}

static void
lua_text(struct options *o, const char *s)
{
	if (o->lua_name)
		die(2, 0, "-e and -f are given once; join the texts with a newline");
	o->lua_name = "-e";
	buf_add(&o->lua, s, strlen(s));
}

static void
lua_file(struct options *o, const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (o->lua_name)
		die(2, 0, "-e and -f are given once");
	if (fd < 0)
		die(2, -errno, "cannot read '%s'", name);
	do {
		if (buf_reserve(&o->lua, 65536) < 0 || (n = read(fd, o->lua.data + o->lua.len, 65536)) < 0)
			die(2, -errno, "cannot read '%s'", name);
		o->lua.len += (size_t)n;
	} while (n > 0);
	close(fd);
	o->lua_name = name;
	o->lua_file = true;
}

static void
one(struct options *o, int c, const char *arg)
{
	static unsigned nrequire;
	int64_t ns;
	uint64_t u;

	switch (c) {
	case '0': o->delim = 0; break;
	case 'd': o->delim = delimiter(arg); break;
	case 'a': o->file = arg; break;
	case 'C': o->columns = arg; break;
	case 'I': o->replace = arg; break;
	case 'n': o->n = number("-n", arg, 1); break;
	case 'b': o->batch = number("-b", arg, 1); break;
	case 'X': o->fill = true; break;
	case OPT_PIPE:
		o->pipe = true;
		if (arg && (num_size(arg, &o->block) < 0 || o->block == 0 || o->block > UINT32_MAX))
			opt_bad("--pipe", arg, "a size such as 10M");
		break;
	case OPT_RECEND: o->recend = arg; break;
	case OPT_HEADER: o->header = true; break;
	case 'j':
	case 'P': jobs(o, arg); break;
	case 'c':
		o->task.cpus = thousandths("-c", arg);
		o->task.threads = o->task.cpus <= 1000 ? 1 : o->task.cpus / 1000;
		o->cpus_given = true;
		break;
	case 'g': o->task.gpus = thousandths("-g", arg); break;
	case 'm':
		if (num_size(arg, &u) < 0)
			opt_bad("-m", arg, "a size such as 512M");
		o->task.memory = u;
		break;
	case 'R': resource(o, arg); break;
	case 's': o->shell = true; break;
	case 't':
		if (num_duration(arg, &ns) < 0)
			opt_bad("-t", arg, "a duration such as 90, 1.5m or 2h");
		o->timeout = ns;
		break;
	case OPT_RETRIES: o->retries = number("--retries", arg, 0); break;
	case OPT_OK: ok_list(o, arg); break;
	case OPT_WD: o->wd = arg; break;
	case 'E': environ_option(o, arg); break;
	case OPT_ENV_FILE: environ_file(o, arg); break;
	case 'k': o->keep = true; break;
	case OPT_TAG: o->tag = true; break;
	case OPT_TAGSTRING: o->tagstring = arg; break;
	case OPT_HALT: halt(o, arg); break;
	case OPT_DELAY:
		if (num_duration(arg, &ns) < 0)
			opt_bad("--delay", arg, "a duration such as 0.5 or 10ms");
		o->delay = ns;
		break;
	case OPT_DRY: o->dry = true; break;
	case OPT_RESULTS: o->results = arg; break;
	case OPT_JOBLOG: o->joblog = arg; break;
	case OPT_RESUME_FAILED: o->resume_failed = true; o->resume = true; break;
	case OPT_RESUME: o->resume = true; break;
	case OPT_BAR: o->bar = true; break;
	case 'J': o->json = true; break;
	case 'e': lua_text(o, arg); break;
	case 'f': lua_file(o, arg); break;
	case OPT_REQUIRE: push(&o->require, &nrequire, arg); break;
	case 'A': o->address = arg; break;
	case 'N': o->namespace = arg; break;
	case 'q': o->quiet = true; break;
	case 'v': o->verbose = true; break;
	case 'S': die(2, 0, "hosts are no option: name a node with -A or ROTA_ADDRESS");
	case 'u': o->live = LIVE_RAW; break;
	case OPT_LINE: o->live = LIVE_LINES; break;
	case 'D': o->wd = arg; break;		/* this machine has it already */
	case OPT_SEND: o->send = true; break;
	case OPT_RETURN: o->give = true; break;
	case OPT_ON: on(o, arg); break;
	}
}

/* -e and -f take no command's options and the other way round */
static void
combine(const struct options *o)
{
	static const char *const both = "%s does not go with %s";
	const struct { bool given; const char *name; } wrong[] = {
		{ o->shell, "-s" }, { o->pipe, "--pipe" }, { o->fill, "-X" }, { o->n, "-n (is -b meant?)" }, { o->replace, "-I" },
		{ o->timeout, "-t" }, { o->retries, "--retries" }, { o->tag || o->tagstring, "--tag" }, { o->header, "--header" },
		{ o->halt, "--halt" }, { o->delay, "--delay" }, { o->dry, "--dry-run" }, { o->results, "--results" },
		{ o->joblog || o->resume, "--joblog" }, { o->json, "-J" }, { o->wd || o->nenv || o->bare, o->wd ? "--wd" : "-E" },
		{ o->live, "-u" }, { o->send || o->give, o->send ? "--send" : "--return" },
	};

	if (o->lua_name) {
		if (o->argc)
			die(2, 0, "-%c runs Lua, not a command: '%s' is one too many", o->lua_file ? 'f' : 'e', o->argv[0]);
		for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
			if (wrong[i].given)
				die(2, 0, both, wrong[i].name, o->lua_file ? "-f" : "-e");
		return;
	}
	if (o->argc == 0)
		die(2, 0, "no command; see rmap -h");
	if (o->batch || o->require)
		die(2, 0, "%s needs -e or -f", o->batch ? "-b" : "--require");
	if (o->shell && o->argc > 1)
		die(2, 0, "-s takes one text: quote it as a whole");
	if (o->columns && (o->n > 1 || o->fill))
		die(2, 0, both, "-C", o->fill ? "-X" : "-n");
	if (o->pipe && (o->has_args || o->fill || o->columns || o->tag || o->tagstring))
		die(2, 0, both, "--pipe", o->has_args ? ":::" : o->fill ? "-X" : o->columns ? "-C" : "--tag");
	if (o->live && (o->keep || o->json || o->results))
		die(2, 0, both, o->live == LIVE_RAW ? "-u" : "--line-buffer", o->keep ? "-k" : o->json ? "-J" : "--results");
	if (o->live == LIVE_RAW && (o->tag || o->tagstring))
		die(2, 0, both, "-u (is --line-buffer meant?)", "--tag");
	if (o->resume && !o->joblog)
		die(2, 0, "--resume needs --joblog");
	if (o->recend && !o->pipe)
		die(2, 0, "--recend needs --pipe; -d ends items");
}

void
options_parse(struct options *o, int argc, char *argv[])
{
	struct opt_state s = { .opts = table, .help = help };
	int c;

	o->delim = '\n';
	o->block = BLOCK_DEFAULT;
	o->ok[0] = true;
	task_opts_init(&o->task);
	while ((c = opt_next(&s, argc, argv)) != -1)
		one(o, c, s.arg);
	o->argv = argv + s.index;
	o->argc = argc - s.index;
	for (int i = 0; i < o->argc && !o->has_args; i++)
		if (strcmp(o->argv[i], ":::") == 0) {
			o->has_args = true;
			o->args = o->argv + i + 1;
			o->nargs = o->argc - i - 1;
			o->argc = i;
		}
	for (int i = 0; i < o->nargs; i++)
		if (strcmp(o->args[i], ":::") == 0)
			die(2, 0, "a second ':::': there is one list of items; for pairs give lines with columns, -C");
	if (o->has_args && o->file)
		die(2, 0, "-a and ::: both give items");
	combine(o);
}
