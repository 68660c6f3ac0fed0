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
#include "os/fd.h"
#include "rmap.h"

static const char heading[] = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

static int log_fd = -1;
static struct done {			/* a line of the log that was there */
	uint64_t seq;
	char *command;
	unsigned line;
	bool good;
} *logged;
static size_t nlogged;

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

static void
log_line(const struct options *o, char *s, unsigned number)
{
	char *field[9];
	size_t n = 0;
	struct done d = { .line = number };

	for (char *p = s; n < 9; n++) {
		field[n] = p;
		if (n < 8 && !(p = strchr(p, '\t')))
			die(2, 0, "'%s', line %u: not a line of a job log", o->joblog, number);
		if (n < 8)
			*p++ = '\0';
	}
	d.seq = strtoull(field[0], NULL, 10);
	d.good = atoi(field[7]) == 0 && o->ok[atoi(field[6]) & 0xff];
	d.command = strdup(field[8]);
	if (!(logged = realloc(logged, (nlogged + 1) * sizeof *logged)) || !d.command)
		die(125, -ENOMEM, "cannot read '%s'", o->joblog);
	logged[nlogged++] = d;
}

static int
by_seq(const void *a, const void *b)		/* of the same number the later line is the last */
{
	const struct done *x = a, *y = b;

	return x->seq != y->seq ? (x->seq < y->seq ? -1 : 1) : x->line < y->line ? -1 : 1;
}

static void
log_read(const struct options *o)
{
	FILE *f = fopen(o->joblog, "re");
	char *s = NULL;
	size_t cap = 0;
	unsigned number = 0;
	ssize_t n;

	if (!f && errno == ENOENT)
		return;
	if (!f)
		die(2, -errno, "cannot read '%s'", o->joblog);
	while ((n = getline(&s, &cap, f)) > 0) {
		if (s[n - 1] != '\n')
			break;			/* cut: that item did not end for us */
		s[n - 1] = '\0';
		if (++number > 1)
			log_line(o, s, number);
	}
	free(s);
	fclose(f);
	if (nlogged)
		qsort(logged, nlogged, sizeof *logged, by_seq);
}

void
report_open(const struct options *o)
{
	struct stat st;

	if (o->results && mkdir(o->results, 0777) < 0 && errno != EEXIST)
		die(2, -errno, "cannot make directory '%s'", o->results);
	if (!o->joblog)
		return;
	if (o->resume)
		log_read(o);
	log_fd = open(o->joblog, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (o->resume ? 0 : O_TRUNC), 0666);
	if (log_fd < 0 || fstat(log_fd, &st) < 0)
		die(2, -errno, "cannot write '%s'", o->joblog);
	if (st.st_size == 0 && fd_write_all(log_fd, heading, sizeof heading - 1) < 0)
		die(2, -errno, "cannot write '%s'", o->joblog);
}

bool
report_has(const struct options *o, uint64_t seq, const char *strings, unsigned n)
{
	size_t lo = 0, hi = nlogged;
	struct buf b = BUF_INIT;
	const struct done *d;
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
