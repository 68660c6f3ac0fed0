/* spill_io.c - the threads that read and write: the loop never waits for a disk.  Somebody waits for a read, so reads go first. */
#include <stdlib.h>
#include "node/spill.h"
#include "os/sig.h"

static void (*on_done)(struct spill *s, struct spill_job *j);

static void
run(struct spill_job *j)
{
	unsigned char *to;
	int e;

	if (!j->read) {
		j->result = spill_write(j->file->fd, j->at, j->piece, j->n);
		return;
	}
	if ((j->result = spill_head(j->file->fd, j->at, &j->rec)) < 0)
		return;
	if (!id_eq(j->rec.id, j->moved[0]->id) || j->rec.run != j->moved[0]->run)
		j->result = ERR_LAYOUT;
	else if ((e = arena_fill_at(&j->fill, 0, j->fill.bytes, &to)) < 0)
		j->result = e;
	else
		j->result = spill_read(j->file->fd, j->at, &j->rec, to - sizeof(struct obj_hdr));
}

static void *
work(void *arg)
{
	struct spill *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		struct list *from = !list_empty(&s->reads) ? &s->reads : &s->writes;
		struct spill_job *j;

		if (list_empty(from)) {
			pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		j = list_entry(list_shift(from), struct spill_job, link);
		pthread_mutex_unlock(&s->lock);
		run(j);
		pthread_mutex_lock(&s->lock);
		list_add_tail(&s->done, &j->link);
		ev_async_send(s->n->loop, &s->ready);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void
on_ready(struct ev_loop *loop, ev_async *w, int revents)
{
	struct spill *s = w->data;
	struct list *l;

	(void)loop, (void)revents;
	for (;;) {
		pthread_mutex_lock(&s->lock);
		l = list_shift(&s->done);
		pthread_mutex_unlock(&s->lock);
		if (l == NULL)
			return;
		on_done(s, list_entry(l, struct spill_job, link));
	}
}

int
spill_io_start(struct spill *s, void (*done)(struct spill *s, struct spill_job *j))
{
	sigset_t old;
	int e = 0;

	on_done = done;
	list_init(&s->reads);
	list_init(&s->writes);
	list_init(&s->done);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	ev_async_init(&s->ready, on_ready);
	s->ready.data = s;
	ev_async_start(s->n->loop, &s->ready);
	sig_block(&old);
	while (e == 0 && s->threads < SPILL_THREADS)
		if ((e = -pthread_create(&s->thread[s->threads], NULL, work, s)) == 0)
			s->threads++;
	sig_restore(&old);
	return s->threads ? 0 : e;
}

void
spill_io_submit(struct spill *s, struct spill_job *j)
{
	j->file->busy++;
	pthread_mutex_lock(&s->lock);
	list_add_tail(j->read ? &s->reads : &s->writes, &j->link);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

void
spill_job_free(struct spill_job *j)
{
	free(j->moved);
	free(j->piece);
	free(j);
}

void
spill_io_stop(struct spill *s)
{
	struct list *l;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	while (s->threads > 0)
		pthread_join(s->thread[--s->threads], NULL);
	while ((l = list_shift(&s->reads)) != NULL || (l = list_shift(&s->writes)) != NULL || (l = list_shift(&s->done)) != NULL)
		spill_job_free(list_entry(l, struct spill_job, link));
	ev_async_stop(s->n->loop, &s->ready);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
}
