/* spill.c - room in a full arena: what leaves (spill_choose.c) is written, then dropped; what its owners say of it */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "node/spill.h"
#include "wire/le.h"

#define MS UINT64_C(1000000)
#define HOT (1000 * MS)
#define MOMENT 32			/* half a second, of arena_now: who was told where an object is has pinned it by then */
#define RETRY (1000 * MS)		/* after an error of the disk */

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static void
done(struct spill *s, struct spill_job *j)
{
	j->file->busy--;
	if (j->read)
		spill_was_read(s, j);
	else
		spill_written(s, j);
	spill_job_free(j);
	s->n->mem_dirty = true;
}

static void
open_store(struct spill *s)
{
	const char *path = getenv("ROTA_SPILL"), *share = getenv("ROTA_SPILL_SHARE");
	char own[600];
	int e;

	if (path == NULL || *path == '\0') {
		snprintf(own, sizeof own, "%s/spill", s->n->dirname);
		path = own;
	}
	if ((e = spill_open(&s->store, path)) == 0) {
		s->open = true;
		s->store.own = path == own;
		s->why[0] = '\0';
		if (share && atoi(share) > 0 && atoi(share) <= 100)
			s->store.share = (unsigned)atoi(share);
		return;
	}
	snprintf(s->why, sizeof s->why, "cannot spill to '%s': %s", path, err_str(e));
	s->why_at = clock_ns() + RETRY;
}

struct spill *
spill_get(struct node *n)
{
	struct spill *s = n->spill;

	if (s == NULL) {
		if ((s = calloc(1, sizeof *s)) == NULL)
			return NULL;
		s->n = n;
		spill_init(&s->store);
		s->store.told = hand_file;
		s->store.ctx = n;
		if (spill_io_start(s, done) < 0) {
			free(s);
			return NULL;
		}
		n->spill = s;
	}
	if (!s->open && s->why_at <= clock_ns())
		open_store(s);
	return s;
}

void
spill_stop(struct node *n)
{
	struct idmap_iter it = IDMAP_ITER;
	struct spill *s = n->spill;

	if (s == NULL)
		return;
	spill_io_stop(s);
	while (idmap_next(&n->moved, &it)) {
		struct moved *m = it.val;

		for (struct list *l; (l = list_shift(&m->waiters)) != NULL;)
			free(list_entry(l, struct asker, link));
		free(m);
	}
	idmap_release(&n->moved);
	idmap_release(&s->asks);
	idmap_release(&s->refused);
	spill_close(&s->store);
	free(s);
	n->spill = NULL;
}

const char *
spill_why(const struct node *n)
{
	return n->spill ? n->spill->why : "";
}

bool
spill_hot(const struct node *n)
{
	return n->spill && clock_ns() - n->spill->hot < HOT;
}

void
spill_each(struct node *n, void (*fn)(void *ctx, struct id id, uint64_t size, uint32_t made, bool disk, bool resident), void *ctx)
{
	struct idmap_iter it = IDMAP_ITER;

	while (idmap_next(&n->moved, &it)) {
		const struct moved *m = it.val;

		fn(ctx, m->id, m->size, m->made, m->file != NULL, m->off != 0);
	}
}

bool
spill_on_disk(struct node *n, struct id id)
{
	const struct moved *m = idmap_get(&n->moved, id);

	return m && m->file;
}

uint32_t
spill_slot(struct node *n, struct id id)
{
	const struct moved *m = idmap_get(&n->moved, id);

	return m ? m->slot : 0;
}

/* --- freeing -------------------------------------------------------------------------------------------------------------- */

void
spill_store_drop(struct spill *s, struct moved *m)
{
	if (m->file == NULL)
		return;
	estate_del(s->n, ESTATE_MOVED, &m->id, sizeof m->id);
	spill_drop(&s->store, m->file, m->at, spill_length(&(struct spill_piece){ .run = m->run }));
	m->file = NULL;
}

void
moved_free(struct node *n, struct moved *m)
{
	abroad_dropped(n, m);
	m->stamp = 0;
	m->coming = m->hungry = false;
	if (m->busy || m->open) {
		m->doomed = true;
		return;
	}
	spill_store_drop(n->spill, m);
	if (m->off)
		memory_free(n, m->off, m->gen, true);
	for (struct list *l; (l = list_shift(&m->waiters)) != NULL;) {
		struct asker *a = list_entry(l, struct asker, link);
		struct nproc *p = proc_find(n, a->proc);

		if (p)
			proc_fail(p, a->req, ERR_LOST, "the object was freed by its owner");
		free(a);
	}
	idmap_del(&n->moved, m->id);
	free(m);
}

bool
spill_forget(struct node *n, struct id id)
{
	struct moved *m = idmap_get(&n->moved, id);

	if (m)
		moved_free(n, m);
	return m != NULL;
}

bool
moved_awaited(struct moved *m, uint32_t now, uint32_t used)
{
	m->awaited = m->awaited && now - m->told < MOMENT && (int32_t)(used - m->told) < 0;
	return m->awaited;
}

/* --- dropping what has a copy on the disk ------------------------------------------------------------------------------------ */

void
spill_give_back(struct node *n)
{
	uint64_t off, bytes;

	while (arena_yield(&n->view, &off, &bytes))
		arena_node_unlend(&n->arena, ARENA_NODE_PROC, off, bytes);
}

void
spill_left(struct spill *s, const struct arena_evict *e)
{
	struct nproc *p;

	if (e->borrower == ARENA_NODE_PROC)
		arena_free(&s->n->view, e->off, e->gen);
	else if (e->borrower && (p = map_get(&s->n->procs, e->borrower)) != NULL)
		memory_tell(p, e->off, e->gen, true);
}

void
spill_drop_copies(struct spill *s, struct moved **v, size_t count)
{
	struct arena_evict *e = calloc(count + 1, sizeof *e);
	struct map at = { 0 };
	struct node *n = s->n;
	uint32_t now = arena_now();
	size_t k = 0;

	if (e == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		if (v[i]->off && (v[i]->file || v[i]->copy) && !v[i]->busy && !v[i]->open && !v[i]->used && !moved_awaited(v[i], now, v[i]->told - 1) &&
		    map_put(&at, v[i]->off, v[i]) == 0)
			e[k++] = (struct arena_evict){ .off = v[i]->off, .gen = v[i]->gen };
	arena_node_evict(&n->arena, e, k);
	for (size_t i = 0; i < k; i++) {
		struct moved *m = map_get(&at, e[i].off);

		if (!e[i].gone) {
			m->last = arena_now();		/* somebody reads it, or it is not there */
			if (!arena_node_has(&n->arena, m->off, m->gen))
				m->off = 0;
			continue;
		}
		m->off = 0;
		s->dropped += m->run;
		spill_left(s, &e[i]);
		if (m->file == NULL)
			moved_free(n, m);	/* another node has it */
	}
	spill_give_back(n);
	map_release(&at);
	free(e);
	s->hot = clock_ns();
	n->mem_dirty = true;
}

/* --- writing ------------------------------------------------------------------------------------------------------------------ */

static void
troubled(struct spill *s, int e)
{
	if (e < 0)
		snprintf(s->why, sizeof s->why, "cannot write to '%s': %s", s->store.path, err_str(e));
	s->why_at = clock_ns() + RETRY;
	s->n->mem_dirty = true;
}

void
spill_written(struct spill *s, struct spill_job *j)
{
	size_t k = 0;

	s->writing -= j->bytes;
	for (size_t i = 0; i < j->n; i++) {
		struct moved *m = j->moved[i];

		m->busy = false;
		m->file = j->file;
		m->at = j->at + j->piece[i].at;
		if (j->result < 0)
			spill_store_drop(s, m);
		if (j->result >= 0)
			moved_note(s->n, m);
		if (m->doomed)
			moved_free(s->n, m);
		else
			j->moved[k++] = m;
	}
	estate_sync(s->n);		/* before the other copies go */
	if (j->result < 0) {
		troubled(s, j->result);
		return;
	}
	s->spilled += j->bytes;
	spill_drop_copies(s, j->moved, k);
}

static void
write_job(struct spill *s, struct moved **v, size_t n)
{
	struct spill_job *j = calloc(1, sizeof *j);
	uint64_t bytes, live = 0;
	int e;

	if (j == NULL || (j->moved = malloc(n * sizeof *j->moved)) == NULL ||
	    (j->piece = calloc(n, sizeof *j->piece)) == NULL) {
		if (j)
			spill_job_free(j);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		j->moved[i] = v[i];
		j->piece[i] = (struct spill_piece){ .block = s->n->view.base + v[i]->off, .run = v[i]->run };
		live += spill_length(&j->piece[i]);
	}
	j->n = n;
	bytes = spill_plan(j->piece, n);
	if (spill_room(&s->store, bytes + s->writing, s->why, sizeof s->why) < 0) {
		troubled(s, 0);
		spill_job_free(j);
		return;
	}
	if ((e = spill_place(&s->store, bytes, live, &j->file, &j->at)) < 0) {
		troubled(s, e);
		spill_job_free(j);
		return;
	}
	s->why[0] = '\0';
	for (size_t i = 0; i < n; i++)
		v[i]->busy = true;
	j->bytes = bytes;
	s->writing += bytes;
	s->hot = clock_ns();
	spill_io_submit(s, j);
}

void
spill_move(struct spill *s, struct moved **v, size_t n)
{
	size_t from = 0;
	uint64_t sum = 0;

	if (s->window_end)
		n = relocate(s, v, n);
	if (!s->open)
		return;

	for (size_t i = 0; i < n; i++) {
		sum += v[i]->run;
		if (sum >= SPILL_JOB || i + 1 == n) {
			write_job(s, v + from, i + 1 - from);
			from = i + 1;
			sum = 0;
		}
	}
}

/* --- objects whose place is ours ------------------------------------------------------------------------------------------------ */

struct moved *
moved_new(struct node *n, const struct arena_item *it)
{
	struct moved *m = calloc(1, sizeof *m);

	if (m == NULL || idmap_put(&n->moved, it->id, m) < 0) {
		free(m);
		return NULL;
	}
	*m = (struct moved){ .id = it->id, .off = it->off, .run = it->run, .size = it->size, .gen = it->gen, .made = it->made, .slot = it->slot,
	    .last = it->made };
	list_init(&m->waiters);
	return m;
}

bool
spill_adopt(struct node *n, const struct arena_item *it)
{
	struct moved *m = idmap_get(&n->moved, it->id);

	if (m && m->off == 0 && !m->busy) {
		m->off = it->off;
		m->gen = it->gen;
	} else if (m && m->off && m->off != it->off) {
		memory_free(n, it->off, it->gen, true);		/* the last daemon was killed when it had copied it */
	}
	return m || moved_new(n, it);
}

/* --- what owners say --------------------------------------------------------------------------------------------------------------- */

static void
answered(struct spill *s, struct id id)
{
	uintptr_t run = (uintptr_t)idmap_del(&s->asks, id);

	s->asked -= run < s->asked ? run : s->asked;
}

static int
on_evictable(struct nproc *p, const struct frame *f)
{
	struct node *n = p->n;
	struct spill *s = n->spill;
	struct msg_evictable m;
	struct moved **v, *q;
	size_t count = 0;
	int e = msg_get_evictable(&m, f->body, f->len);

	p->owes = 0;
	if (e < 0 || s == NULL || m.objects.n % 16 || m.refused.n % 8)
		return e < 0 ? e : ERR_PROTO;
	if ((v = malloc((m.objects.n / 16 + 1) * sizeof(struct moved *))) == NULL)
		return 0;
	for (size_t i = 0; i < m.objects.n; i += 16) {
		struct arena_item it = { .id = { n->number, p->number, le_get64(m.objects.p + i) },
		    .off = le_get64(m.objects.p + i + 8) };

		answered(s, it.id);
		if (!arena_node_at(&n->arena, it.off, &it))
			abroad_refused(n, it.id);
		if (it.run == 0 || abroad_evictable(n, &it) || idmap_get(&n->moved, it.id))
			continue;
		if ((q = moved_new(n, &it)) != NULL)
			v[count++] = q;
	}
	for (size_t i = 0; i < m.refused.n; i += 8) {
		struct id id = { n->number, p->number, le_get64(m.refused.p + i) };

		answered(s, id);
		abroad_refused(n, id);
		if (s->refused.n == 0)
			s->refused_at = clock_ns();
		idmap_put(&s->refused, id, s);
	}
	if (s->asks.n == 0)
		s->asks_at = 0;
	spill_move(s, v, count);
	free(v);
	n->mem_dirty = true;
	return 0;
}

static int
on_forget(struct nproc *p, const struct frame *f)
{
	struct msg_forget m;
	int e = msg_get_forget(&m, f->body, f->len);

	if (e < 0 || m.objects.n % 16)
		return e < 0 ? e : ERR_PROTO;
	for (size_t i = 0; i < m.objects.n; i += 16) {
		struct id id = { le_get32(m.objects.p + i), le_get32(m.objects.p + i + 4), le_get64(m.objects.p + i + 8) };

		if (id.proc != p->number || idmap_get(&p->n->kept, id))
			continue;
		abroad_forget(p->n, id);
		spill_forget(p->n, id);
	}
	return 0;
}

static int
on_restore(struct nproc *p, const struct frame *f)
{
	struct msg_restore m;
	int e = msg_get_restore(&m, f->body, f->len);

	if (e == 0)
		spill_asked(p, m.req, m.id);
	return e;
}

int
spill_frame(struct nproc *p, const struct frame *f)
{
	switch (f->type) {
	case MSG_EVICTABLE_T: return on_evictable(p, f);
	case MSG_RESTORE_T: return on_restore(p, f);
	case MSG_FORGET_T: return on_forget(p, f);
	}
	return 0;
}
