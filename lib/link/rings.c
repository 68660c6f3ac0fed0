/* rings.c - the thread that sleeps on our bell, and which rings there are */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include "base/clock.h"
#include "link/inner.h"

#define LINGER UINT64_C(20000)		/* ns: about as long as it takes a process to wake up and answer */

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
	if (any || l->unsent) {
		struct map_iter ip = MAP_ITER;

		l->unsent = false;
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

	link_take(l);
	while (!l->stopping) {
		if (rings_look(l)) {
			link_drop(l);		/* others want it too */
			link_take(l);
			continue;
		}
		bell_arm(l->bell);
		if (rings_look(l) || l->stopping) {
			bell_disarm(l->bell);
			continue;
		}
		link_drop(l);
		bell_sleep(l->o.np, l->bell, -1);
		link_take(l);
		bell_up(l->o.np, l->bell);
	}
	link_drop(l);
	return NULL;
}

static void
relax(void)
{
#if defined __x86_64__ || defined __i386__
	__builtin_ia32_pause();
#endif
}

void
rings_linger(struct link *l)
{
	uint64_t until = 0;
	bool spin;

	for (;;) {
		if (rings_look(l))
			l->stirred = true;
		if (l->stirred)
			until = clock_ns() + LINGER;
		spin = until && (uint32_t)atomic_load_explicit(&l->o.np->awake, memory_order_relaxed) <= l->o.np->cpus && !l->stopping;
		if (!l->stirred && !(spin && clock_ns() < until)) {
			bell_return(l->o.np, l->bell);
			if (!rings_look(l))
				return;
			bell_borrow(l->o.np, l->bell);
			l->stirred = true;
		}
		l->stirred = false;
		link_drop(l);			/* who was given something is woken */
		relax();
		link_take(l);
	}
}

int
rings_start(struct link *l)
{
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
	link_take(l);
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
	link_drop(l);
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
	link_take(l);
	if ((s->peer = map_get(&l->peers, r->node)) == NULL)
		e = ERR_NOTFOUND;
	else if ((e = ring_map(r->shm, &s->ring.shm)) == 0 && (e = peerslab_map(&s->slab, r->slab)) == 0) {
		s->bell = &l->o.np->bell[r->bell];
		e = map_put(&l->submits, s->number, s);
	}
	if (e < 0)
		submit_free(s);
	link_drop(l);
	return e;
}

void
link_work_end(struct link *l, uint64_t number)
{
	struct work *w;

	link_take(l);
	if ((w = map_del(&l->works, number)) != NULL) {
		if (w->peer)
			map_del(&w->peer->works, w->far);
		work_over(w);
		list_add(&l->works_over, &w->link);
		sweep(l, 0);
	}
	link_drop(l);
}

void
link_submit_end(struct link *l, uint64_t number)
{
	struct submit *s;

	link_take(l);
	if ((s = map_del(&l->submits, number)) != NULL) {
		submit_last(s);
		if (s->peer)
			peer_pump(s->peer);
		s->peer = NULL;
		list_add(&l->submits_over, &s->link);
		sweep(l, 0);
		link_push(l);
	}
	link_drop(l);
}

void
link_forget(struct link *l, uint32_t node, uint32_t proc)
{
	struct idmap_iter it = IDMAP_ITER;
	struct map_iter ip = MAP_ITER;

	struct peer *p;

	link_take(l);
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
	link_drop(l);
}
