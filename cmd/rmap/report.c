/* report - what is told about each command beside its output: --joblog and --resume, -J, --results. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/die.h"
#include "base/json.h"
#include "base/num.h"
#include "os/fd.h"
#include "rmap.h"

static const char heading[] = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

static int log_fd = -1;
static struct done {			/* a line of the log that was there */
	uint64_t seq;
	char *command;
	unsigned line;
	bool good, cut;			/* cut: without its newline, and no longer in the file */
} *logged;
static size_t nlogged;
static char *cut_line;			/* as it was */

void
command_text(struct buf *b, const char *strings, unsigned n)
{
	for (unsigned k = 0; k < n; k++, strings += strlen(strings) + 1) {
		if (k)
			buf_add(b, " ", 1);
		quote_line(b, strings, strlen(strings));
	}
}

/* --- the job log ------------------------------------------------------------------------------------------------- */

static bool
number_of(const char *s, long *v)
{
	char *end;

	*v = strtol(s, &end, 10);
	return end > s && *end == '\0';
}

/* a line of n bytes without its newline, which is cut into fields: false if it is none */
static bool
log_line(const struct options *o, char *s, size_t n, struct done *d)
{
	char *field[9];
	long status, sig;

	if (strlen(s) != n)
		return false;
	for (unsigned k = 0; k < 8; k++) {
		field[k] = s;
		if ((s = strchr(s, '\t')) == NULL)
			return false;
		*s++ = '\0';
	}
	if (num_u64(field[0], &d->seq) < 0 || d->seq == 0 || !number_of(field[6], &status) || !number_of(field[7], &sig))
		return false;
	d->good = sig == 0 && o->ok[status & 0xff];
	d->command = strdup(s);
	if (!(logged = realloc(logged, (nlogged + 1) * sizeof *logged)) || !d->command)
		die(125, -ENOMEM, "cannot read '%s'", o->joblog);
	logged[nlogged++] = *d;
	return true;
}

static int
by_seq(const void *a, const void *b)		/* of the same number the later line is the last */
{
	const struct done *x = a, *y = b;

	return x->seq != y->seq ? (x->seq < y->seq ? -1 : 1) : x->line < y->line ? -1 : 1;
}

/*
 * Its whole lines: so many bytes.  Whoever wrote the last one may have been killed, or the disk was full: without its newline it
 * holds if its command is the whole one (report_has), else that item did not end for us.
 */
static off_t
log_read(const struct options *o)
{
	int fd = open(o->joblog, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char *s = NULL;
	size_t cap = 0;
	struct stat st;
	off_t whole = 0;
	ssize_t n;
	FILE *f;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0 || (f = fdopen(fd, "r")) == NULL)
		die(2, -errno, "cannot read '%s'", o->joblog);
	if (!S_ISREG(st.st_mode))
		die(2, 0, "cannot resume from '%s': no regular file", o->joblog);
	for (struct done d = { .line = 1 }; (n = getline(&s, &cap, f)) > 0; d.line++) {
		if ((d.cut = s[n - 1] != '\n') && !(cut_line = strdup(s)))
			die(125, -ENOMEM, "cannot read '%s'", o->joblog);
		if (d.line == 1 && strcmp(s, heading) != 0 && (!d.cut || strncmp(s, heading, (size_t)n) != 0))
			die(2, 0, "cannot resume from '%s': no job log, as its first line is not 'Seq Host ... Command'", o->joblog);
		if (!d.cut)
			s[n - 1] = '\0';
		if (d.line > 1 && !log_line(o, s, (size_t)n - !d.cut, &d) && !d.cut)
			die(2, 0, "'%s', line %u: not a line of a job log, which has 9 fields with tabs between; remove it, "
			    "and its item runs again", o->joblog, d.line);
		if (!d.cut)
			whole += n;
	}
	if (ferror(f))
		die(2, -errno, "cannot read '%s'", o->joblog);
	free(s);
	fclose(f);
	if (nlogged)
		qsort(logged, nlogged, sizeof *logged, by_seq);
	return whole;
}

void
report_open(const struct options *o)
{
	struct stat st;
	off_t whole = 0;

	if (o->results && mkdir(o->results, 0777) < 0 && errno != EEXIST)
		die(2, -errno, "cannot make directory '%s'", o->results);
	if (!o->joblog)
		return;
	if (o->resume)
		whole = log_read(o);
	log_fd = open(o->joblog, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (o->resume ? 0 : O_TRUNC), 0666);
	if (log_fd < 0 || (o->resume && ftruncate(log_fd, whole) < 0) || fstat(log_fd, &st) < 0)
		die(2, -errno, "cannot write '%s'", o->joblog);
	if (st.st_size == 0 && fd_write_all(log_fd, heading, sizeof heading - 1) < 0)
		die(2, -errno, "cannot write '%s'", o->joblog);
}

bool
report_has(const struct options *o, uint64_t seq, const char *strings, unsigned n)
{
	size_t lo = 0, hi = nlogged;
	struct buf b = BUF_INIT;
	struct done *d;
	bool same;

	while (lo < hi) {			/* the last line of seq: the first one beyond it, less one */
		size_t mid = (lo + hi) / 2;

		if (logged[mid].seq <= seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || logged[lo - 1].seq != seq)
		return false;
	d = &logged[lo - 1];
	command_text(&b, strings, n);
	same = strlen(d->command) == b.len && memcmp(d->command, b.data, b.len) == 0;
	buf_release(&b);
	if (d->cut && !same)
		return false;
	if (d->cut) {
		d->cut = false;
		if (fd_write_all(log_fd, cut_line, strlen(cut_line)) < 0 || fd_write_all(log_fd, "\n", 1) < 0)
			die(2, -errno, "cannot write '%s'", o->joblog);
	}
	if (!same)
		die(2, 0, "joblog line %u: command differs; the input or the command has changed", d->line);
	return d->good || !o->resume_failed;
}

static void
log_add(struct run *r, const struct job *j, const struct command_end *e)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%llu\t%.*s\t%.3f\t%.3f\t%zu\t%zu\t%d\t%d\t", (unsigned long long)j->seq,
	    (int)client_welcome(r->c)->node_name.n, (const char *)client_welcome(r->c)->node_name.p, (double)e->start / 1e9,
	    (double)e->ns / 1e9, j->nin, e->out.n, e->status, e->sig);
	command_text(&b, j->argv, j->argc);
	buf_add(&b, "\n", 1);
	if (fd_write_all(log_fd, b.data, b.len) < 0 || (fdatasync(log_fd) < 0 && errno != EINVAL)) {
		warn(-errno, "cannot write '%s'", r->o->joblog);
		run_end(r, 0);
	}
	buf_release(&b);
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

static void
put_file(struct run *r, const char *name, uint64_t seq, const char *what, struct span s)
{
	char path[4096];
	int fd, e;

	snprintf(path, sizeof path, "%s/%llu%s%s", name, (unsigned long long)seq, *what ? "/" : "", what);
	if (!*what) {
		if (mkdir(path, 0777) == 0 || errno == EEXIST)
			return;
		e = -errno;
	} else {
		if ((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0)
			e = -errno;
		else {
			e = s.n ? fd_write_all(fd, s.p, s.n) : 0;
			if (close(fd) < 0 && e == 0)
				e = -errno;
		}
	}
	if (e < 0) {
		warn(e, "cannot write '%s'", path);
		run_end(r, 0);
	}
}

void
report_done(struct run *r, const struct job *j, const struct command_end *e)
{
	const char *dir = r->o->results;
	char status[32];

	if (log_fd >= 0)
		log_add(r, j, e);
	if (!dir)
		return;
	put_file(r, dir, j->seq, "", (struct span){ NULL, 0 });
	put_file(r, dir, j->seq, "stdout", e->out);
	put_file(r, dir, j->seq, "stderr", e->err);
	snprintf(status, sizeof status, "%d\n", e->sig ? 128 + e->sig : e->status);
	put_file(r, dir, j->seq, "status", span_of(status, strlen(status)));
}

/* --- JSON ------------------------------------------------------------------------------------------------------------ */

static void
text_key(struct buf *b, const char *name, const void *p, size_t n)
{
	char key[32];

	json_key(b, name);
	json_str(b, p, n);
	if (json_utf8(p, n))
		return;
	snprintf(key, sizeof key, "%s_base64", name);
	json_key(b, key);
	json_base64(b, p, n);
}

/* e NULL: it did not run to an end, why says so */
void
report_json(struct run *r, const struct job *j, const struct command_end *e, const char *why)
{
	struct buf b = BUF_INIT;
	char at[40];
	time_t s = e ? (time_t)(e->start / 1000000000) : 0;
	struct tm tm;

	buf_add(&b, "{", 1);
	json_key(&b, "seq"), json_uint(&b, j->seq);
	if (j->label)
		text_key(&b, "item", j->label, strlen(j->label));
	json_key(&b, "attempts"), json_uint(&b, j->tries + 1);
	if (e) {
		size_t n = strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));

		snprintf(at + n, sizeof at - n, ".%03dZ", (int)(e->start / 1000000 % 1000));
		json_key(&b, "start"), json_str(&b, at, strlen(at));
		json_key(&b, "runtime"), json_num(&b, (double)e->ns / 1e9);
		json_key(&b, "status"), json_int(&b, e->status);
		json_key(&b, "signal"), json_int(&b, e->sig);
		json_key(&b, "timeout"), json_bool(&b, e->late);
		text_key(&b, "stdout", e->out.p, e->out.n);
		text_key(&b, "stderr", e->err.p, e->err.n);
	} else {
		json_key(&b, "error"), json_str(&b, why, strlen(why));
	}
	buf_add(&b, "}\n", 2);
	out_write(r, STDOUT_FILENO, b.data, b.len);
	buf_release(&b);
}
