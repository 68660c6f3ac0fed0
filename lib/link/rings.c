/* rings.c - the thread that sleeps on our bell, and which rings there are */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include "link/inner.h"

/* what has ended, and is not read any more by the process here, or that one is gone */
static void
sweep(struct link *l, uint32_t gone)
{
	list_each_safe(i, q, &l->works_over) {
		struct work *w = list_entry(i, struct work, link);

		if (w->proc == gone || work_read(w)) {
			list_del(&w->link);
			work_free(w);
		}
	}
	list_each_safe(i, q, &l->submits_over) {
		struct submit *s = list_entry(i, struct submit, link);

		if (s->here == gone || submit_done(s)) {
			list_del(&s->link);
			submit_free(s);
		}
	}
}

bool
rings_look(struct link *l)
{
	struct map_iter it = MAP_ITER, is = MAP_ITER;
	bool any = false;

	if (!list_empty(&l->works_over) || !list_empty(&l->submits_over))
		sweep(l, 0);

	while (map_next(&l->works, &it))
		any |= work_look(it.val);
	while (map_next(&l->submits, &is))
		any |= submit_look(is.val);
	if (any) {
		struct map_iter ip = MAP_ITER;

		while (map_next(&l->peers, &ip))
			peer_pump(ip.val);
		link_push(l);
	}
	return any;
}

static void *
rings(void *arg)
{
	struct link *l = arg;

	pthread_mutex_lock(&l->lock);
	while (!l->stopping) {
		if (rings_look(l)) {
			pthread_mutex_unlock(&l->lock);		/* others want it too */
			pthread_mutex_lock(&l->lock);
			continue;
		}
		bell_arm(l->bell);
		if (rings_look(l) || l->stopping) {
			bell_disarm(l->bell);
			continue;
		}
		pthread_mutex_unlock(&l->lock);
		bell_sleep(l->o.np, l->bell, -1);
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

int
rings_start(struct link *l)
{
	list_init(&l->works_over);
	list_init(&l->submits_over);
	l->bell = &l->o.np->bell[l->o.bell];
	atomic_fetch_add(&l->o.np->awake, 1);
	return -pthread_create(&l->rings, NULL, rings, l);
}

/* l->stopping is set */
void
rings_stop(struct link *l)
{
	struct map_iter it = MAP_ITER, is = MAP_ITER;
	struct idmap_iter fi = IDMAP_ITER;

	bell_rescue(l->o.np, l->bell);
	pthread_join(l->rings, NULL);
	atomic_fetch_sub(&l->o.np->awake, 1);
	while (map_next(&l->works, &it))
		work_free(it.val);
	while (map_next(&l->submits, &is))
		submit_free(is.val);
	while (!list_empty(&l->works_over)) {
		struct work *w = list_entry(l->works_over.next, struct work, link);

		list_del(&w->link);
		work_free(w);
	}
	while (!list_empty(&l->submits_over)) {
		struct submit *s = list_entry(l->submits_over.next, struct submit, link);

		list_del(&s->link);
		submit_free(s);
	}
	while (idmap_next(&l->fns, &fi))
		fn_free(l, fi.val);
	map_release(&l->works);
	map_release(&l->submits);
	idmap_release(&l->fns);
	idmap_release(&l->args);
}

void
rings_over(struct link *l, struct peer *p)
{
	struct map_iter it = MAP_ITER, is = MAP_ITER;
	struct idmap_iter fi = IDMAP_ITER;

	while (map_next(&l->works, &it)) {
		struct work *w = it.val;

		if (w->peer == p)
			w->peer = NULL;
	}
	while (map_next(&l->submits, &is)) {
		struct submit *s = is.val;

		if (s->peer == p)
			s->peer = NULL;
	}
	while (idmap_next(&l->fns, &fi))
		if (fi.key.node == p->node) {
			fn_free(l, fi.val);
			idmap_del(&l->fns, fi.key);
		}
	p->fns = 0;
	map_release(&p->works);
	idmap_release(&p->told);
	if (l->resting)
		bell_ring(l->o.np, l->bell);
}

/* --- for the node --------------------------------------------------------------------------------------------- */

int
link_work(struct link *l, const struct link_ring *r)
{
	struct work *w = calloc(1, sizeof *w);
	struct peer *p;
	int e = -ENOMEM;

	if (w == NULL)
		return e;
	*w = (struct work){ .l = l, .number = r->number, .far = r->far, .proc = r->proc, .calls = r->calls };
	pthread_mutex_lock(&l->lock);
	if ((p = map_get(&l->peers, r->node)) == NULL) {
		e = ERR_NOTFOUND;
	} else if ((e = ring_map(r->shm, &w->ring.shm)) == 0 && (e = peerslab_map(&w->slab, r->slab)) == 0) {
		w->peer = p;
		w->bell = &l->o.np->bell[r->bell];
		if ((e = map_put(&l->works, w->number, w)) == 0 && (e = map_put(&p->works, w->far, w)) < 0)
			map_del(&l->works, w->number);
	}
	if (e == 0)
		bell_ring(l->o.np, l->bell);
	pthread_mutex_unlock(&l->lock);
	if (e < 0)
		work_free(w);
	return e;
}

int
link_submit(struct link *l, const struct link_ring *r)
{
	struct submit *s = calloc(1, sizeof *s);
	int e = -ENOMEM;

	if (s == NULL)
		return e;
	*s = (struct submit){ .l = l, .number = r->number, .proc = r->proc, .here = r->here };
	list_init(&s->held);
	pthread_mutex_lock(&l->lock);
	if ((s->peer = map_get(&l->peers, r->node)) == NULL)
		e = ERR_NOTFOUND;
	else if ((e = ring_map(r->shm, &s->ring.shm)) == 0 && (e = peerslab_map(&s->slab, r->slab)) == 0) {
		s->bell = &l->o.np->bell[r->bell];
		e = map_put(&l->submits, s->number, s);
	}
	if (e < 0)
		submit_free(s);
	pthread_mutex_unlock(&l->lock);
	return e;
}

void
link_work_end(struct link *l, uint64_t number)
{
	struct work *w;

	pthread_mutex_lock(&l->lock);
	if ((w = map_del(&l->works, number)) != NULL) {
		if (w->peer)
			map_del(&w->peer->works, w->far);
		w->peer = NULL;
		list_add(&l->works_over, &w->link);
		sweep(l, 0);
	}
	pthread_mutex_unlock(&l->lock);
}

void
link_submit_end(struct link *l, uint64_t number)
{
	struct submit *s;

	pthread_mutex_lock(&l->lock);
	if ((s = map_del(&l->submits, number)) != NULL) {
		submit_last(s);
		if (s->peer)
			peer_pump(s->peer);
		s->peer = NULL;
		list_add(&l->submits_over, &s->link);
		sweep(l, 0);
		link_push(l);
	}
	pthread_mutex_unlock(&l->lock);
}

void
link_forget(struct link *l, uint32_t node, uint32_t proc)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter ip = MAP_ITER;

	struct peer *p;

	pthread_mutex_lock(&l->lock);
	p = map_get(&l->peers, node);
	while (node && idmap_next(&l->fns, &it))
		if (it.key.node == node && it.key.proc == proc) {
			if (p)
				p->fns -= ((struct far_fn *)it.val)->len + sizeof(struct fnblk);
			fn_free(l, it.val);
			idmap_del(&l->fns, it.key);
		}
	if (node == 0)
		sweep(l, proc);
	while (node == 0 && map_next(&l->peers, &ip)) {
		struct idmap_iter ti = IDMAP_ITER;

		for (p = ip.val; idmap_next(&p->told, &ti);)
			if (ti.key.proc == proc)
				idmap_del(&p->told, ti.key);
	}
	pthread_mutex_unlock(&l->lock);
}
