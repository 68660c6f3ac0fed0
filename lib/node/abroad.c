/* abroad.c - the link to other nodes, their processes' aliases, and what processes of different nodes tell each other */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "loop/tls.h"
#include "node/abroad_group.h"
#include "os/key.h"
#include "os/tcp.h"
#include "wire/le.h"
#include "wire/val.h"

/* an honest node's link ends only with its daemon; of another one the log is to tell */
static void
on_over(struct node *n, uint32_t node, struct span text)
{
	char why[NODE_MESSAGE];

	snprintf(why, sizeof why, "%.*s", (int)(text.n < sizeof why ? text.n : sizeof why - 1), text.n ? (const char *)text.p : "");
	if (*why)
		node_log(n, 0, "the session with node %u is over: %s", node, why);
	abroad_gone(n, node, *why ? why : "its node is gone");
}

/* What it said was not done: whoever waits for that there would wait for ever, so both begin anew. */
static void
wrong(struct node *n, const struct link_news *news, int e)
{
	const char *name = msg_name(news->type);
	char why[120];

	if (e == ERR_PROTO)
		snprintf(why, sizeof why, "it sent a message that makes no sense (%s)", name ? name : "?");
	else
		snprintf(why, sizeof why, "%s: %s", name ? name : "?", err_str(e));
	link_wrong(n->abroad->link, news->node, why);
}

static void
on_news(struct ev_loop *loop, ev_async *w, int revents)
{
	struct node *n = w->data;
	struct link_news news;
	int e;

	(void)loop, (void)revents;
	while (link_next(n->abroad->link, &news)) {
		if (news.kind == LINK_OVER)
			on_over(n, news.node, news.body);
		else if (news.kind != LINK_FRAME)
			abroad_object(n, &news);
		else if ((e = abroad_frame(n, news.node, news.type, news.body)) < 0)
			wrong(n, &news, e);
	}
}

static void
news(void *arg)
{
	struct node *n = arg;

	ev_async_send(n->loop, &n->abroad->news);
}

int
abroad_start(struct node *n, char *why, size_t nwhy)
{
	struct abroad *a = calloc(1, sizeof *a);
	struct link_opts o = { .node = n->number, .listen = -1, .np = n->np, .news = news, .arg = n, .arena = &n->view,
	    .budget = memory_size(n) / 4 };
	struct keys k;
	int e, page;

	if ((n->abroad = a) == NULL)
		return -ENOMEM;
	a->slab = -1;
	a->next_ring = ABROAD_RINGS;
	where_init(&a->where, n->number);
	if (where_node(&a->where, n->number, &n->lease.total, &n->self.own, 0) < 0)
		return -ENOMEM;
	a->where.name = (const char (*)[64])n->lease.name;
	overflow_init(&a->over, &a->where);
	a->over.until = UINT64_MAX;		/* the list of nodes is to come */
	guest_init(&a->guests);
	afar_init(&a->afar);
	hold_init(&a->holds);
	if ((e = keys_read(&k, n->o.key, why, nwhy)) < 0)
		return e;
	a->tls = tls_ctx_new(&k);
	keys_wipe(&k);
	if (a->tls == NULL)
		return -ENOTSUP;
	tls_ctx_follow(a->tls, n->o.key);
	if (n->nbells == 0 || (a->slab = slab_create("rota-link")) < 0 || (page = page_create("rota-link-page", n->number, 0)) < 0)
		return -ENOSPC;
	e = page_map(page, &a->page, 0);
	close(page);
	if (e < 0)
		return e;
	a->bell = n->bells[--n->nbells];
	atomic_store(&n->np->bell[a->bell].word, 0);
	atomic_store(&n->np->bell[a->bell].proc, UINT32_MAX);
	ev_async_init(&a->news, on_news);
	a->news.data = n;
	ev_async_start(n->loop, &a->news);
	o.listen = n->self.listener;
	n->self.listener = -1;
	o.incarnation = n->self.incarnation;
	o.tls = a->tls;
	o.bell = a->bell;
	o.slab = a->slab;
	if ((e = link_start(&a->link, &o, why, nwhy)) == 0 && n->joined)
		abroad_group_joined(n);
	return e;
}

void
abroad_stop(struct node *n)
{
	struct abroad *a = n->abroad;
	struct map_iter it = MAP_ITER;
	struct idmap_iter ai = IDMAP_ITER;

	if (a == NULL)
		return;
	while (idmap_next(&a->alias, &ai)) {
		struct nproc *p = ai.val;

		proc_lost(p);
		proc_gone(p, ERR_CLOSED, "the node ends");
	}
	logs_alone(n);
	link_stop(a->link);
	abroad_objects_stop(n);
	tls_ctx_free(a->tls);
	while (map_next(&a->nodes, &it))
		free(it.val);
	map_release(&a->nodes);
	idmap_release(&a->alias);
	idmap_release(&a->rings);
	pgroup_stop(a);
	hold_stop(a);
	abroad_turn_stop(a);
	afar_release(&a->afar);
	free(a->afar_out.fx);
	if (n->loop)
		ev_async_stop(n->loop, &a->news);
	if (a->page)
		page_unmap(a->page);
	if (a->slab >= 0)
		close(a->slab);
	free(a);
	n->abroad = NULL;
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

void
abroad_node(struct node *n, uint32_t node, const char *address, const struct res *total)
{
	struct abroad *a = n->abroad;
	struct there *t;

	if (a == NULL || node == n->number)
		return;
	if ((t = map_get(&a->nodes, node)) == NULL) {
		if ((t = calloc(1, sizeof *t)) == NULL || map_put(&a->nodes, node, t) < 0) {
			free(t);
			return;
		}
		t->node = node;
	}
	atomic_fetch_add(&n->np->abroad, (uint32_t)(total->v[RES_CPU] - t->total.v[RES_CPU]));
	t->total = *total;
	link_peer(a->link, node, address);
}

void
abroad_gone(struct node *n, uint32_t node, const char *text)
{
	struct abroad *a = n->abroad;
	struct idmap_iter it = IDMAP_ITER;

	if (a == NULL)
		return;
	while (idmap_next(&a->alias, &it)) {
		struct nproc *p = it.val;

		if (p->home != node)
			continue;
		proc_lost(p);
		proc_gone(p, ERR_CRASHED, text);
	}
	abroad_disown(n, node, 0);
	abroad_lease_gone(n, node);
	abroad_late(n, &(struct late){ .kind = LATE_GONE, .node = node });
	abroad_turn(n);
	actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_UNKEPT, .keeper = node });
	abroad_actor_step(n, &(struct afar_in){ .kind = AFAR_IN_NODE_GONE, .node = node, .text = text });
}

void
abroad_dead(struct node *n, uint32_t node, const char *text)
{
	struct there *t;

	if (n->abroad == NULL)
		return;
	link_gone(n->abroad->link, node);
	where_gone(&n->abroad->where, node);
	abroad_gone(n, node, text);
	if ((t = map_del(&n->abroad->nodes, node)) != NULL)
		atomic_fetch_sub(&n->np->abroad, (uint32_t)t->total.v[RES_CPU]);
	free(t);
}

void
abroad_send(struct node *n, uint32_t node, const struct buf *frame)
{
	int e = n->abroad ? link_send(n->abroad->link, node, SESSION_SMALL, frame->data, frame->len) : ERR_NOTFOUND;

	if (e < 0 && e != ERR_NOTFOUND)
		node_log(n, e, "cannot send to node %u", node);
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

struct nproc *
abroad_proc(struct node *n, uint32_t node, uint32_t proc)
{
	struct abroad *a = n->abroad;
	struct id key = { node, proc, 0 };
	struct nproc *p;
	struct there *t;

	if (a == NULL || (t = map_get(&a->nodes, node)) == NULL)
		return NULL;
	if ((p = idmap_get(&a->alias, key)) != NULL)
		return p;
	if (t->aliases >= ABROAD_ALIASES)
		return NULL;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return NULL;
	*p = (struct nproc){ .n = n, .number = ++n->next_proc, .role = ROLE_FAR, .home = node, .home_proc = proc, .slab = a->slab, .err = -1,
	    .bell = a->bell, .page = a->page, .welcomed = true, .since = clock_ns() };
	list_init(&p->link);
	list_init(&p->fork);
	list_init(&p->subrings);
	list_init(&p->wrkrings);
	list_init(&p->chans);
	if (map_put(&n->procs, p->number, p) < 0 || idmap_put(&a->alias, key, p) < 0) {
		map_del(&n->procs, p->number);
		free(p);
		return NULL;
	}
	t->aliases++;
	atomic_store(&n->np->procs, n->next_proc);
	return p;
}

/* of an alias, all rings of which have ended: what proc_gone leaves to us */
void
abroad_unalias(struct nproc *p)
{
	struct node *n = p->n;
	struct there *t = map_get(&n->abroad->nodes, p->home);

	idmap_del(&n->abroad->alias, (struct id){ p->home, p->home_proc, 0 });
	if (t)
		t->aliases--;
	abroad_disown(n, p->home, p->home_proc);
	link_forget(n->abroad->link, p->home, p->home_proc);
}

void
abroad_knowing(const struct nproc *p, struct map *nodes)
{
	struct map_iter it = MAP_ITER;

	for (unsigned i = 0; p->job && i < p->job->ntold; i++)
		map_put(nodes, p->job->told[i], p->n);
	while (map_next(&p->known, &it)) {
		const struct nproc *q = map_get(&p->n->procs, it.key);

		if (q && q->role == ROLE_FAR)
			map_put(nodes, q->home, p->n);
	}
}

/* One of ours is gone.  Nodes are told once each: it is in a list of nodes there. */
void
abroad_tell_gone(struct nproc *p, int code, const char *text)
{
	struct node *n = p->n;
	struct map_iter nodes = MAP_ITER;
	struct map told = MAP_INIT;

	abroad_knowing(p, &told);
	while (map_next(&told, &nodes))
		SEND_NODE(n, (uint32_t)nodes.key, far_gone, .proc = p->number, .code = code, .text = span_str(text), .charged = p->alone);
	map_release(&told);
	if (n->abroad)
		link_forget(n->abroad->link, 0, p->number);
}

int
abroad_proc_gone(struct node *n, uint32_t node, struct span body)
{
	char text[NODE_MESSAGE + 64];
	struct msg_far_gone m;
	struct nproc *p;
	int e = msg_get_far_gone(&m, body.p, body.n);

	if (e < 0 || (p = idmap_get(&n->abroad->alias, (struct id){ node, (uint32_t)m.proc, 0 })) == NULL)
		return e;
	snprintf(text, sizeof text, "%.*s", (int)(m.text.n < NODE_MESSAGE ? m.text.n : NODE_MESSAGE), (const char *)m.text.p);
	p->alone = m.charged != 0;
	proc_lost(p);
	proc_gone(p, (int)m.code, text);
	return 0;
}

/* --- what one tells another ------------------------------------------------------------------------------------------- */

void
abroad_route(struct nproc *from, struct nproc *to, const struct msg_route *m)
{
	struct node *n = from->n;
	const struct nproc *holder = m->kind == ROUTE_HOLD ? map_get(&n->procs, m->arg) : NULL;
	bool far = holder && holder->role == ROLE_FAR;
	unsigned char at[WREF_SIZE];
	struct buf b = BUF_INIT;
	struct span body = m->body;

	if (m->kind == ROUTE_ANSWER && m->arg == 2 && body.n == WREF_SIZE) {	/* where it lies here means nothing there */
		memcpy(at, body.p, sizeof at);
		memset(at + 16, 0, 12);
		body.p = at;
	} else if (m->kind == ROUTE_ANSWER && body.n > 2 && buf_add(&b, body.p, body.n) == 0) {
		val_unplace_refs(b.data + 2, b.len - 2, le_get16(b.data));
		body.p = b.data;
	}
	SEND_NODE(n, to->home, far_route, .proc = to->home_proc, .from = from->number, .kind = m->kind, .id = m->id,
	    .arg = far ? holder->home_proc : m->arg, .node = m->kind != ROUTE_HOLD ? 0 : far ? holder->home : n->number, .body = body);
	buf_release(&b);
}

int
abroad_routed(struct node *n, uint32_t node, struct span body)
{
	struct nproc *from, *to, *holder = NULL;
	struct msg_far_route m;
	int e = msg_get_far_route(&m, body.p, body.n);

	if (e < 0)
		return e;
	if (m.from > UINT32_MAX || m.arg > UINT32_MAX || m.node > UINT32_MAX)
		return ERR_PROTO;
	if ((to = proc_find(n, m.proc)) == NULL || to->role == ROLE_FAR) {
		SEND_NODE(n, node, far_gone, .proc = m.proc, .code = ERR_CRASHED, .text = span_str("the process that owned it is gone"));
		return 0;
	}
	if ((from = abroad_proc(n, node, (uint32_t)m.from)) == NULL)
		return -ENOMEM;
	proc_know(from, to);
	if (m.kind == ROUTE_HOLD) {
		holder = m.node == n->number ? proc_find(n, m.arg) : abroad_proc(n, (uint32_t)m.node, (uint32_t)m.arg);
		if (holder == NULL || holder == to) {	/* gone, or the owner itself: nobody is to be put on its list */
			SEND_NODE(n, node, far_route, .proc = m.from, .from = m.proc, .kind = ROUTE_HELD, .id = m.id, .body = m.body);
			return 0;
		}
		proc_know(to, holder);
		m.arg = holder->number;
	}
	SEND(to, route, .proc = from->number, .kind = m.kind, .id = m.id, .arg = m.arg, .body = m.body);
	return 0;
}
