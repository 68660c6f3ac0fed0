/*
 * group - placement groups from a process.  A group's id is that of a record of its maker, which becomes ready with it;
 * other processes that wait for it have a record of their own, and ask.
 */
#include <stdio.h>
#include "client/group.h"
#include "client/inner.h"

static struct rec *
pending_l(struct client *c)
{
	struct rec *r = rec_new_l(c);

	if (r) {
		r->state = REC_PENDING;
		r->count = 2;			/* the caller's, and until it is ready */
	}
	return r;
}

struct unanswered {			/* GROUP_NEW: to be asked again of a daemon that takes over */
	struct buf frame;
	uint64_t req;			/* its place among the requests */
};

static void
new_l(struct client *c, struct id id, const struct group_spec *s)
{
	struct unanswered *u = calloc(1, sizeof *u);
	size_t at = c->out.len;

	if (msg_put_group_new(&c->out, &(struct msg_group_new){ .id = id, .name = span_of(s->name, s->name ? strlen(s->name) : 0),
	    .strategy = s->strategy, .bundles = s->bundles, .detached = s->detached, .timeout = s->timeout }) < 0 ||
	    !u || buf_add(&u->frame, c->out.data + at, c->out.len - at) < 0 || idmap_put(&c->pgroups_new, id, u) < 0) {
		if (u)
			buf_release(&u->frame);
		free(u);
	} else {
		u->req = ++c->next_req;
	}
	link_cork_l(c);
}

static void
made_l(struct client *c, struct id id)
{
	struct unanswered *u = idmap_del(&c->pgroups_new, id);

	if (!u)
		return;
	link_answered_l(c, u->req);
	buf_release(&u->frame);
	free(u);
}

int
client_group_new(struct client *c, const struct group_spec *s, struct id *id, struct rec **out)
{
	struct rec *r;
	int e = -ENOMEM;

	lock_take(&c->lock);
	if ((r = pending_l(c)) && idmap_put(&c->pgroups, rec_id(c, r), r) == 0) {
		*id = rec_id(c, r);
		*out = r;
		e = 0;
		if (c->lost)
			groups_lost_l(c, c->why);
		else
			new_l(c, *id, s);
	} else if (r) {
		slab_rec_free(&c->slab, r);
	}
	lock_drop(&c->lock);
	if (!c->serving)
		service_start(c);
	return e;
}

int
client_group_ask(struct client *c, struct id id, struct rec **out)
{
	struct rec *r;
	int e = 0;

	lock_take(&c->lock);
	if ((r = idmap_get(&c->pgroups, id))) {
		r->count++;
	} else if (!(r = pending_l(c)) || idmap_put(&c->pgroups, id, r) < 0) {
		if (r)
			slab_rec_free(&c->slab, r);
		e = -ENOMEM;
	} else if (c->lost) {
		groups_lost_l(c, c->why);
	} else {
		LINK_SEND(c, group_ask, .id = id);
	}
	lock_drop(&c->lock);
	*out = r;
	if (!c->serving)
		service_start(c);
	return e;
}

void
client_group_del(struct client *c, struct id id)
{
	lock_take(&c->lock);
	for (unsigned i = 0; i < c->nlease && !c->lost; i++) {	/* workers that do nothing need not be killed */
		struct lease *l = c->lease[i];

		if (l && l->shape && id_eq(l->shape->opts.group, id) && l->inflight == 0 && !l->returning)
			lease_back_l(c, l);
	}
	if (!c->lost)
		LINK_SURE(c, group_del, .id = id);
	lock_drop(&c->lock);
}

int
client_group_find(struct client *c, const char *namespace, const char *name, struct id *id, unsigned *bundles, char *why, size_t n)
{
	struct request *rq;
	struct msg_group m;
	int e;

	*why = '\0';
	lock_take(&c->lock);
	if ((rq = link_expect_l(c)))
		LINK_ASK(c, rq, group_find, .req = rq->req, .namespace = span_of(namespace, namespace ? strlen(namespace) : 0),
		    .name = span_of(name, strlen(name)));
	lock_drop(&c->lock);
	if (!rq)
		return -ENOMEM;
	if ((e = link_request(c, rq->req, WAIT_FOREVER, &rq)) == 0) {
		if (rq->type == MSG_FAIL_T)
			e = link_fail(rq, why, n);
		else if (rq->type != MSG_GROUP_T || msg_get_group(&m, rq->body.data, rq->body.len) < 0)
			e = ERR_PROTO;
	}
	if (e == 0) {
		*id = m.id;
		*bundles = (unsigned)m.bundles;
	} else if (!*why) {
		snprintf(why, n, "%s", err_str(e));
	}
	link_done(c, rq);
	return e;
}

void
client_group_settle(struct client *c)
{
	unsigned bundles;
	char why[512];
	struct id id;

	client_group_find(c, NULL, "", &id, &bundles, why, sizeof why);	/* there is none, but its answer comes after what we sent */
}

struct id
client_group_here(struct client *c, unsigned *bundles)
{
	struct id id;

	lock_take(&c->lock);
	id = c->in_pgroup;
	*bundles = c->in_bundles;
	lock_drop(&c->lock);
	return id;
}

void
group_state_l(struct client *c, const struct msg_group_state *m)
{
	struct rec *r = idmap_del(&c->pgroups, m->id);
	char text[256];

	made_l(c, m->id);
	if (!r)
		return;
	if (m->state == GROUP_STATE_CREATED) {
		rec_set_l(c, r, (const unsigned char *)"\xc3", 1, 1, 0);	/* true */
	} else {
		snprintf(text, sizeof text, "%.*s", (int)m->text.n, (const char *)m->text.p);
		rec_fail_l(c, r, m->code < 0 ? (int)m->code : ERR_CANCELLED, text);
		r->flags |= REC_SEEN;		/* whatever was to run in it says the same */
		rec_unref_l(c, r);
		return;
	}
	rec_ready_l(c, r);
	rec_unref_l(c, r);
}

void
groups_again_l(struct client *c)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&c->pgroups, &it)) {
		const struct unanswered *u = idmap_get(&c->pgroups_new, it.key);

		if (!u || buf_add(&c->out, u->frame.data, u->frame.len) < 0)
			LINK_SEND(c, group_ask, .id = it.key);
	}
}

void
groups_lost_l(struct client *c, const char *why)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&c->pgroups, &it)) {
		struct rec *r = idmap_del(&c->pgroups, it.key);

		made_l(c, it.key);
		rec_fail_l(c, r, ERR_NO_CLUSTER, why);
		rec_unref_l(c, r);
	}
}
