/*
 * health - a worker's answers to HEALTH: its main thread gives them, or the check would say nothing about it.  Where a
 * method is to be called the script does it, between calls.
 */
#include "client/inner.h"
#include "client/serve.h"

static void
well_l(struct client *c, bool ok, struct span text)
{
	LINK_SEND(c, healthy, .actor = c->health.actor, .round = c->health.round, .ok = ok, .text = text);
	c->health.due = false;
}

void
health_asked_l(struct client *c, const struct msg_health *m)
{
	size_t n = m->method.n < sizeof c->health.method ? m->method.n : sizeof c->health.method - 1;

	c->health.actor = m->actor;
	c->health.round = m->round;
	memcpy(c->health.method, m->method.p, n);
	c->health.method[n] = '\0';
	c->health.due = true;
	if (n > 0)
		atomic_store(&c->poked, true);	/* the worker's loop is to look */
	else if (pthread_equal(pthread_self(), c->main))
		well_l(c, true, span_of(NULL, 0));
}

void
health_look(struct client *c)
{
	lock_take(&c->lock);
	if (health_due(c))
		well_l(c, true, span_of(NULL, 0));
	lock_drop(&c->lock);
}

void
serve_look(struct client *c)
{
	lock_take(&c->lock);
	if (!c->serving && !c->lost)
		link_read_l(c);
	lock_drop(&c->lock);
	if (health_due(c))
		health_look(c);
}

const char *
serve_health(struct client *c)
{
	return c->health.due && c->health.method[0] ? c->health.method : NULL;
}

void
serve_healthy(struct client *c, bool ok, const char *text)
{
	lock_take(&c->lock);
	well_l(c, ok, span_of(text, text ? strlen(text) : 0));
	lock_drop(&c->lock);
}

void
serve_ill(struct client *c, const char *text)
{
	lock_take(&c->lock);
	LINK_SEND(c, healthy, .actor = c->actor_number, .round = 0, .ok = 0, .text = span_of(text, strlen(text)));
	lock_drop(&c->lock);
}
