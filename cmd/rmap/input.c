/*
 * input - a regular file, or anything if nobody minds to wait, is read where it is wanted.  Other things may make
 * their reader wait: a thread reads ahead, two buffers at most, and wakes the main thread.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/sig.h"
#include "rmap.h"

enum { READ = 256 << 10 };

struct input {
	int fd;
	bool threaded;
	void (*wake)(void *);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct {
		unsigned char *p;
		ssize_t n;		/* 0: end; -errno */
	} slot[2];
	unsigned put, got;		/* slots filled and emptied: put - got of them are full */
	bool waited;			/* the main thread found none */
};

static void *
reader(void *arg)
{
	struct input *in = arg;
	ssize_t n;

	do {
		unsigned i;
		bool wake;

		pthread_mutex_lock(&in->lock);
		while (in->put - in->got == 2)
			pthread_cond_wait(&in->room, &in->lock);
		i = in->put % 2;
		pthread_mutex_unlock(&in->lock);
		while ((n = read(in->fd, in->slot[i].p, READ)) < 0 && errno == EINTR)
			;
		pthread_mutex_lock(&in->lock);
		in->slot[i].n = n < 0 ? -errno : n;
		in->put++;
		wake = in->waited;
		in->waited = false;
		pthread_mutex_unlock(&in->lock);
		if (wake)
			in->wake(in->arg);
	} while (n > 0);
	return NULL;
}

struct input *
input_open(int fd, void (*wake)(void *), void *arg)
{
	struct input *in = calloc(1, sizeof *in);
	struct stat st;
	pthread_t t;
	sigset_t old;
	int e;

	if (!in)
		return NULL;
	in->fd = fd;
	in->wake = wake;
	in->arg = arg;
	if (!wake || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return in;
	in->threaded = true;
	in->slot[0].p = malloc(READ);
	in->slot[1].p = malloc(READ);
	if (!in->slot[0].p || !in->slot[1].p)
		return NULL;
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->room, NULL);
	sig_block(&old);
	e = pthread_create(&t, NULL, reader, in);
	sig_restore(&old);
	return e ? NULL : in;
}

static int
take(struct input *in, struct buf *b)
{
	unsigned i = in->got % 2;
	ssize_t n;
	int e;

	pthread_mutex_lock(&in->lock);
	if (in->put == in->got) {
		in->waited = true;
		pthread_mutex_unlock(&in->lock);
		return -EAGAIN;
	}
	pthread_mutex_unlock(&in->lock);
	n = in->slot[i].n;
	if (n <= 0)
		return (int)n;			/* stays: said again to whoever asks again */
	if ((e = buf_add(b, in->slot[i].p, (size_t)n)) < 0)
		return e;
	pthread_mutex_lock(&in->lock);
	in->got++;
	pthread_cond_signal(&in->room);
	pthread_mutex_unlock(&in->lock);
	return (int)n;
}

int
input_fill(struct input *in, struct buf *b)
{
	ssize_t n;
	int e;

	if (in->threaded)
		return take(in, b);
	if ((e = buf_reserve(b, READ)) < 0)
		return e;
	while ((n = read(in->fd, b->data + b->len, READ)) < 0 && errno == EINTR)
		;
	if (n < 0)
		return -errno;
	b->len += (size_t)n;
	return (int)n;
}
