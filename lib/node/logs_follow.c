/* logs_follow - the thread: what was written is read, and shown as far as the drivers' stderrs take it */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/logs.h"

enum { POLLED = 64 };			/* blocked drivers that are watched; others are tried now and then */
#define TRY UINT64_C(100000000)

/* --- whose lines ---------------------------------------------------------------------------------------------------- */

static void
name_of(char name[OUTPUT_NAME], const char *from)
{
	memcpy(name, from, OUTPUT_NAME - 1);
	name[OUTPUT_NAME - 1] = '\0';
	if (name[0] == '\0')
		strcpy(name, "worker");
	for (char *p = name; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = '?';
}

unsigned
logs_marks(const struct page *p, struct output_mark mark[PAGE_MARKS + 1])
{
	uint64_t end = atomic_load_explicit(&p->marks, memory_order_acquire), i = end > PAGE_MARKS ? end - PAGE_MARKS : 0;
	unsigned n = 1;

	mark[0].at = 0;
	name_of(mark[0].name, p->fn);
	for (; i < end; i++) {
		const struct page_mark *m = &p->mark[i % PAGE_MARKS];
		struct output_mark *to = &mark[n];

		if (atomic_load_explicit(&m->seq, memory_order_acquire) != i + 1)
			continue;
		to->at = m->at;
		name_of(to->name, m->name);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&m->seq, memory_order_relaxed) != i + 1 || to->at < mark[n - 1].at)
			continue;
		if (n == 1)			/* what lies before all that is known is most likely its own */
			memcpy(mark[0].name, to->name, OUTPUT_NAME);
		n++;
	}
	return n;
}

/* --- a file ------------------------------------------------------------------------------------------------------------ */

static void
say_lost(struct logs *l, struct logfile *f, uint64_t lost, uint32_t error)
{
	struct logsink *s = f->sink;

	if (!s || !sink_listens(s))
		return;
	if (error && !s->said_full) {
		s->said_full = true;
		buf_printf(&s->say, "rota: lines of worker %u are lost: cannot write '%s/%u.%u.log': %s\n", (unsigned)f->from.pid, l->path,
		    (unsigned)f->job, (unsigned)f->proc, err_str(-(int)error));
	}
	if (lost && !s->said_fast) {
		s->said_fast = true;
		buf_printf(&s->say, "rota: lines of worker %u are not shown, %llu bytes so far: it prints faster than they can be written here\n",
		    (unsigned)f->from.pid, (unsigned long long)lost);
	}
}

/* its oldest bytes go back to the disk; full: all that was shown */
static void
shorten(struct logs *l, struct logfile *f, uint64_t size, bool full)
{
	uint64_t part = l->total / 3 / (l->nlive + 1), to;

	part = (part < LOGS_PART_MIN ? LOGS_PART_MIN : part > LOGS_PART_MAX ? LOGS_PART_MAX : part) & ~UINT64_C(4095);
	if (!full && size - f->begin <= 2 * part)
		return;
	to = full ? f->read : size - part;
	if (to > f->read && size - f->begin <= 4 * part)
		to = f->read;
	to &= ~UINT64_C(4095);
	if (to <= f->begin)
		return;
	if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)f->begin, (off_t)(to - f->begin)) == 0) {
		f->begin = to;
	} else if (f->read >= size && ftruncate(f->fd, 0) == 0) {	/* a file system without holes: it starts again */
		f->begin = f->read = 0;
	}
}

/* what is new and finds room at its driver; true: there may be more, now */
static bool
show(struct logs *l, struct logfile *f, uint64_t size, const struct output_mark *mark, unsigned nmark, bool last, char *buf)
{
	struct logsink *s = f->sink;
	ssize_t n;
	size_t used;

	if (!s || !sink_listens(s)) {
		f->read = size;
		return false;
	}
	if (f->read < f->begin) {
		say_lost(l, f, f->begin - f->read, 0);
		f->read = f->begin;
	}
	if (s->blocked || f->read >= size || ((s->out.len || s->say.len) && !sink_write(s)))
		return false;
	if ((n = pread(f->fd, buf, LOGS_READ, (off_t)f->read)) <= 0) {
		if (n < 0)			/* it cannot be read: not shown */
			f->read = size;
		return false;
	}
	used = output_take(&s->text, &f->from, clock_ns(), mark, nmark, f->read, (unsigned char *)buf, (size_t)n,
	    last && f->read + (uint64_t)n >= size, &s->out);
	f->read += used;
	sink_write(s);
	return used && f->read < size && !s->blocked;
}

static void
tell(struct logs *l, const struct logdone *d)
{
	if (buf_add(&l->done, d, sizeof *d) == 0)
		ev_async_send(l->n->loop, &l->ready);
}

static void
finish(struct logs *l, struct logfile *f, uint64_t bytes)	/* lock held: it is dead, and shown or given up */
{
	map_del(&l->files, f->proc);
	list_del(&f->link);
	list_del(&f->dirty);
	l->nlive--;
	if (f->sink) {
		f->sink->refs--;
		f->sink->flushing -= f->flush;
	}
	logs_old_add(l, f, bytes);
	tell(l, &(struct logdone){ .proc = f->proc });
	close(f->fd);
	free(f->mark);
	free(f);
}

/* true: it has more to do now */
static bool
look(struct logs *l, struct logfile *f, char *buf)
{
	struct output_mark mark[PAGE_MARKS + 1];
	uint64_t lost = 0, size, now;
	uint32_t error = 0;
	unsigned nmark;
	struct stat st;
	bool last, more;

	pthread_mutex_lock(&l->lock);
	if (f->page) {
		nmark = logs_marks(f->page, mark);
		f->pid = atomic_load(&f->page->pid);
		lost = atomic_load(&f->page->log_lost);
		error = atomic_load(&f->page->log_error);
	} else if ((nmark = f->nmark) != 0) {
		memcpy(mark, f->mark, nmark * sizeof *mark);
	} else {
		nmark = 1;
		mark[0] = (struct output_mark){ 0, "worker" };
	}
	f->from.pid = f->pid;
	last = f->gone || f->flush;
	pthread_mutex_unlock(&l->lock);
	if (fstat(f->fd, &st) < 0)
		st = (struct stat){ 0 };
	size = (uint64_t)st.st_size;
	if (size < f->begin || size < f->read)	/* its task cut it */
		f->begin = f->read = size;
	if (lost)
		say_lost(l, f, 0, error);
	more = show(l, f, size, mark, nmark, last, buf);
	shorten(l, f, size, error == ENOSPC || error == EDQUOT);
	now = clock_ns();
	pthread_mutex_lock(&l->lock);
	if (f->told)
		atomic_store(f->told, f->read);
	if (f->flush && f->read >= f->until && !more) {
		f->flush = false;
		f->sink->flushing--;
	}
	if (f->gone && ((f->read >= f->until && !more) || now >= f->give_up)) {
		finish(l, f, (uint64_t)st.st_blocks * 512);
		more = false;
	} else if ((more || f->gone || f->flush) && list_empty(&f->dirty)) {
		list_add_tail(&l->dirty, &f->dirty);
	}
	pthread_mutex_unlock(&l->lock);
	return more;
}

/* --- events ------------------------------------------------------------------------------------------------------------- */

static void
dirty(struct logs *l, struct logfile *f)
{
	if (f && list_empty(&f->dirty))
		list_add_tail(&l->dirty, &f->dirty);
}

static void
event(struct logs *l, const struct inotify_event *e)
{
	const char *dot;

	if (e->mask & IN_Q_OVERFLOW)
		list_each(k, &l->live)
			dirty(l, list_entry(k, struct logfile, link));
	else if (e->len && (dot = strchr(e->name, '.')) != NULL)
		dirty(l, map_get(&l->files, strtoul(dot + 1, NULL, 10)));
}

static bool
events(struct logs *l)			/* true: there were some */
{
	alignas(struct inotify_event) char b[8192];
	ssize_t n;
	bool some = false;

	while ((n = read(l->inotify, b, sizeof b)) > 0) {
		some = true;
		pthread_mutex_lock(&l->lock);
		for (char *p = b; p < b + n;) {
			const struct inotify_event *e = (const void *)p;

			event(l, e);
			p += sizeof *e + e->len;
		}
		pthread_mutex_unlock(&l->lock);
	}
	return some;
}

/* While it is off nobody pays for telling us. */
static void
listen_for(struct logs *l, bool writes)
{
	inotify_add_watch(l->inotify, l->path, writes ? LOGS_EVENTS : IN_ATTRIB | IN_ONLYDIR);
}

static bool
grown(struct logs *l)			/* true: some have, since the last look at all of them */
{
	bool some = false;
	struct stat st;

	pthread_mutex_lock(&l->lock);
	list_each(k, &l->live) {
		struct logfile *f = list_entry(k, struct logfile, link);

		if (fstat(f->fd, &st) < 0 || (uint64_t)st.st_size == f->seen)
			continue;
		f->seen = (uint64_t)st.st_size;
		dirty(l, f);
		some = true;
	}
	pthread_mutex_unlock(&l->lock);
	return some;
}

/* Looks for what was written: true: again after a rest; false: an event will tell. */
static bool
news(struct logs *l, bool *watching)
{
	if (*watching) {
		if (!events(l))
			return false;
		listen_for(l, false);
		*watching = false;
		return true;
	}
	if (grown(l))
		return true;
	listen_for(l, true);
	*watching = true;
	grown(l);				/* what came in between */
	return false;
}

/* --- drivers --------------------------------------------------------------------------------------------------------------- */

/* counts that are due, an answer to FLUSH, the end; lock held, given up while it writes.  When to look again. */
static uint64_t
tend(struct logs *l, struct logsink *s, uint64_t now)
{
	uint64_t at;
	bool flushed = s->flusher && s->flushing == 0 && s->asked == 0, over = s->refs == 0 || flushed;

	while (far_show(l, s, now) && !s->blocked) {
		pthread_mutex_unlock(&l->lock);
		sink_write(s);
		pthread_mutex_lock(&l->lock);
	}
	if (output_due(&s->text) <= now || over)
		output_tick(&s->text, over ? UINT64_MAX : now, &s->out);
	if ((s->out.len || s->say.len) && !s->blocked) {
		pthread_mutex_unlock(&l->lock);
		sink_write(s);
		pthread_mutex_lock(&l->lock);
	}
	if (s->end && now >= s->end)
		sink_close(s);
	if (s->flusher && ((s->flushing == 0 && s->asked == 0 && s->far.len == 0 && s->out.len == 0 && s->say.len == 0) || now >= s->flush_at)) {
		if (s->flusher == UINT32_MAX)
			far_flushed(l, s);
		else
			tell(l, &(struct logdone){ .proc = s->flusher, .flush = true, .req = s->flush_req });
		s->flusher = 0;
	}
	at = output_due(&s->text);
	if (s->flusher && s->flush_at < at)
		at = s->flush_at;
	if (s->end && sink_listens(s) && s->end < at)
		at = s->end;
	return at;
}

static bool
ended(const struct logsink *s)
{
	return s->refs == 0 && (!sink_listens(s) || (s->out.len == 0 && s->say.len == 0 && s->far.len == 0));
}

static uint64_t
sinks(struct logs *l, uint64_t now)
{
	uint64_t first = UINT64_MAX, at;

	pthread_mutex_lock(&l->lock);
	list_each_safe(k, q, &l->sinks) {
		struct logsink *s = list_entry(k, struct logsink, link);

		if (s->refs == 0 && s->end == 0)
			s->end = now + LOGS_END;
		at = tend(l, s, now);
		q = k->next;			/* others may have been added behind it */
		if (ended(s)) {
			sink_free(s);
		} else if (at < first) {
			first = at;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return first;
}

/* --- the loop of the thread ---------------------------------------------------------------------------------------------------- */

/* looks once at each file that asks for it: true if one has more */
static bool
files(struct logs *l, char *buf)
{
	struct list todo, *k;
	bool more = false;

	list_init(&todo);
	pthread_mutex_lock(&l->lock);
	list_splice_tail(&todo, &l->dirty);
	while ((k = list_shift(&todo)) != NULL) {
		pthread_mutex_unlock(&l->lock);
		more |= look(l, list_entry(k, struct logfile, dirty), buf);
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return more;
}

static void
unblock(struct logs *l, struct logsink *s)	/* lock held: its files are looked at again */
{
	s->blocked = false;
	list_each(k, &l->live) {
		struct logfile *f = list_entry(k, struct logfile, link);

		if (f->sink == s)
			dirty(l, f);
	}
}

/* waits for something to do: at most until the time first; not for files before rest */
static void
wait(struct logs *l, uint64_t now, uint64_t first, uint64_t rest)
{
	struct pollfd p[2 + POLLED] = { { .fd = l->wake, .events = POLLIN }, { .fd = now < rest ? -1 : l->inotify, .events = POLLIN } };
	struct logsink *of[2 + POLLED];
	nfds_t n = 2;
	uint64_t ns, drop;

	if (now < rest && rest < first)
		first = rest;
	pthread_mutex_lock(&l->lock);
	list_each(k, &l->sinks) {
		struct logsink *s = list_entry(k, struct logsink, link);

		if (s->blocked && s->home && now + TRY < first)
			first = now + TRY;	/* unless it is told before */
		else if (s->blocked && !s->home && n < 2 + POLLED) {
			of[n] = s;
			p[n++] = (struct pollfd){ .fd = s->fd, .events = POLLOUT };
		} else if (s->blocked && now + TRY < first) {
			first = now + TRY;
		}
	}
	if (!list_empty(&l->dirty) && now + TRY < first)	/* dead ones that wait for a blocked driver */
		first = now + TRY;
	pthread_mutex_unlock(&l->lock);
	ns = first == UINT64_MAX ? 0 : first > now ? first - now : 1;
	(void)ppoll(p, n, first == UINT64_MAX ? NULL : &(struct timespec){ .tv_sec = (time_t)(ns / CLOCK_SEC),
	    .tv_nsec = (long)(ns % CLOCK_SEC) }, NULL);
	if (p[0].revents)
		(void)!read(l->wake, &drop, sizeof drop);
	pthread_mutex_lock(&l->lock);
	for (nfds_t i = 2; i < n; i++)
		if (p[i].revents || n == 2 + POLLED)
			unblock(l, of[i]);
	list_each(k, &l->sinks)
		if (list_entry(k, struct logsink, link)->home && list_entry(k, struct logsink, link)->blocked)
			unblock(l, list_entry(k, struct logsink, link));
	pthread_mutex_unlock(&l->lock);
}

void *
logs_follow(void *arg)
{
	struct logs *l = arg;
	char *buf = malloc(LOGS_READ);
	uint64_t rest = 0, until = 0;
	bool watching = true;

	while (buf) {
		uint64_t now = clock_ns(), first;
		bool more, stop, left;

		if (now >= rest && news(l, &watching))
			rest = now + LOGS_REST;
		more = files(l, buf);
		first = sinks(l, now);
		pthread_mutex_lock(&l->lock);
		stop = l->stop;
		left = !list_empty(&l->live);
		pthread_mutex_unlock(&l->lock);
		if (stop && until == 0)
			until = now + LOGS_LAST;
		if (stop && (now >= until || (!left && first == UINT64_MAX)))
			break;
		if (!more)
			wait(l, now, stop && until < first ? until : first, rest);
	}
	free(buf);
	return NULL;
}
