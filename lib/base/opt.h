/*
 * opt - option tables: parsing, the errors, -h, -V and shell completion of every program from one table.
 * For cmd/ only: wrong usage is one line on stderr and exit status 2.  Parsing stops at the first operand.
 *
 *	static const struct opt opts[] = {
 *		{ 'j', "jobs", "N", "run N at once" },
 *		{ OPT_BAR, "bar", NULL, "draw progress" },	an enum from 256 up: long only
 *		{ 'x', NULL, NULL, "exit if too long" },	letter only
 *		{ OPT_PIPE, "pipe", "[SIZE]", "blocks" },	[..]: the value is optional, --pipe=10M
 *		{ 0 }
 *	};
 *	struct opt_state o = { .opts = opts, .help = help };
 *	while ((c = opt_next(&o, argc, argv)) != -1)
 *		switch (c) { case 'j': ... o.arg ...; }
 *	argc -= o.index, argv += o.index;
 *
 * -h and --help print help, -V and --version the version line, --complete-words (hidden, first argument) the
 * words for completion; each then exits 0 and is not in the table.  For the options of a verb parse again
 * with a new state, .verb set, and argv starting at the verb.
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <getopt.h>
#include <stdio.h>

struct opt {
	int letter;		/* returned by opt_next; above 255 there is no short form */
	const char *name;	/* long name or NULL */
	const char *arg;	/* name of its value, NULL: takes none, "[..]": optional */
	const char *help;	/* a few words; may be NULL (an accepted alias) */
};

enum { OPT_MAX = 96 };		/* entries in one table */

struct opt_state {
	const struct opt *opts;		/* set by the caller, ends in {0} */
	const char *help;		/* set by the caller: printed by -h */
	const char *const *verbs;	/* set by the caller or NULL: NULL-ended, for completion */
	const char *verb;		/* set by the caller or NULL: for messages, "see rsubmit logs -h" */
	void (*words)(FILE *f);		/* set by the caller or NULL: writes the operands that there are, for completion: silent, fast */
	const char *arg;		/* value of the option returned last, NULL if none */
	int index;			/* first operand, once opt_next returned -1 */
	struct option longs[OPT_MAX + 5];	/* private */
	char letters[OPT_MAX * 3 + 8];	/* private */
};

int	opt_next(struct opt_state *o, int argc, char *argv[]);	/* a letter, or -1 at the end of the options */

/* "prog: no list 'job'; did you mean 'jobs'? see prog -h" and exit 2: what is the kind, "list", "verb". */
_Noreturn void	opt_unknown(const char *what, const char *w, const char *const *words);
/* "prog: cannot use '12q' for -t: expected a duration" and so on: wrong value of an option, exit 2. */
_Noreturn void	opt_bad(const char *option, const char *value, const char *expected);

void	opt_help(const char *help);		/* help to stdout, checked */
void	opt_version(void);			/* "rmap (rota) 0.1.0, Lua 5.4.4, protocol 1" */
void	opt_complete(FILE *f, const struct opt *opts, const char *const *verbs);	/* one word a line */

#endif
