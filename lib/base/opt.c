#include <errno.h>
#include <lua.h>		/* for the number of its release only: nothing is linked */
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/near.h"
#include "base/opt.h"
#include "base/version.h"

enum { HELP = 0x10000, VERSION };	/* beyond any program's letters */

static void
prepare(struct opt_state *o)
{
	char *l = o->letters;
	struct option *g = o->longs;
	const struct opt *p;

	*l++ = '+', *l++ = ':';
	for (p = o->opts; p->letter && p - o->opts < OPT_MAX; p++) {
		int has = !p->arg ? no_argument : *p->arg == '[' ? optional_argument : required_argument;

		if (p->name)
			*g++ = (struct option){ p->name, has, NULL, p->letter };
		if (p->letter > 255)
			continue;
		*l++ = (char)p->letter;
		if (has != no_argument)
			*l++ = ':';
		if (has == optional_argument)
			*l++ = ':';
	}
	*l++ = 'h', *l++ = 'V', *l = '\0';
	*g++ = (struct option){ "help", no_argument, NULL, HELP };
	*g++ = (struct option){ "version", no_argument, NULL, VERSION };
	*g = (struct option){ 0 };
	optind = 0;			/* glibc: a fresh start */
	opterr = 0;
}

static const char *
see(const struct opt_state *o, char s[64])
{
	snprintf(s, 64, "see %.20s%s%.20s -h", progname, o->verb ? " " : "", o->verb ? o->verb : "");
	return s;
}

static _Noreturn void
bad_long(const struct opt_state *o, const char *word)
{
	const char *words[OPT_MAX + 5], *near;
	size_t n = 0, len = strcspn(word + 2, "="), i, match = 0;
	char name[64], hint[64];

	snprintf(name, sizeof name, "%.*s", (int)(len < 60 ? len : 60), word + 2);
	for (; o->longs[n].name; n++) {
		words[n] = o->longs[n].name;
		match += strncmp(words[n], name, len) == 0;
	}
	if (match > 1) {
		size_t at = 0;
		char list[160] = "";

		for (i = 0; i < n; i++)
			if (strncmp(words[i], name, len) == 0 && at < sizeof list)
				at += (size_t)snprintf(list + at, sizeof list - at, "%s--%s", at ? ", " : "", words[i]);
		die(2, 0, "option '--%s' is ambiguous (%s); %s", name, list, see(o, hint));
	}
	if ((near = near_word(name, words, n)))
		die(2, 0, "unknown option '--%s'; did you mean '--%s'? %s", name, near, see(o, hint));
	die(2, 0, "unknown option '--%s'; %s", name, see(o, hint));
}

static _Noreturn void
bad(const struct opt_state *o, int c, char *argv[])
{
	const char *word = argv[optind - 1];	/* getopt has moved behind something */
	const struct opt *p;
	char name[64], hint[64];

	if (c == '?' && optopt == 0)
		bad_long(o, word);
	for (p = o->opts; p->letter && p->letter != optopt; p++)
		;
	if (strncmp(word, "--", 2) == 0 && word[2])
		snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
	else if (optopt > 255)
		snprintf(name, sizeof name, "--%s", p->name);
	else
		snprintf(name, sizeof name, "-%c", optopt);
	if (c == ':')
		die(2, 0, "option '%s' needs a value%s%s; %s", name, p->letter && p->arg ? ": " : "",
			p->letter && p->arg ? p->arg : "", see(o, hint));
	if (p->letter || optopt > 255)
		die(2, 0, "option '%s' takes no value; %s", name, see(o, hint));
	die(2, 0, "unknown option '%s'; %s", name, see(o, hint));
}

static _Noreturn void
done(void)
{
	if (fflush(stdout) || ferror(stdout))
		die(125, -errno, "cannot write to stdout");
	exit(0);
}

int
opt_next(struct opt_state *o, int argc, char *argv[])
{
	int c;

	if (!o->letters[0]) {
		if (argc > 1 && strcmp(argv[1], "--complete-words") == 0) {
			opt_complete(stdout, o->opts, o->verbs);
			if (o->words)
				o->words(stdout);
			done();
		}
		prepare(o);
	}
	c = getopt_long(argc, argv, o->letters, o->longs, NULL);
	o->arg = optarg;
	o->index = optind;
	switch (c) {
	case 'h':
	case HELP:
		opt_help(o->help);
		done();
	case 'V':
	case VERSION:
		opt_version();
		done();
	case '?':
	case ':':
		bad(o, c, argv);
	}
	return c;
}

void
opt_unknown(const char *what, const char *w, const char *const *words)
{
	size_t n = 0;
	const char *near;

	while (words[n])
		n++;
	if ((near = near_word(w, words, n)))
		die(2, 0, "no %s '%s'; did you mean '%s'? see %s -h", what, w, near, progname);
	die(2, 0, "no %s '%s'; see %s -h", what, w, progname);
}

void
opt_bad(const char *option, const char *value, const char *expected)
{
	die(2, 0, "cannot use '%s' for %s: expected %s", value, option, expected);
}

void
opt_help(const char *help)
{
	fputs(help ? help : "", stdout);
}

void
opt_version(void)
{
	printf("%s (rota) %s, %s, protocol %d\n", progname, ROTA_VERSION, LUA_RELEASE, ROTA_PROTOCOL);
}

void
opt_complete(FILE *f, const struct opt *opts, const char *const *verbs)
{
	const struct opt *p;

	for (p = opts; p->letter; p++) {
		if (p->name && p->help)
			fprintf(f, "--%s\n", p->name);
		if (p->letter < 256)
			fprintf(f, "-%c\n", p->letter);
	}
	fputs("--help\n-h\n--version\n-V\n", f);
	for (; verbs && *verbs; verbs++)
		fprintf(f, "%s\n", *verbs);
}
