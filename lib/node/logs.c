/* logs - the loop's side: a file for each new worker, what is to be shown before something else happens, and the ends */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/logs.h"
#include "os/sig.h"

/* --- what the thread tells ------------------------------------------------------------------------------------------ */

static void
on_ready(struct ev_loop *loop, ev_async *w, int revents)
{
	struct logs *l = w->data;
	struct node *n = l->n;
	struct buf done;

	(void)loop, (void)revents;
	pthread_mutex_lock(&l->lock);
	done = l->done;
	l->done = (struct buf)BUF_INIT;
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < done.len; i += sizeof(struct logdone)) {
		struct logdone d;
		struct nproc *p;

		memcpy(&d, done.data + i, sizeof d);
		if ((p = map_get(&n->procs, d.proc)) == NULL)
			continue;
		if (d.flush)
			SEND(p, ok, .req = d.req);
		else if (p->exited && p->lost)
			proc_gone(p, p->code, p->code == ERR_OOM ? p->evidence : p->text);
	}
	buf_release(&done);
}

void
logs_wake(struct logs *l)
{
	(void)!write(l->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* --- start and end ----------------------------------------------------------------------------------------------------- */

static struct logs *
logs_of(struct node *n)
{
	struct logs *l = n->logs;

	if (l || (l = calloc(1, sizeof *l)) == NULL)
		return l;
	l->n = n;
	l->dir = l->inotify = l->wake = -1;
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->live);
	list_init(&l->dirty);
	list_init(&l->sinks);
	list_init(&l->old);
	ev_async_init(&l->ready, on_ready);
	l->ready.data = l;
	return n->logs = l;
}

/* with the first worker: the directory and the thread.  A failure is told once: then what workers print is lost. */
int
logs_start(struct logs *l)
{
	sigset_t old;
	int e;

	if (l->running)
		return 0;
	if (l->failed[0])
		return -ENOENT;
	if ((e = logs_dir_make(l, l->failed, sizeof l->failed)) < 0)
		goto fail;
	if ((l->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0 ||
	    inotify_add_watch(l->inotify, l->path, LOGS_EVENTS) < 0 ||
	    (l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0) {
		e = -errno;
		snprintf(l->failed, sizeof l->failed, "cannot watch '%.180s': %s", l->path, err_str(e));
		goto fail;
	}
	ev_async_start(l->n->loop, &l->ready);
	ev_unref(l->n->loop);
	sig_block(&old);
	e = -pthread_create(&l->thread, NULL, logs_follow, l);
	sig_restore(&old);
	if (e == 0) {
		l->running = true;
		return 0;
	}
	ev_ref(l->n->loop);
	ev_async_stop(l->n->loop, &l->ready);
	snprintf(l->failed, sizeof l->failed, "cannot start a thread: %s", err_str(e));
fail:
	node_log(l->n, 0, "what tasks print is lost: %s", l->failed);
	return e;
}

void
logs_stop(struct node *n)
{
	struct logs *l = n->logs;

	if (l == NULL)
		return;
	if (l->running) {
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		pthread_mutex_unlock(&l->lock);
		logs_wake(l);
		pthread_join(l->thread, NULL);
		ev_ref(n->loop);
		ev_async_stop(n->loop, &l->ready);
	}
	while (!list_empty(&l->live)) {		/* what their drivers did not take in time */
		struct logfile *f = list_entry(list_shift(&l->live), struct logfile, link);

		close(f->fd);
		free(f->mark);
		free(f);
	}
	while (!list_empty(&l->sinks))
		sink_free(list_entry(l->sinks.next, struct logsink, link));
	logs_dir_end(l);
	if (l->inotify >= 0)
		close(l->inotify);
	if (l->wake >= 0)
		close(l->wake);
	buf_release(&l->done);
	map_release(&l->files);
	pthread_mutex_destroy(&l->lock);
	free(l);
	n->logs = NULL;
}

/* --- jobs ------------------------------------------------------------------------------------------------------------------ */

struct logsink *
logs_job(struct node *n, uint32_t job, int fd, enum msg_output mode)
{
	struct logs *l = logs_of(n);
	struct logsink *s = l ? calloc(1, sizeof *s) : NULL;

	if (s == NULL || mode == OUTPUT_NONE) {
		if (fd >= 0)
			close(fd);
		free(s);
		return NULL;
	}
	s->refs = 1;
	s->logs = l;
	s->job = job;
	s->text.all = mode == OUTPUT_ALL;
	sink_open(s, fd);
	pthread_mutex_lock(&l->lock);
	list_add_tail(&l->sinks, &s->link);
	pthread_mutex_unlock(&l->lock);
	return s;
}

void
logs_job_over(struct node *n, struct logsink *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&n->logs->lock);
	s->end = clock_ns() + LOGS_END;
	pthread_mutex_unlock(&n->logs->lock);
	if (n->logs->running)
		logs_wake(n->logs);
}

void
logs_job_end(struct node *n, struct logsink *s)
{
	struct logs *l = n->logs;

	if (s == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	s->refs--;
	if (!l->running && s->refs == 0)
		sink_free(s);
	pthread_mutex_unlock(&l->lock);
	if (l->running)
		logs_wake(l);
}

/* --- workers --------------------------------------------------------------------------------------------------------------- */

int
logs_worker(struct nproc *p)
{
	struct logs *l = logs_of(p->n);
	struct logfile *f;
	char name[32];
	int fd;

	if (l == NULL || logs_start(l) < 0 || (f = calloc(1, sizeof *f)) == NULL)
		return -1;
	snprintf(name, sizeof name, "%u.%u.log", (unsigned)p->job->number, (unsigned)p->number);
	unlinkat(l->dir, name, 0);		/* a namesake's: the control store was purged */
	f->fd = openat(l->dir, name, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	fd = f->fd < 0 ? -1 : fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		if (!l->failed[0]) {
			snprintf(l->failed, sizeof l->failed, "cannot make '%.180s/%s': %s", l->path, name, err_str(-errno));
			node_log(p->n, 0, "what a worker prints is lost: %s", l->failed);
		}
		if (f->fd >= 0)
			close(f->fd);
		free(f);
		return -1;
	}
	f->proc = p->number;
	f->job = p->job->number;
	f->page = p->page;
	f->told = &p->n->np->bell[p->bell].log_read;
	atomic_store(f->told, 0);
	list_init(&f->dirty);
	pthread_mutex_lock(&l->lock);
	if (map_put(&l->files, p->number, f) < 0) {
		pthread_mutex_unlock(&l->lock);
		close(f->fd);
		free(f);
		return fd;			/* nobody looks at it */
	}
	if (!p->silent && (f->sink = p->job->out) != NULL)
		f->sink->refs++;
	list_add_tail(&l->live, &f->link);
	l->nlive++;
	pthread_mutex_unlock(&l->lock);
	return fd;
}

static void
urge(struct logs *l, struct logfile *f, uint64_t size)
{
	f->until = size;
	if (list_empty(&f->dirty))
		list_add_tail(&l->dirty, &f->dirty);
}

static void
last_seen(struct logfile *f)		/* its page goes */
{
	struct stat st;

	if (f->page && fstat(f->fd, &st) == 0 && st.st_size > 0 &&
	    (f->mark = calloc(PAGE_MARKS + 1, sizeof *f->mark)) != NULL)
		f->nmark = logs_marks(f->page, f->mark);
	if (f->page)
		f->pid = atomic_load(&f->page->pid);
	f->page = NULL;
	f->told = NULL;
}

/* where the output of what it ran begins; else, as programs that it started leave no mark, st_size if nothing was written since */
static off_t
began(const struct page *p, const struct stat *st)
{
	uint64_t ago = clock_ns() - atomic_load(&p->since), marks = atomic_load(&p->marks), at;
	const struct page_mark *m = &p->mark[(marks - 1) % PAGE_MARKS];

	if (marks && m->task == atomic_load(&p->task))
		return m->at < (uint64_t)st->st_size ? (off_t)m->at : st->st_size;
	at = (uint64_t)st->st_mtim.tv_sec * CLOCK_SEC + (uint64_t)st->st_mtim.tv_nsec;
	return at + 10000000 < clock_wall_ns() - ago ? st->st_size : 0;	/* file times are a tick behind; a clock that is set
									   costs a line of a message, nothing else */
}

/* its last lines, after the text */
static void
quote(struct nproc *p, const struct logfile *f, const struct stat *st)
{
	unsigned char bytes[512];
	size_t len = strlen(p->text);
	off_t from = began(p->page, st);
	char tail[150];
	ssize_t k;

	if (from < st->st_size - (off_t)sizeof bytes)
		from = st->st_size - (off_t)sizeof bytes;
	k = pread(f->fd, bytes, (size_t)(st->st_size - from), from);
	if (k > 0 && output_tail(bytes, (size_t)k, tail, sizeof tail) > 0)
		snprintf(p->text + len, sizeof p->text - len, "; it printed last: %s", tail);
}

bool
logs_last(struct nproc *p)
{
	struct logs *l = p->n->logs;
	struct logfile *f;
	struct stat st;
	bool wait = false;

	if (l == NULL || !l->running || !p->page)
		return false;
	pthread_mutex_lock(&l->lock);
	if ((f = map_get(&l->files, p->number)) != NULL && !f->gone && fstat(f->fd, &st) == 0 && st.st_size > 0) {
		if (p->code == ERR_CRASHED && !p->quiet)
			quote(p, f, &st);
		if (f->sink && !p->quiet) {
			f->gone = wait = true;
			f->give_up = clock_ns() + LOGS_LAST;
			urge(l, f, (uint64_t)st.st_size);
		}
	}
	pthread_mutex_unlock(&l->lock);
	if (wait)
		logs_wake(l);
	return wait;
}

void
logs_gone(struct nproc *p)
{
	struct logs *l = p->n->logs;
	struct logfile *f;
	struct stat st;

	if (l == NULL || !l->running)
		return;
	pthread_mutex_lock(&l->lock);
	if ((f = map_get(&l->files, p->number)) != NULL) {
		last_seen(f);
		if (!f->gone) {
			f->gone = true;
			f->give_up = clock_ns() + LOGS_LAST;
			urge(l, f, fstat(f->fd, &st) == 0 ? (uint64_t)st.st_size : 0);
		}
	}
	pthread_mutex_unlock(&l->lock);
	if (f)
		logs_wake(l);
}

void
logs_flush(struct logs *l, struct logsink *s, uint32_t flusher, uint64_t req, unsigned asked)
{
	struct stat st;

	pthread_mutex_lock(&l->lock);
	s->flusher = flusher;
	s->flush_req = req;
	s->flush_at = clock_ns() + LOGS_FLUSH;
	s->asked = asked;
	list_each(k, &l->live) {
		struct logfile *g = list_entry(k, struct logfile, link);

		if (g->sink != s || fstat(g->fd, &st) < 0)
			continue;
		s->flushing += !g->flush;
		g->flush = true;
		urge(l, g, (uint64_t)st.st_size);
	}
	pthread_mutex_unlock(&l->lock);
	logs_wake(l);
}

int
logs_frame(struct nproc *p, const struct frame *f)
{
	struct logs *l = p->n->logs;
	struct logsink *s = p->job ? p->job->out : NULL;
	struct msg_flush m;
	unsigned asked = 0;
	int e = msg_get_flush(&m, f->body, f->len);

	if (e < 0)
		return e;
	if (p->role == ROLE_DRIVER && s && (asked = logs_ask_flush(p, m.req)) > 0)
		logs_start(l);
	if (p->role != ROLE_DRIVER || s == NULL || !l->running) {
		SEND(p, ok, .req = m.req);
		return 0;
	}
	pthread_mutex_lock(&l->lock);
	if (s->flusher)				/* a second one, before the first was answered: that one may go on */
		SEND(p, ok, .req = s->flush_req);
	pthread_mutex_unlock(&l->lock);
	logs_flush(l, s, p->number, m.req, asked);
	return 0;
}
