/*
 * find - actors by name.  What was found is remembered: the node tells whoever found an actor when it dies, so that a
 * second look costs no round trip; a name that nobody had is asked for each time.
 *
 * An actor of which we have no handle any more stays in client.actor and client.found with no handles, and is not held.
 */
#include "base/hash.h"
#include "client/inner.h"

#define FOUND_MAX 100000u		/* remembered without a handle */

static uint64_t
key_of(const char *namespace, const char *name)
{
	return hash64(namespace, strlen(namespace)) * UINT64_C(0x9e3779b97f4a7c15) ^ hash64(name, strlen(name));
}

void
found_put_l(struct client *c, struct actor *a, const char *namespace, const char *name)
{
	size_t n, m = strlen(name) + 1;
	uint64_t key;

	if (a->state == ACTOR_DEAD || a->found)
		return;
	if (!*namespace)
		namespace = c->namespace;
	n = strlen(namespace) + 1;
	key = key_of(namespace, name);
	if (map_get(&c->found, key) || !(a->found = malloc(n + m)))
		return;				/* another one of the same hash: this one is asked for */
	memcpy(a->found, namespace, n);
	memcpy(a->found + n, name, m);
	if (map_put(&c->found, key, a) < 0) {
		free(a->found);
		a->found = NULL;
	}
}

void
found_forget_l(struct client *c, struct actor *a)
{
	if (!a->found)
		return;
	map_del(&c->found, key_of(a->found, a->found + strlen(a->found) + 1));
	free(a->found);
	a->found = NULL;
	if (a->handles == 0 && c->nfound)
		c->nfound--;
}

bool
found_keep_l(struct client *c, struct actor *a)
{
	if (!a->found || a->state == ACTOR_DEAD || a->ended || c->nfound >= FOUND_MAX || c->lost)
		return false;
	c->nfound++;
	return true;
}

static struct actor *
found_l(struct client *c, const char *namespace, const char *name)
{
	struct actor *a;

	if (!*namespace)
		namespace = c->namespace;
	a = map_get(&c->found, key_of(namespace, name));
	if (!a || a->ended || strcmp(a->found, namespace) || strcmp(a->found + strlen(namespace) + 1, name))
		return NULL;
	return a;
}

int
client_actor_find(struct client *c, const char *namespace, const char *name, struct actor **a, char *why, size_t n)
{
	struct request *rq;
	int e;

	if (!namespace)
		namespace = "";
	*why = '\0';
	lock_take(&c->lock);
	if ((*a = found_l(c, namespace, name))) {
		actor_again_l(c, *a);
		lane_open_l(c, *a, 0);
		lock_drop(&c->lock);
		return 0;
	}
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, actor_find, .req = rq->req, .namespace = span_of(namespace, strlen(namespace)),
		    .name = span_of(name, strlen(name)));
	lock_drop(&c->lock);
	e = rq ? actor_request(c, rq, a, why, n) : -ENOMEM;
	if (e == 0) {
		lock_take(&c->lock);
		found_put_l(c, *a, namespace, name);
		lock_drop(&c->lock);
	}
	return e;
}
