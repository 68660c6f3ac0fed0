#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/err.h"
#include "store/db.h"

#define MAPSIZE (UINT64_C(16) << 30)	/* sparse: address space, not disk */

enum { READERS = 1024, OPEN_MAX = 16, EACH_BYTES = 64 << 10 };

struct db {
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *batch;
	int opened;		/* its place in the table of open files, or -1 */
};

/* What this process has open: LMDB's locks do not survive a second handle of the same file. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	dev_t dev;
	ino_t ino;
	bool used;
} open_file[OPEN_MAX];

static const char meta_key[] = "\0rota";

struct meta {
	uint32_t layout, major, minor;
};

static int
db_err(int e)			/* LMDB's codes are translated here and seen nowhere else */
{
	if (e >= 0)
		return -e;
	switch (e) {
	case MDB_NOTFOUND:
		return ERR_NOTFOUND;
	case MDB_MAP_FULL:
		return ERR_FULL;
	case MDB_KEYEXIST:
		return -EEXIST;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_VERSION_MISMATCH:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return ERR_LAYOUT;
	case MDB_READERS_FULL:
	case MDB_BAD_RSLOT:
		return -EAGAIN;
	case MDB_TXN_FULL:
		return -E2BIG;
	case MDB_PANIC:
		return -EIO;
	default:
		return -EINVAL;
	}
}

static int
check_fs(int fd)		/* mmap and fcntl locks must be those of one machine */
{
	static const uint32_t remote[] = { 0x6969 /* nfs */, 0x517b /* smb */, 0xff534d42 /* cifs */,
	    0xfe534d42 /* smb2 */, 0x5346414f /* afs */, 0x73757245 /* coda */, 0x00c36400 /* ceph */,
	    0x0bd00bd0 /* lustre */, 0x47504653 /* gpfs */, 0x01021997 /* 9p */, 0x19830326 /* beegfs */ };
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof remote / sizeof *remote; i++)
		if ((uint32_t)s.f_type == remote[i])
			return -EOPNOTSUPP;
	return 0;
}

/* Checks the file (makes it unless read-only) and enters it in the table. */
static int
claim(const char *path, unsigned flags, int *place)
{
	int fd = open(path, (flags & DB_READ ? O_RDONLY : O_RDWR | O_CREAT) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600), e;
	struct stat st;

	if (fd < 0)
		return -errno;
	e = check_fs(fd);
	if (e == 0 && fstat(fd, &st) < 0)
		e = -errno;
	if (e == 0 && !S_ISREG(st.st_mode))
		e = ERR_LAYOUT;
	if (e < 0) {
		close(fd);
		return e;
	}
	pthread_mutex_lock(&open_lock);
	*place = -1;
	e = -EMFILE;
	for (int i = 0; i < OPEN_MAX; i++) {
		if (open_file[i].used && open_file[i].dev == st.st_dev && open_file[i].ino == st.st_ino) {
			e = -EBUSY;
			break;
		}
		if (!open_file[i].used && *place < 0) {
			*place = i;
			e = 0;
		}
	}
	if (e == 0) {
		open_file[*place].dev = st.st_dev;
		open_file[*place].ino = st.st_ino;
		open_file[*place].used = true;
	} else
		*place = -1;
	pthread_mutex_unlock(&open_lock);
	close(fd);		/* before LMDB takes its locks, which are on another file anyway */
	return e;
}

static void
unclaim(int place)
{
	if (place < 0)
		return;
	pthread_mutex_lock(&open_lock);
	open_file[place].used = false;
	pthread_mutex_unlock(&open_lock);
}

/* Begins a transaction; another process may have made the map larger. */
static int
begin(struct db *db, unsigned flags, MDB_txn **txn)
{
	int e = mdb_txn_begin(db->env, NULL, flags, txn);

	if (e == MDB_MAP_RESIZED && (e = mdb_env_set_mapsize(db->env, 0)) == 0)
		e = mdb_txn_begin(db->env, NULL, flags, txn);
	return db_err(e);
}

static int
open_table(struct db *db, uint32_t layout, unsigned flags)
{
	struct meta want = { layout, MDB_VERSION_MAJOR, MDB_VERSION_MINOR }, have;
	MDB_val k = { sizeof meta_key - 1, (void *)(uintptr_t)meta_key }, v = { sizeof want, &want };
	MDB_txn *txn;
	int e;

	if ((e = begin(db, flags & DB_READ ? MDB_RDONLY : 0, &txn)) < 0)
		return e;
	if ((e = mdb_dbi_open(txn, NULL, 0, &db->dbi)) != 0)
		goto out;
	e = mdb_get(txn, db->dbi, &k, &v);
	if (e == MDB_NOTFOUND && !(flags & DB_READ)) {
		MDB_stat st;

		/* a table without a stamp that is not empty is somebody else's */
		if ((e = mdb_stat(txn, db->dbi, &st)) == 0)
			e = st.ms_entries ? MDB_INCOMPATIBLE : mdb_put(txn, db->dbi, &k, &v, 0);
	} else if (e == 0) {
		if (v.mv_size == sizeof have)
			memcpy(&have, v.mv_data, sizeof have);
		if (v.mv_size != sizeof have || memcmp(&have, &want, sizeof want) != 0)
			e = MDB_INCOMPATIBLE;
	} else if (e == MDB_NOTFOUND)
		e = MDB_INCOMPATIBLE;
	if (e == 0) {
		e = mdb_txn_commit(txn);
		txn = NULL;
	}
out:
	if (txn)
		mdb_txn_abort(txn);
	return db_err(e);
}

int
db_open(struct db **out, const char *path, uint32_t layout, unsigned flags)
{
	struct db *db = calloc(1, sizeof *db);
	unsigned f = MDB_NOSUBDIR | MDB_NOTLS;
	int e;

	if (db == NULL)
		return -ENOMEM;
	db->opened = -1;
	if ((e = claim(path, flags, &db->opened)) < 0)
		goto fail;
	if (flags & DB_READ)
		f |= MDB_RDONLY;
	if (flags & DB_NOSYNC)
		f |= MDB_NOSYNC;
	if ((e = db_err(mdb_env_create(&db->env))) < 0)
		goto fail;
	if ((e = db_err(mdb_env_set_maxreaders(db->env, READERS))) < 0 ||
	    (e = db_err(mdb_env_set_mapsize(db->env, MAPSIZE))) < 0 ||
	    (e = db_err(mdb_env_open(db->env, path, f, 0600))) < 0 ||
	    (e = open_table(db, layout, flags)) < 0)
		goto fail;
	*out = db;
	return 0;
fail:
	db_close(db);
	return e;
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	db_abort(db);
	if (db->env)
		mdb_env_close(db->env);
	unclaim(db->opened);
	free(db);
}

static bool
ours(const void *key, size_t n)		/* a key that the caller may not use */
{
	return n == 0 || n > 511 || *(const unsigned char *)key == 0;
}

int
db_begin(struct db *db)
{
	return db->batch ? -EBUSY : begin(db, 0, &db->batch);
}

int
db_put(struct db *db, const void *key, size_t kn, const void *val, size_t vn)
{
	MDB_val k = { kn, (void *)(uintptr_t)key }, v = { vn, (void *)(uintptr_t)val };

	return db->batch && !ours(key, kn) ? db_err(mdb_put(db->batch, db->dbi, &k, &v, 0)) : -EINVAL;
}

int
db_del(struct db *db, const void *key, size_t kn)
{
	MDB_val k = { kn, (void *)(uintptr_t)key };

	return db->batch && !ours(key, kn) ? db_err(mdb_del(db->batch, db->dbi, &k, NULL)) : -EINVAL;
}

int
db_commit(struct db *db)
{
	MDB_txn *txn = db->batch;

	db->batch = NULL;		/* commit frees it, even on failure */
	return txn ? db_err(mdb_txn_commit(txn)) : -EINVAL;
}

void
db_abort(struct db *db)
{
	if (db->batch)
		mdb_txn_abort(db->batch);
	db->batch = NULL;
}

int
db_get(struct db *db, const void *key, size_t kn, struct buf *val)
{
	MDB_val k = { kn, (void *)(uintptr_t)key }, v;
	MDB_txn *txn;
	int e;

	if (ours(key, kn))
		return -EINVAL;
	if ((e = begin(db, MDB_RDONLY, &txn)) < 0)
		return e;
	if ((e = db_err(mdb_get(txn, db->dbi, &k, &v))) == 0) {
		val->len = 0;
		e = buf_add(val, v.mv_data, v.mv_size);
	}
	mdb_txn_abort(txn);
	return e;
}

/*
 * Copies records from key from on (after it if skip), while they begin with prefix, into b: {key length, value length,
 * key, value} ...  At least one record if there is any, then up to EACH_BYTES.  Number of records.
 */
static int
each_some(struct db *db, const void *prefix, size_t n, const struct buf *from, bool skip, struct buf *b)
{
	MDB_val k = { from->len, from->data }, v;
	MDB_cursor *cur = NULL;
	MDB_txn *txn;
	int e, count = 0;

	b->len = 0;
	if ((e = begin(db, MDB_RDONLY, &txn)) < 0)
		return e;
	if ((e = db_err(mdb_cursor_open(txn, db->dbi, &cur))) < 0)
		goto out;
	e = db_err(mdb_cursor_get(cur, &k, &v, from->len ? MDB_SET_RANGE : MDB_FIRST));
	if (e == 0 && skip && k.mv_size == from->len && memcmp(k.mv_data, from->data, from->len) == 0)
		e = db_err(mdb_cursor_get(cur, &k, &v, MDB_NEXT));
	while (e == 0) {
		size_t len[2] = { k.mv_size, v.mv_size };

		if (ours(k.mv_data, k.mv_size)) {	/* db's own come first */
			e = db_err(mdb_cursor_get(cur, &k, &v, MDB_NEXT));
			continue;
		}
		if (k.mv_size < n || memcmp(k.mv_data, prefix, n) != 0 ||
		    (count && b->len + sizeof len + len[0] + len[1] > EACH_BYTES))
			break;
		if ((e = buf_add(b, len, sizeof len)) < 0 || (e = buf_add(b, k.mv_data, len[0])) < 0 ||
		    (e = buf_add(b, v.mv_data, len[1])) < 0)
			break;
		count++;
		e = db_err(mdb_cursor_get(cur, &k, &v, MDB_NEXT));
	}
out:
	if (cur)
		mdb_cursor_close(cur);
	mdb_txn_abort(txn);
	return e < 0 && e != ERR_NOTFOUND ? e : count;
}

int
db_each(struct db *db, const void *prefix, size_t n,
    int (*fn)(void *ctx, const void *key, size_t kn, const void *val, size_t vn), void *ctx)
{
	return db_each_from(db, prefix, n, prefix, n, fn, ctx);
}

int
db_each_from(struct db *db, const void *prefix, size_t n, const void *first, size_t nfirst,
    int (*fn)(void *ctx, const void *key, size_t kn, const void *val, size_t vn), void *ctx)
{
	struct buf b = BUF_INIT, from = BUF_INIT;
	const unsigned char *p;
	size_t len[2];
	int e, count;

	if ((e = nfirst ? buf_add(&from, first, nfirst) : 0) < 0)
		return e;
	for (bool skip = false; e == 0; skip = true) {
		if ((count = e = each_some(db, prefix, n, &from, skip, &b)) <= 0)
			break;
		e = 0;
		for (p = b.data; count > 0 && e == 0; count--) {
			memcpy(len, p, sizeof len);
			p += sizeof len;
			if (count == 1) {		/* go on behind it, whatever fn does */
				from.len = 0;
				if ((e = buf_add(&from, p, len[0])) < 0)
					break;
			}
			e = fn(ctx, p, len[0], p + len[0], len[1]);
			p += len[0] + len[1];
		}
	}
	buf_release(&b);
	buf_release(&from);
	return e;
}
