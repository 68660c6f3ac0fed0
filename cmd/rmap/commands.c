/* commands - items (or blocks, --pipe) become programs that run, and their ends. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/err.h"
#include "base/num.h"
#include "client/command.h"
#include "rmap.h"
#include "wire/val.h"

#define FILL_MAX (128u << 10)		/* bytes of arguments with -X, as xargs */

/* --- how --------------------------------------------------------------------------------------------------------- */

static _Noreturn void
not_a_program(const char *text)
{
	die(127, 0, "'%s' is no program; for shell text use: %s -s '%s'", text, progname, text);
}

/* can that be run?  0, -ENOENT, -EACCES */
static int
find_program(const char *name, const char *path)
{
	char full[PATH_MAX];
	struct stat st;
	size_t n;
	int e = -ENOENT;

	if (strchr(name, '/')) {
		if (access(name, X_OK) == 0 && stat(name, &st) == 0 && !S_ISDIR(st.st_mode))
			return 0;
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT : -EACCES;
	}
	for (;; path += n + 1) {
		n = strcspn(path, ":");
		if (snprintf(full, sizeof full, "%.*s%s%s", (int)n, path, n ? "/" : "", name) < (int)sizeof full &&
		    stat(full, &st) == 0 && S_ISREG(st.st_mode)) {
			if (access(full, X_OK) == 0)
				return 0;
			e = -EACCES;
		}
		if (!path[n])
			return e;
	}
}

/* the program is looked for once, before the first item; where its name depends on the item, when it is run */
static void
check_program(const char *name, const char *path)
{
	int e = find_program(name, path);

	if (e == 0)
		return;
	if (e == -EACCES)
		die(126, e, "cannot run '%s'", name);
	if (strpbrk(name, " \t\n&|;<>$`(){}*?\"'"))
		not_a_program(name);
	die(127, 0, "no program '%s'%s", name, strchr(name, '/') ? "" : " in PATH");
}

/* a name with items in it: is it a whole command, 'gzip {}', or what only a shell understands? */
static void
check_text(const char *text, const char *path)
{
	size_t n = strcspn(text, " \t\n");
	char first[256];

	if (!text[n] || n >= sizeof first)
		return;
	memcpy(first, text, n);
	first[n] = 0;
	if (strpbrk(text, "&|;<>$`") || find_program(first, path) == 0)
		not_a_program(text);
}

void
commands_check(struct run *r)
{
	const struct options *o = r->o;
	struct buf env = BUF_INIT;

	environ_build(o, &env);
	r->template = template_new(o, o->argv, o->argc, true);
	if (o->tagstring)
		r->tag = template_new(o, (char *const *)&o->tagstring, 1, false);
	if (!o->shell && !template_fixed(r->template) && o->argc == 1)
		check_text(o->argv[0], environ_path(&env));
	else if (!o->shell && template_fixed(r->template) && (!o->wd || !strchr(o->argv[0], '/')))
		check_program(o->argv[0], environ_path(&env));
	buf_release(&env);
}

int
commands_start(struct run *r)
{
	const struct options *o = r->o;
	struct buf env = BUF_INIT, b = BUF_INIT;
	struct command_how h = { .timeout = (uint64_t)o->timeout };
	struct rlimit lim;
	mode_t mask = umask(0);
	char *cwd = o->wd ? realpath(o->wd, NULL) : getcwd(NULL, 0);
	int e;

	umask(mask);
	if (!cwd)
		die(125, -errno, "cannot use directory '%s'", o->wd ? o->wd : ".");
	environ_build(o, &env);
	h.cwd = cwd;
	h.env = (const char *)env.data;
	h.nenv = env.len;
	h.live = live_start(o, r->c);
	h.mask = (int)mask;
	h.nofile = getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY ? lim.rlim_cur : 0;
	if ((e = command_put_how(&b, &h)) == 0)
		e = client_fn(r->c, FN_COMMAND, b.data, b.len, o->argv[0], &o->task, &r->fn);
	buf_release(&b);
	buf_release(&env);
	free(cwd);
	return e;
}

/* --- starting one ---------------------------------------------------------------------------------------------------- */

static int
submit(struct run *r, struct job *j, const char *strings, unsigned n, const void *in, size_t nin)
{
	struct command_item i = { .seq = j->seq, .slot = j->slot, .tries = j->tries, .argc = n, .in = in, .nin = nin };
	struct payload p;
	struct seg seg;

	if (n > r->nargv) {
		r->nargv = n + 16;
		if (!(r->argv = realloc(r->argv, r->nargv * sizeof *r->argv)))
			die(125, -ENOMEM, "cannot build a command");
	}
	for (unsigned k = 0; k < n; k++, strings += strlen(strings) + 1)
		r->argv[k] = strings;
	i.argv = r->argv;
	if (command_put_item(&r->args, &i, &p, &seg) < 0)
		die(125, -ENOMEM, "cannot build a command");
	live_expect(j->seq, j->tag ? j->tag : r->o->tag ? j->label : NULL);
	j->start = clock_ns();
	return run_submit(r, j, &p);
}

static char *
copy(const void *p, size_t n)
{
	char *s = malloc(n + 1);

	if (!s)
		die(125, -ENOMEM, "cannot start an item");
	memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

/* the items of one command into r->batch: 1, 0, negative */
static int
collect(struct run *r)
{
	const struct options *o = r->o;
	size_t want = o->n ? o->n : o->fill ? SIZE_MAX : 1;
	struct item i;
	int k;

	while (r->batch.n < want) {
		if ((k = items_next(&r->items, &i)) <= 0)
			return k == 0 ? r->batch.n > 0 : k;
		if (o->fill && r->batch.n && r->batch.text.len + i.n + 9 * r->batch.n > FILL_MAX) {
			items_unget(&r->items);
			return 1;
		}
		if (r->batch.n == 0)
			r->batch.first = r->items.number;
		if (batch_add(&r->batch, &i) < 0)
			return -ENOMEM;
	}
	return 1;
}

static char *
label_of(const struct run *r)
{
	const struct batch *b = &r->batch;
	char *s = copy(b->text.data, b->text.len);
	size_t end = r->o->tag ? b->text.len - 1 : b->off[1] - 1;	/* a tag names all of them */

	for (size_t i = 0; i < end; i++)
		if (s[i] == '\0')
			s[i] = ' ';
	s[end] = '\0';
	return s;
}

/* the command is shown, or with --dry-run nothing else is done */
static void
show(const struct run *r, const char *strings, unsigned n)
{
	struct buf b = BUF_INIT;

	command_text(&b, strings, n);
	buf_add(&b, "\n", 1);
	if (r->o->dry)
		fwrite(b.data, 1, b.len, stdout);
	else
		fwrite(b.data, 1, b.len, stderr);
	buf_release(&b);
}

static bool
keeps_argv(const struct options *o)
{
	return o->retries > 0 || o->joblog;
}

/* the job's command is in r->text: 1 if it was started, shown or skipped */
static int
launch(struct run *r, struct job *j, unsigned n, const void *in, size_t nin)
{
	const char *strings = (const char *)r->text.data;
	const struct options *o = r->o;

	j->argc = n;
	j->nin = nin;
	if (o->resume && report_has(o, j->seq, strings, n)) {
		r->skipped++;
		run_drop(r, j);
		return 1;
	}
	if (o->verbose || o->dry)
		show(r, strings, n);
	if (o->dry) {
		run_drop(r, j);
		return 1;
	}
	if (keeps_argv(o))
		j->argv = copy(strings, r->text.len);
	if (o->delay)
		r->next_start = clock_ns() + (uint64_t)o->delay;
	return submit(r, j, strings, n, in, nin);
}

static int
next_block(struct run *r)
{
	struct item block;
	struct job *j;
	uint64_t count;
	unsigned n;
	int k = items_block(&r->items, r->o->block, r->o->n, false, &block, &count);

	if (k != 1)
		return k;
	j = run_job(r, r->seq + 1);
	n = template_expand(r->template, &r->batch, j->seq, j->slot, &r->text);
	if (r->items.head.len) {
		struct buf b = BUF_INIT;

		if (buf_add(&b, r->items.head.data, r->items.head.len) < 0 || buf_add(&b, block.p, block.n) < 0)
			die(125, -ENOMEM, "cannot start a block");
		j->in = b.data;
		block = (struct item){ j->in, b.len };
	} else if (r->o->retries) {
		j->in = copy(block.p, block.n);
		block.p = j->in;
	}
	return launch(r, j, n, block.p, block.n);
}

int
commands_next(struct run *r)
{
	struct job *j;
	unsigned n;
	int k;

	if (r->o->pipe)
		return next_block(r);
	for (;;) {
		if ((k = collect(r)) != 1)
			return k;
		if (!r->batch.nul)
			break;
		warn(0, "line %llu holds a NUL byte, which no argument can; are the items separated by them (-0)?",
		    (unsigned long long)r->batch.first);
		r->done++;
		run_failed(r, NULL, r->batch.first, "holds a NUL byte");
		r->batch.n = r->batch.text.len = 0;
		r->batch.nul = false;
	}
	j = run_job(r, r->batch.first);
	n = template_expand(r->template, &r->batch, j->seq, j->slot, &r->text);
	j->label = label_of(r);
	if (r->tag) {
		struct buf b = BUF_INIT;

		template_expand(r->tag, &r->batch, j->seq, j->slot, &b);
		j->tag = (char *)b.data;
	}
	r->batch.n = r->batch.text.len = 0;
	return launch(r, j, n, NULL, 0);
}

/* --- an end --------------------------------------------------------------------------------------------------------- */

struct outcome {
	struct command_end end;
	bool error;			/* it did not run to an end: text says why */
	int code;
	char text[512];
	bool ok;
};

static void
outcome_of(struct run *r, struct job *j, struct outcome *x)
{
	struct value v;
	int e;

	*x = (struct outcome){ .error = true, .code = ERR_LOST };
	if ((e = client_value(r->c, j->rec, &v)) == 0 && !v.error && (e = command_get_end(&x->end, r->c, &v)) == 0) {
		x->error = false;
		x->ok = x->end.sig == 0 && !x->end.late && r->o->ok[x->end.status & 0xff];
		return;
	}
	if (e == 0 && val_error_text(v.p, v.n, x->text, sizeof x->text, &x->code) == 0)
		return;
	snprintf(x->text, sizeof x->text, "%s", err_str(e < 0 ? e : ERR_PROTO));
}

static void
describe(const struct run *r, const struct outcome *x, char *s, size_t n)
{
	char dur[16];

	if (x->error)
		snprintf(s, n, "%s", x->text);
	else if (x->end.late)
		snprintf(s, n, "took longer than %s", num_fmt_age(dur, r->o->timeout));
	else if (x->end.sig)
		snprintf(s, n, "signal %d (%s)", x->end.sig, sigabbrev_np(x->end.sig) ? sigabbrev_np(x->end.sig) : "?");
	else
		snprintf(s, n, "exit %d", x->end.status);
}

/* --halt: has it come to that? */
static void
halt(struct run *r, const struct outcome *x)
{
	const struct options *o = r->o;
	uint64_t n = o->halt_on == ON_FAIL ? r->failed : o->halt_on == ON_SUCCESS ? r->succeeded : r->done;

	if (o->halt == HALT_NEVER || r->stopping || n < o->halt_n)
		return;
	run_halt(r, o->halt_on == ON_DONE ? -1 : x->error ? 1 : x->end.sig ? 128 + x->end.sig : x->end.status,
	    o->halt == HALT_NOW);
}

bool
commands_done(struct run *r, struct job *j)
{
	struct outcome x;
	char how[600];

	outcome_of(r, j, &x);
	client_seen(r->c, j->rec);
	if (x.error && (x.code == ERR_INFEASIBLE || x.code == ERR_ENV || x.code == ERR_FULL)) {
		out_flush(r);
		warn(0, "%s", x.text);
		run_end(r, 0);
	}
	if (!x.ok && !x.error && j->tries < r->o->retries && !r->stopping) {
		j->tries++;
		client_release(r->c, j->rec);
		j->rec = NULL;
		submit(r, j, j->argv, j->argc, j->in, j->nin);
		return false;
	}
	if (!x.error)
		report_done(r, j, &x.end);
	if (r->halt_now && !x.ok)
		return true;			/* it was told to end */
	r->done++;
	if (x.ok) {
		r->succeeded++;
	} else {
		r->timed_out += x.end.late;
		describe(r, &x, how, sizeof how);
		run_failed(r, j, j->first, how);
	}
	halt(r, &x);
	return true;
}

void
commands_write(struct run *r, struct job *j)
{
	const char *tag = j->tag ? j->tag : r->o->tag ? j->label : NULL;
	struct outcome x;
	char line[640];
	int n;

	outcome_of(r, j, &x);
	if (r->o->json) {
		report_json(r, j, x.error ? NULL : &x.end, x.text);
		return;
	}
	if (!x.error) {
		out_tagged(r, STDOUT_FILENO, tag, x.end.out.p, x.end.out.n);
		if (x.end.norun)
			out_write(r, STDERR_FILENO, "rmap: ", 6);
		out_tagged(r, STDERR_FILENO, tag, x.end.err.p, x.end.err.n);
		return;
	}
	n = snprintf(line, sizeof line, "%s: item %llu: %s\n", progname, (unsigned long long)j->seq, x.text);
	out_write(r, STDERR_FILENO, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}
