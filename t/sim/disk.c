/* disk.c - rows by hash, and writes that wait */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "disk.h"

void
disk_init(struct disk *d)
{
	*d = (struct disk){ 0 };
	list_init(&d->waiting);
}

static void
write_free(struct disk_write *w)
{
	list_del(&w->link);
	buf_release(&w->key);
	buf_release(&w->val);
	free(w);
}

static void
row_free(struct disk_row *r)
{
	buf_release(&r->key);
	buf_release(&r->val);
	free(r);
}

void
disk_write(struct disk *d, const struct control_fx *fx, const unsigned char *bytes)
{
	struct disk_write *w = calloc(1, sizeof *w);

	if (w == NULL)
		abort();
	w->commit = fx->commit;
	w->del = fx->kind == CONTROL_FX_DEL;
	if (buf_add(&w->key, bytes + fx->key, fx->nkey) < 0 || (fx->nval && buf_add(&w->val, bytes + fx->val, fx->nval) < 0))
		abort();
	list_add_tail(&d->waiting, &w->link);
}

static void
apply(struct disk *d, struct disk_write *w)
{
	uint64_t h = hash64(w->key.data, w->key.len);
	struct disk_row *first = map_del(&d->rows, h), **p = &first, *r;

	while ((r = *p) != NULL && !(r->key.len == w->key.len && memcmp(r->key.data, w->key.data, w->key.len) == 0))
		p = &r->next;
	if (r) {
		*p = r->next;
		row_free(r);
	}
	if (!w->del) {
		if ((r = calloc(1, sizeof *r)) == NULL)
			abort();
		*r = (struct disk_row){ .next = first, .key = w->key, .val = w->val };
		w->key = w->val = (struct buf)BUF_INIT;
		first = r;
	}
	if (first && map_put(&d->rows, h, first) < 0)
		abort();
}

void
disk_commit(struct disk *d, uint64_t upto)
{
	list_each_safe(l, next, &d->waiting) {
		struct disk_write *w = list_entry(l, struct disk_write, link);

		if (w->commit > upto)
			break;
		apply(d, w);
		write_free(w);
	}
	d->done = upto;
}

void
disk_crash(struct disk *d)
{
	list_each_safe(l, next, &d->waiting)
		write_free(list_entry(l, struct disk_write, link));
	d->done = 0;
	d->busy = false;
}

const struct disk_row *
disk_get(const struct disk *d, const char *key)
{
	const struct disk_row *r = map_get(&d->rows, hash64(key, strlen(key)));

	while (r && !(r->key.len == strlen(key) && memcmp(r->key.data, key, r->key.len) == 0))
		r = r->next;
	return r;
}

const struct disk_row *
disk_next(const struct disk *d, struct map_iter *it, const struct disk_row *row)
{
	if (row && row->next)
		return row->next;
	return map_next(&d->rows, it) ? it->val : NULL;
}

void
disk_release(struct disk *d)
{
	struct map_iter it = MAP_ITER;

	disk_crash(d);
	while (map_next(&d->rows, &it))
		for (struct disk_row *r = it.val, *next; r; r = next) {
			next = r->next;
			row_free(r);
		}
	map_release(&d->rows);
}
