/*
 * rmap - what its files share.  Items come from items.c (through input.c), become command lines in template.c, are
 * submitted and waited for in run.c, and written in output.c.  commands.c and lines.c are the two kinds of work:
 * programs, and Lua called for lines (-e).
 */
#ifndef RMAP_H
#define RMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/list.h"
#include "client/client.h"
#include "client/command.h"

struct options {
	const char *address, *namespace;
	/* input */
	int delim;			/* byte that ends items */
	const char *file;		/* -a */
	const char *columns;		/* -C */
	const char *replace;		/* -I: stands for {} */
	unsigned n;			/* items a command; 0: not given */
	unsigned batch;			/* -b: lines of a block; 0: not given */
	bool fill;			/* -X */
	bool pipe;
	uint64_t block;			/* bytes of a block */
	const char *recend;
	bool header;
	char **args;			/* after ::: */
	int nargs;
	bool has_args;
	/* running */
	unsigned jobs;			/* 0: no limit */
	unsigned percent;		/* -j 50% */
	bool jobs_given, cpus_given;
	struct task_opts task;
	struct buf resources;
	unsigned nresources;
	bool shell;
	int64_t timeout;
	unsigned retries;
	bool ok[256];			/* statuses that are success */
	bool dry;
	int64_t delay;
	/* what the first failure or success does */
	enum { HALT_NEVER, HALT_SOON, HALT_NOW } halt;
	enum { ON_FAIL, ON_SUCCESS, ON_DONE } halt_on;
	unsigned halt_n;
	/* environment */
	const char *wd;
	bool bare;			/* -E none */
	const char **env;		/* -E NAME[=VALUE], nenv of them */
	unsigned nenv;
	/* output */
	bool keep, tag, json, bar, quiet, verbose;
	const char *tagstring;
	enum { LIVE_NOT, LIVE_LINES, LIVE_RAW } live;	/* --line-buffer, -u */
	bool send, give;		/* --send, --return: on one machine nothing has to go anywhere */
	const char *results, *joblog;
	bool resume, resume_failed;
	/* Lua */
	struct buf lua;
	const char *lua_name;		/* NULL: commands are run */
	bool lua_file;
	const char **require;		/* NULL-ended, or NULL */
	char *path, *cpath;		/* where modules are found: package.path */
	/* the command */
	char **argv;
	int argc;
};

void	options_parse(struct options *o, int argc, char *argv[]);	/* exits on -h, -V and wrong usage */

/* --- environ.c: the variables of commands -------------------------------------------------------------------------- */
void	environ_option(struct options *o, const char *s);	/* of -E: NAME, NAME=VALUE or none; s must stay */
void	environ_file(struct options *o, const char *name);	/* of --env-file: such lines; empty ones and # are left out */
void	environ_build(const struct options *o, struct buf *b);	/* all of them, each with its NUL */
const char *environ_path(const struct buf *env);		/* where it says that programs are */

/* --- input.c: bytes from a descriptor, without making the main thread wait ----------------------------------- */
struct input;
struct input *input_open(int fd, void (*wake)(void *), void *arg);	/* wake: from another thread, once there is more */
int	input_fill(struct input *in, struct buf *b);	/* > 0 appended; 0 end; -EAGAIN nothing yet; -errno */

/* --- items.c --------------------------------------------------------------------------------------------------- */
struct items {				/* where items come from */
	const struct options *o;
	struct input *in;		/* NULL: o->args */
	struct buf buf;
	size_t pos, seen;		/* next item in buf; bytes of it looked at already */
	bool end;
	uint64_t number;		/* items given out */
	int at;				/* next of o->args */
	struct buf head;		/* --header's line */
	bool header_due;
};
struct item {				/* lies in items.buf until the next call */
	const char *p;
	size_t n;
};
int	items_open(struct items *s, const struct options *o, void (*wake)(void *), void *arg);	/* 0 or -errno */
int	items_next(struct items *s, struct item *i);	/* 1; 0: no more; -EAGAIN; -errno */
void	items_unget(struct items *s);			/* the last one comes again */
/*
 * Up to max bytes that end at the end of an item (or a single longer item), or limit items (0: any number).
 * hungry: rather a small block now than a full one later.  *count: items in it.
 */
int	items_block(struct items *s, size_t max, uint64_t limit, bool hungry, struct item *block, uint64_t *count);

/* --- template.c ------------------------------------------------------------------------------------------------ */
struct batch {				/* the items of one command */
	struct buf text;		/* each with a NUL after it */
	size_t *off;			/* n + 1 offsets */
	size_t n, cap;
	uint64_t first;			/* number of the first one */
	bool nul;			/* one of them holds a NUL byte */
};
int	batch_add(struct batch *b, const struct item *i);
static inline const char *
batch_item(const struct batch *b, size_t i)
{
	return (const char *)b->text.data + b->off[i];
}

struct template;
/* append: the item comes last where no placeholder occurs */
struct template *template_new(const struct options *o, char *const *words, int n, bool append);
/* strings into text, one after the other, each with its NUL: how many there are */
unsigned template_expand(const struct template *t, const struct batch *b, uint64_t seq, unsigned slot, struct buf *text);
bool	template_fixed(const struct template *t);	/* the program's name depends on no item */

/* --- run.c -------------------------------------------------------------------------------------------------------- */
struct job {				/* a command or block under way, or done and not yet written */
	struct list link;		/* in run.order, for -k */
	uint64_t seq;			/* from 1 */
	uint64_t first;			/* number of its first item */
	uint64_t start;			/* clock_ns() of its submission */
	unsigned slot, tries;
	bool done;
	struct rec *rec;		/* its result, once done */
	unsigned argc;
	char *label;			/* its first item, or all with --tag; for -e NULL */
	char *tag;			/* of --tagstring, or NULL */
	char *argv;			/* argc strings in turn */
	void *in;			/* --pipe with retries: the block */
	size_t nin;
};

struct run {
	const struct options *o;
	struct client *c;
	struct items items;
	struct template *template, *tag;	/* tag: --tagstring's, or NULL */
	struct fn *fn;
	struct waitset *set;
	struct list order;
	size_t under, limit;		/* jobs under way; at most */
	uint64_t held;			/* bytes of results that wait for their turn (-k) */
	uint64_t seq;
	uint64_t done, failed, timed_out;	/* items: commands, or lines */
	uint64_t succeeded;
	uint64_t skipped;		/* --resume: done before */
	char first[256];		/* the first failure in words */
	uint64_t first_seq;
	bool input_end, stopping;
	uint8_t *slot;			/* in use */
	unsigned nslot, low;
	int halt_status;		/* with --halt: the deciding job's own; -1 */
	bool halt_now;			/* what still runs was told to end, */
	uint64_t next_term;		/* and is told again then */
	uint64_t next_start;		/* --delay: not before; 0 */
	struct batch batch;		/* being collected */
	size_t batch_bytes;
	struct buf text, args;
	const char **argv;
	size_t nargv;
};

extern volatile int run_signal;		/* that asked us to end; 0 none */

int	run_all(struct run *r);		/* the exit status */
int	run_dry(struct run *r);
void	run_drop(struct run *r, struct job *j);	/* it will not run */
struct job *run_job(struct run *r, uint64_t first);	/* a new one with number and slot */
int	run_submit(struct run *r, struct job *j, const struct payload *p);
_Noreturn void run_end(struct run *r, int sig);	/* ends everything and dies of sig; 0: exits 125 */
void	run_halt(struct run *r, int status, bool now);	/* starts nothing more; now: and ends what runs */
void	run_failed(struct run *r, const struct job *j, uint64_t line, const char *how);

/* --- end.c --------------------------------------------------------------------------------------------------------- */
#define AGAIN_NS 100000000u		/* between two TERMs: a command may have been about to start */
void	end_prepare(struct client *c);			/* catches signals */
void	end_items(struct run *r);			/* TERM to all commands */

/* commands.c, lines.c: submit the next one (1; 0: no more; -EAGAIN; -errno); take in what came back */
void	commands_check(struct run *r);			/* before a node is looked for: what can be known of the command */
int	commands_start(struct run *r);
int	commands_next(struct run *r);
bool	commands_done(struct run *r, struct job *j);	/* false: it was submitted again */
void	commands_write(struct run *r, struct job *j);	/* in the order of output */
void	lines_check(struct options *o);
int	lines_start(struct run *r);
int	lines_next(struct run *r);
void	lines_write(struct run *r, struct job *j);

/* --- output.c -------------------------------------------------------------------------------------------------- */
void	out_write(struct run *r, int fd, const void *p, size_t n);	/* gathers what is for stdout */
void	out_tagged(struct run *r, int fd, const char *tag, const void *p, size_t n);
void	out_flush(struct run *r);

/* --- live.c: output as it comes ------------------------------------------------------------------------------------- */
const char *live_start(const struct options *o, struct client *c);	/* what workers connect to; NULL: not asked for */
void	live_expect(uint64_t seq, const char *tag);	/* before the command is submitted; tag NULL: none */
void	live_finish(void);				/* all results are in: returns once all output is written */

/* --- quote.c: words as a shell would take them; 0 or -ENOMEM ------------------------------------------------------ */
int	quote(struct buf *b, const char *p, size_t n);
int	quote_line(struct buf *b, const char *p, size_t n);	/* control characters as $'\n' */

/* --- report.c ----------------------------------------------------------------------------------------------------- */
void	command_text(struct buf *b, const char *strings, unsigned n);
void	report_open(const struct options *o);
bool	report_has(const struct options *o, uint64_t seq, const char *strings, unsigned n);	/* done before */
void	report_done(struct run *r, const struct job *j, const struct command_end *e);	/* --joblog, --results */
void	report_json(struct run *r, const struct job *j, const struct command_end *e, const char *why);

/* --- progress.c --------------------------------------------------------------------------------------------------- */
void	progress_start(const struct options *o);
uint64_t progress_next(void);
void	progress_draw(const struct run *r);
void	progress_erase(void);

#endif
