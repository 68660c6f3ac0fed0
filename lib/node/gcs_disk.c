#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/err.h"
#include "node/gcs_disk.h"
#include "os/dir.h"
#include "store/db.h"

void
gcs_batch_free(struct gcs_batch *b)
{
	buf_release(&b->out.bytes);
	free(b->out.fx);
	free(b);
}

/* --- the state that a start finds -------------------------------------------------------------------------------- */

/* LMDB opens by name, without care: what lies in a directory that is ours alone is looked at first, and stays what it is */
static int
look(int dir, const char *path, char *why, size_t nwhy)
{
	static const char *const file[] = { "gcs.db", "gcs.db-lock" };

	for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
		int fd = dir_file(dir, path, file[i], O_RDWR);

		if (fd >= 0)
			close(fd);
		else if (fd != -ENOENT) {
			snprintf(why, nwhy, "%s", dir_why());
			return fd;
		}
	}
	return 0;
}

/* which store it is, for ever: drawn when there is none yet, in the transaction that is under way */
static int
identity(struct db *db, uint64_t *id)
{
	struct buf b = BUF_INIT;
	int e = db_get(db, "id", 2, &b);

	if (e == 0 && b.len == sizeof *id)
		memcpy(id, b.data, sizeof *id);
	else if (e == 0 || e == ERR_NOTFOUND)
		e = getrandom(id, sizeof *id, 0) == sizeof *id ? db_put(db, "id", 2, id, sizeof *id) : -EIO;
	buf_release(&b);
	return e;
}

int
gcs_disk_load(struct gcs_disk *d, int dir, const char *path, struct control *core,
    gcs_disk_row *row, void *ctx, char *why, size_t nwhy)
{
	char name[1100], byfd[64], *end;
	struct buf b = BUF_INIT;
	uint64_t epoch = 0;
	int e;

	if ((e = look(dir, path, why, nwhy)) < 0)
		return e;
	snprintf(name, sizeof name, "%s/gcs.db", path);
	snprintf(byfd, sizeof byfd, "/proc/self/fd/%d/gcs.db", dir);	/* whatever path leads to by now */
	if ((e = db_open(&d->db, byfd, CONTROL_LAYOUT, 0)) < 0) {
		if (e == ERR_LAYOUT)
			snprintf(why, nwhy, "cannot use '%s': no state of this rota, which writes format %u; name another "
			    "directory with --dir", name, CONTROL_LAYOUT);
		else
			snprintf(why, nwhy, "cannot open '%s': %s", name, err_str(e));
		return e;
	}
	if ((e = db_get(d->db, "epoch", 5, &b)) == 0 && buf_add(&b, "", 1) == 0)
		epoch = strtoull((char *)b.data, &end, 10);
	b.len = 0;
	if (e < 0 && e != ERR_NOTFOUND)
		goto out;
	if ((e = buf_printf(&b, "%llu", (unsigned long long)++epoch)) < 0 || (e = db_begin(d->db)) < 0)
		goto out;
	if ((e = db_put(d->db, "epoch", 5, b.data, b.len)) < 0 || (e = identity(d->db, &core->id)) < 0)
		db_abort(d->db);
	else
		e = db_commit(d->db);
	core->epoch = epoch;
	if (e == 0 && (e = db_each(d->db, "", 0, row, ctx)) > 0)
		e = 0;
out:
	buf_release(&b);
	if (e < 0)
		snprintf(why, nwhy, "cannot read '%s': %s", name, err_str(e));
	return e;
}

/* --- the committer -------------------------------------------------------------------------------------------------- */

static int
apply(struct db *db, const struct control_out *o)
{
	int e = 0;

	for (size_t i = 0; i < o->n && e >= 0; i++) {
		const struct control_fx *fx = &o->fx[i];

		if (fx->kind == CONTROL_FX_PUT)
			e = db_put(db, o->bytes.data + fx->key, fx->nkey, o->bytes.data + fx->val, fx->nval);
		else if (fx->kind == CONTROL_FX_DEL && (e = db_del(db, o->bytes.data + fx->key, fx->nkey)) == ERR_NOTFOUND)
			e = 0;
	}
	return e;
}

/* One commit, and its number in *last. */
static int
commit(struct db *db, struct gcs_batch *b, uint64_t *last)
{
	struct gcs_batch *next;
	int e = db_begin(db);

	for (; b; b = next) {
		next = b->next;
		if (e >= 0)
			e = apply(db, &b->out);
		if (b->out.n)
			*last = b->out.fx[b->out.n - 1].commit;
		gcs_batch_free(b);
	}
	if (e >= 0)
		return db_commit(db);
	db_abort(db);
	return e;
}

static void *
commit_loop(void *arg)
{
	struct gcs_disk *d = arg;
	struct gcs_batch *b;
	uint64_t last;
	int e = 0;

	pthread_mutex_lock(&d->mutex);
	while (e >= 0) {
		while (d->todo == NULL && !d->quit)
			pthread_cond_wait(&d->work, &d->mutex);
		if ((b = d->todo) == NULL)
			break;
		d->todo = NULL;
		d->todo_end = &d->todo;
		d->state.backlog = 0;
		last = d->state.done;
		pthread_mutex_unlock(&d->mutex);
		e = commit(d->db, b, &last);
		pthread_mutex_lock(&d->mutex);
		if (e < 0)
			d->state.failed = e;
		else
			d->state.done = last;
		d->committed(d->arg);
	}
	pthread_mutex_unlock(&d->mutex);
	return NULL;
}

struct gcs_disk_state
gcs_disk_look(struct gcs_disk *d)
{
	struct gcs_disk_state s;

	pthread_mutex_lock(&d->mutex);
	s = d->state;
	pthread_mutex_unlock(&d->mutex);
	return s;
}

struct gcs_disk_state
gcs_disk_write(struct gcs_disk *d, struct gcs_batch *b)
{
	struct gcs_disk_state s;

	pthread_mutex_lock(&d->mutex);
	*d->todo_end = b;
	d->todo_end = &b->next;
	d->state.backlog += b->out.bytes.len + b->out.n * sizeof *b->out.fx;
	s = d->state;
	pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->mutex);
	return s;
}

/* --- start and end ---------------------------------------------------------------------------------------------------------- */

void
gcs_disk_init(struct gcs_disk *d, void (*committed)(void *arg), void *arg)
{
	*d = (struct gcs_disk){ .committed = committed, .arg = arg };
	d->todo_end = &d->todo;
	pthread_mutex_init(&d->mutex, NULL);
	pthread_cond_init(&d->work, NULL);
}

int
gcs_disk_start(struct gcs_disk *d, uint64_t done)
{
	int e;

	d->state.done = done;
	if ((e = -pthread_create(&d->committer, NULL, commit_loop, d)) == 0)
		d->running = true;
	return e;
}

void
gcs_disk_end(struct gcs_disk *d)
{
	struct gcs_batch *b;

	if (d->running) {
		pthread_mutex_lock(&d->mutex);
		d->quit = true;
		pthread_cond_signal(&d->work);
		pthread_mutex_unlock(&d->mutex);
		pthread_join(d->committer, NULL);
	}
	db_close(d->db);
	for (; (b = d->todo) != NULL; gcs_batch_free(b))
		d->todo = b->next;
	pthread_mutex_destroy(&d->mutex);
	pthread_cond_destroy(&d->work);
}
