/*
 * lookup - names of hosts are looked up by a thread of their own, one at a time: name services may take very long, and
 * neither frames nor rings wait for them.  Addresses need no looking up.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "link/inner.h"
#include "os/tcp.h"

struct lookup {
	pthread_mutex_t lock;		/* of the rest; taken after the link's */
	struct link *l;			/* NULL: the link is gone, and the thread frees this */
	uint32_t node;
	bool done;
	int e;
	struct tcp_name name;
	struct addrinfo *all;
};

static void
release(struct lookup *k)
{
	if (k->all)
		freeaddrinfo(k->all);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static void *
look(void *arg)
{
	struct lookup *k = arg;
	struct addrinfo *all = NULL;
	int e = tcp_resolve(&k->name, 0, &all);
	bool left;

	pthread_mutex_lock(&k->lock);
	k->e = e;
	k->all = e == 0 ? all : NULL;
	k->done = true;
	if (!(left = k->l == NULL))
		ev_async_send(k->l->loop, &k->l->wake);
	pthread_mutex_unlock(&k->lock);
	if (left)
		release(k);
	return NULL;
}

static int
begin(struct peer *p, const struct tcp_name *name)
{
	struct lookup *k = calloc(1, sizeof *k);
	pthread_t t;

	if (k == NULL)
		return -ENOMEM;
	*k = (struct lookup){ .l = p->l, .node = p->node, .name = *name };
	pthread_mutex_init(&k->lock, NULL);
	if (pthread_create(&t, NULL, look, k) != 0) {
		release(k);
		return -EAGAIN;
	}
	pthread_detach(t);
	p->l->lookup = k;
	return -EAGAIN;
}

/* what the thread found, if that is what p wants to know */
static int
found(struct peer *p, struct lookup *k, const struct tcp_name *name)
{
	bool done, mine = k->node == p->node && strcmp(k->name.host, name->host) == 0 && strcmp(k->name.port, name->port) == 0;
	int e;

	pthread_mutex_lock(&k->lock);
	done = k->done;
	pthread_mutex_unlock(&k->lock);
	if (!done)
		return -EAGAIN;
	p->l->lookup = NULL;			/* its thread is through with it */
	if (mine) {
		p->all = k->all;
		k->all = NULL;
	}
	e = k->e;
	release(k);
	return mine ? e : begin(p, name);
}

int
lookup(struct peer *p)
{
	struct tcp_name name;
	int e = tcp_parse(&name, p->address);

	if (e < 0 || p->all || (e = tcp_numeric(&name, &p->all)) != -ENOENT)
		return e;
	p->all = NULL;
	return p->l->lookup ? found(p, p->l->lookup, &name) : begin(p, &name);
}

void
lookup_forget(struct peer *p)
{
	if (p->all)
		freeaddrinfo(p->all);
	p->all = p->next = NULL;
}

void
lookup_stop(struct link *l)
{
	struct lookup *k = l->lookup;
	bool done;

	if (k == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	done = k->done;
	k->l = NULL;
	pthread_mutex_unlock(&k->lock);
	if (done)
		release(k);
}
