#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "client/crowd.h"
#include "client/inner.h"
#include "os/sig.h"

#define LEFT_MAX 64u

enum { PARKED, DONE, LEADS };
enum { FREE, LED, SHARED };

struct parked {				/* on the stack of a thread that waits while another one has the role */
	struct list link;
	bool (*ready)(struct client *, void *);
	void *arg;
	_Atomic uint32_t word;
};

struct crowd {
	_Atomic uint32_t led;		/* FREE, LED: some thread has the role, SHARED: and others are parked */
	struct list parked;		/* not empty only while SHARED; lock */

	int fd;				/* of client_fd; -1 */
	bool raised, quit;		/* lock: it was written to and not cleared since; the watcher is to end */
	pthread_t watcher;
};

struct lead {
	bool (*ready)(struct client *, void *);
	void *arg;
};

int
client_crowd(struct client *c)
{
	struct crowd *w;

	if (c->crowd)
		return 0;
	if (!(w = calloc(1, sizeof *w)))
		return -ENOMEM;
	list_init(&w->parked);
	w->fd = -1;
	c->crowd = w;
	return 0;
}

static void
tell_l(struct parked *p, uint32_t what)
{
	list_del(&p->link);
	atomic_store_explicit(&p->word, what, memory_order_release);
	futex_wake(&p->word, 1);	/* it cannot be gone before it had the lock, or the word: then nobody is woken */
}

/* the leader's look, lock held: for all */
static bool
crowd_ready(struct client *c, void *arg)
{
	struct list *l, *next;
	struct lead *lead = arg;

	for (l = c->crowd->parked.next; l != &c->crowd->parked; l = next) {
		struct parked *p = list_entry(l, struct parked, link);

		next = l->next;
		if (p->ready(c, p->arg))
			tell_l(p, DONE);
	}
	return lead->ready(c, lead->arg);
}

static void
resign(struct client *c)
{
	struct crowd *w = c->crowd;
	uint32_t led = LED;

	if (atomic_compare_exchange_strong(&w->led, &led, FREE))
		return;
	lock_take(&c->lock);
	if (list_empty(&w->parked))
		atomic_store(&w->led, FREE);
	else
		tell_l(list_entry(w->parked.next, struct parked, link), LEADS);
	lock_drop(&c->lock);
}

static bool
take_role(struct crowd *w)
{
	uint32_t no = FREE;

	return atomic_compare_exchange_strong(&w->led, &no, LED);
}

/* lock held: true, the role is ours; false, p is parked, and whoever has the role knows */
static bool
take_or_park_l(struct crowd *w, struct parked *p)
{
	uint32_t led = atomic_load(&w->led);

	do
		if (led == FREE && take_role(w))
			return true;
	while (led == FREE || !atomic_compare_exchange_strong(&w->led, &led, SHARED));
	list_add_tail(&w->parked, &p->link);
	return false;
}

/* until the leader tells: DONE or LEADS; or e, then it is off the list */
static int
park(struct client *c, struct parked *p, uint64_t deadline, int *e)
{
	uint32_t word;

	*e = 0;
	while ((word = atomic_load_explicit(&p->word, memory_order_acquire)) == PARKED && *e == 0) {
		uint64_t now = deadline == WAIT_FOREVER ? 0 : clock_ns();

		*e = deadline != WAIT_FOREVER && now >= deadline ? -ETIMEDOUT :
		    futex_wait(&p->word, PARKED, deadline == WAIT_FOREVER ? -1 : (int64_t)(deadline - now));
		if (*e == -EAGAIN)
			*e = 0;
	}
	if (word != PARKED)
		return (int)word;
	lock_take(&c->lock);
	word = atomic_load_explicit(&p->word, memory_order_relaxed);
	if (word == PARKED)
		list_del(&p->link);
	lock_drop(&c->lock);
	return (int)word;
}

int
crowd_wait(struct client *c, bool (*ready)(struct client *, void *), void *arg, uint64_t deadline)
{
	struct crowd *w = c->crowd;
	struct lead lead = { ready, arg };
	struct parked p = { .ready = ready, .arg = arg };
	int e = 0, told = LEADS;

	if (!take_role(w)) {
		lock_take(&c->lock);
		if (ready(c, arg)) {
			lock_drop(&c->lock);
			return 0;
		}
		if (!take_or_park_l(w, &p))
			told = PARKED;
		lock_drop(&c->lock);
		if (told == PARKED)
			told = park(c, &p, deadline, &e);
	}
	if (told == DONE)
		return 0;
	if (told == PARKED)
		return e;		/* timed out, or a signal */
	if (e == 0)
		e = wait_alone(c, crowd_ready, &lead, deadline);
	resign(c);
	return e;
}

/* something became ready that no ring told of: whoever looks for all may be asleep */
void
crowd_stir_l(struct client *c)
{
	if (atomic_load_explicit(&c->crowd->led, memory_order_relaxed) != FREE)
		bell_ring(c->np, c->bell);
}

/* --- a descriptor ----------------------------------------------------------------------------------------------- */

void
crowd_raise_l(struct client *c)
{
	struct crowd *w = c->crowd;
	uint64_t one = 1;

	if (w->fd < 0 || w->raised)
		return;
	w->raised = write(w->fd, &one, sizeof one) == sizeof one;
}

static bool
watched(struct client *c, void *arg)
{
	(void)arg;
	return c->crowd->quit;
}

static void *
watch(void *arg)
{
	struct client *c = arg;

	while (crowd_wait(c, watched, NULL, WAIT_FOREVER) == -EINTR)
		;
	lock_take(&c->lock);
	crowd_raise_l(c);			/* the node is gone: whoever polls is to find that out */
	lock_drop(&c->lock);
	return NULL;
}

static int
watch_start(struct client *c)
{
	pthread_attr_t a;
	sigset_t old;
	int e;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 128 << 10);
	sig_block(&old);
	e = pthread_create(&c->crowd->watcher, &a, watch, c);
	sig_restore(&old);
	pthread_attr_destroy(&a);
	return -e;
}

int
client_fd(struct client *c)
{
	struct crowd *w = c->crowd;
	int fd, e = 0;

	lock_take(&c->lock);
	if ((fd = w->fd) < 0) {
		if ((fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK)) < 0) {
			fd = -errno;
		} else if ((e = watch_start(c)) < 0) {
			close(fd);
			fd = e;
		} else {
			w->fd = fd;
			crowd_raise_l(c);		/* what is ready already */
		}
	}
	lock_drop(&c->lock);
	return fd;
}

void
client_fd_clear(struct client *c)
{
	struct crowd *w = c->crowd;
	uint64_t junk;

	lock_take(&c->lock);
	if (w->raised && read(w->fd, &junk, sizeof junk) == sizeof junk)
		w->raised = false;
	lock_drop(&c->lock);
}

void
client_fd_end(struct client *c)
{
	struct crowd *w = c->crowd;

	if (w->fd < 0)
		return;
	lock_take(&c->lock);
	w->quit = true;
	bell_ring(c->np, c->bell);
	lock_drop(&c->lock);
	pthread_join(w->watcher, NULL);
	close(w->fd);
	w->fd = -1;
}

/* --- results -------------------------------------------------------------------------------------------------- */

static bool
is_ready(struct client *c, void *arg)
{
	(void)c;
	return ((struct rec *)arg)->state == REC_READY;
}

/* fixed when the record was made */
static inline __attribute__((no_sanitize("thread"))) bool
borrowed(const struct rec *r)
{
	return r->flags & REC_BORROWED;
}

int
client_await(struct client *c, struct rec *r, uint64_t deadline)
{
	if (rec_is_ready(r))
		return 0;
	if (borrowed(r)) {
		lock_take(&c->lock);
		ask_l(c, r);
		lock_drop(&c->lock);
	}
	return wait_until(c, is_ready, r, deadline);
}

/* --- giving up ------------------------------------------------------------------------------------------------ */

struct left {
	struct client *c;
	unsigned n;
	struct rec *rec[LEFT_MAX];
};

static pthread_key_t left_key;
static pthread_once_t left_once = PTHREAD_ONCE_INIT;
static _Atomic bool left_works;
static _Thread_local struct left *left __attribute__((tls_model("initial-exec")));

static void
left_l(struct client *c, struct left *v)
{
	while (v->n) {
		struct rec *r = v->rec[--v->n];

		if (--r->count)
			continue;
		if (r->flags & (REC_SIDE|REC_REFS) || r->ext || r->kind == REC_ARENA) {
			rec_free_if_l(c, r);
			continue;
		}
		if (r->fn)
			fn_unref_l(c, fn_of(c, r->fn));
		slab_rec_free(&c->slab, r);
	}
}

static void
left_end(void *arg)
{
	struct left *v = arg;

	if (v->c && v->n && !v->c->lost) {
		lock_take(&v->c->lock);
		left_l(v->c, v);
		lock_drop(&v->c->lock);
	}
	free(v);
}

static void
left_make(void)
{
	atomic_store(&left_works, pthread_key_create(&left_key, left_end) == 0);
}

static struct left *
left_new(void)
{
	struct left *v;

	pthread_once(&left_once, left_make);
	if (!atomic_load(&left_works) || !(v = calloc(1, sizeof *v)))
		return NULL;
	if (pthread_setspecific(left_key, v) != 0) {
		free(v);
		return NULL;
	}
	return left = v;
}

/* only what is small is left for later: a record, no memory of others */
void
client_leave(struct client *c, struct rec *r)
{
	struct left *v = left;

	if (client_peek(r) < 0 || !c->crowd || (!v && !(v = left_new()))) {
		client_release(c, r);
		return;
	}
	if (v->c != c) {
		v->c = c;
		v->n = 0;			/* another client's, which is gone */
	}
	v->rec[v->n++] = r;
	if (v->n == LEFT_MAX)
		client_left(c);
}

void
client_left(struct client *c)
{
	if (!left || left->c != c)
		return;
	lock_take(&c->lock);
	left_l(c, left);
	lock_drop(&c->lock);
}
