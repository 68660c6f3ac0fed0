/* store_db.c - db keeps what was committed, refuses strange files, and survives kill -9 of its writer at any moment */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/err.h"
#include "store/db.h"
#include "tap.h"

static char dir[] = "/tmp/store_db.XXXXXX", path[64];

static int
collect(void *ctx, const void *key, size_t kn, const void *val, size_t vn)
{
	struct buf *b = ctx;

	(void)val;
	buf_add(b, key, kn);
	return buf_printf(b, "=%zu ", vn);
}

static int
stop_at_two(void *ctx, const void *key, size_t kn, const void *val, size_t vn)
{
	(void)key, (void)kn, (void)val, (void)vn;
	return ++*(int *)ctx == 2 ? 7 : 0;
}

static int
put1(struct db *db, const char *k, const char *v)
{
	int e;

	if ((e = db_begin(db)) < 0)
		return e;
	if ((e = db_put(db, k, strlen(k), v, strlen(v))) < 0) {
		db_abort(db);
		return e;
	}
	return db_commit(db);
}

static void
basics(void)
{
	struct db *db = NULL, *again = NULL;
	struct buf b = BUF_INIT;
	int n = 0;

	ok(db_open(&db, path, 1, 0) == 0);
	ok(db_open(&again, path, 1, 0) == -EBUSY && again == NULL);
	ok(db_get(db, "a", 1, &b) == ERR_NOTFOUND);
	ok(db_put(db, "a", 1, "x", 1) == -EINVAL);	/* no batch */
	ok(put1(db, "job/2", "two") == 0 && put1(db, "job/1", "one") == 0 && put1(db, "node/1", "") == 0);
	ok(db_get(db, "job/1", 5, &b) == 0 && b.len == 3 && memcmp(b.data, "one", 3) == 0);
	ok(db_begin(db) == 0 && db_begin(db) == -EBUSY && db_del(db, "job/1", 5) == 0);
	ok(db_get(db, "job/1", 5, &b) == 0);		/* not committed */
	db_abort(db);
	ok(db_get(db, "job/1", 5, &b) == 0);
	b.len = 0;
	ok(db_each(db, "job/", 4, collect, &b) == 0 && b.len == 16 && memcmp(b.data, "job/1=3 job/2=3 ", 16) == 0);
	b.len = 0;
	ok(db_each(db, "", 0, collect, &b) == 0 && b.len == 25);	/* db's own key is not shown */
	ok(db_each(db, "", 0, stop_at_two, &n) == 7 && n == 2);
	ok(db_begin(db) == 0 && db_del(db, "zz", 2) == ERR_NOTFOUND && db_del(db, "job/1", 5) == 0 && db_commit(db) == 0);
	ok(db_get(db, "job/1", 5, &b) == ERR_NOTFOUND);
	ok(db_begin(db) == 0 && db_put(db, "\0rota", 5, "x", 1) == -EINVAL && db_put(db, "", 0, "x", 1) == -EINVAL);
	db_close(db);					/* drops the batch */
	ok(db_open(&db, path, 2, 0) == ERR_LAYOUT);	/* another layout */
	ok(db_open(&db, path, 1, DB_READ) == 0 && db_get(db, "job/2", 5, &b) == 0);
	ok(db_begin(db) < 0);
	db_close(db);
	buf_release(&b);
}

static void
strangers(void)
{
	struct db *db = NULL;
	char p[96];
	int fd;

	snprintf(p, sizeof p, "%s/garbage", dir);
	fd = open(p, O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < 3000; i++)
		if (write(fd, "garbage ", 8) != 8)
			break;
	close(fd);
	ok(db_open(&db, p, 1, 0) == ERR_LAYOUT);
	ok(db_open(&db, dir, 1, 0) == -EISDIR);
	snprintf(p, sizeof p, "%s/no/such", dir);
	ok(db_open(&db, p, 1, 0) == -ENOENT);
	ok(db_open(&db, p, 1, DB_READ) == -ENOENT);
}

static int
count(void *ctx, const void *key, size_t kn, const void *val, size_t vn)
{
	(void)key, (void)kn, (void)val, (void)vn;
	++*(int *)ctx;
	return 0;
}

static void
many(void)		/* db_each in several bites, records larger than one */
{
	struct db *db = NULL;
	char key[32], *val = calloc(1, 200000);
	int n = 0, e = 0;

	ok(db_open(&db, path, 1, DB_NOSYNC) == 0 && db_begin(db) == 0);
	for (int i = 0; i < 5000; i++)
		e |= db_put(db, key, (size_t)snprintf(key, sizeof key, "many/%d", i), val, (size_t)(i % 100));
	e |= db_put(db, "many/5x", 7, val, 200000);
	ok(e == 0 && db_commit(db) == 0);
	ok(db_each(db, "many/", 5, count, &n) == 0 && n == 5001);
	db_close(db);
	free(val);
}

/* each batch writes the same number under two keys: a reader after the kill sees them equal, and none lost */
static void
kills(void)
{
	int said[2], good = 1, rounds = getenv("ROTA_LONG") ? 200 : 20;
	struct buf x = BUF_INIT, y = BUF_INIT;
	struct db *db = NULL;
	unsigned last;
	pid_t pid;

	srandom(5);
	for (int round = 0; round < rounds; round++) {
		last = 0;
		if (pipe(said) < 0 || (pid = fork()) < 0)
			break;
		if (pid == 0) {
			if (db_open(&db, path, 1, DB_NOSYNC) < 0)
				_exit(1);
			for (unsigned i = 1;; i++)
				if (db_begin(db) < 0 || db_put(db, "kill/x", 6, &i, sizeof i) < 0 ||
				    db_put(db, "kill/y", 6, &i, sizeof i) < 0 || db_commit(db) < 0 ||
				    write(said[1], &i, sizeof i) < 0)
					_exit(1);
		}
		close(said[1]);
		for (long n = random() % 500 + 1; n > 0 && read(said[0], &last, sizeof last) == sizeof last; n--)
			;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(said[0], &last, sizeof last) == sizeof last)
			;
		close(said[0]);
		good &= last > 0 && db_open(&db, path, 1, DB_NOSYNC) == 0;
		good &= db_get(db, "kill/x", 6, &x) == 0 && db_get(db, "kill/y", 6, &y) == 0 && x.len == sizeof last &&
		    y.len == sizeof last && memcmp(x.data, y.data, sizeof last) == 0;
		good &= memcmp(x.data, &last, sizeof last) == 0 || *(unsigned *)(void *)x.data == last + 1;
		db_close(db);
		db = NULL;
	}
	ok(good);
	buf_release(&x);
	buf_release(&y);
}

int
main(void)
{
	char cmd[64];

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/db", dir);
	basics();
	strangers();
	many();
	kills();
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	ok(system(cmd) == 0);
	return tap_done();
}
