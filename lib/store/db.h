/*
 * db - a small durable table in one file: what one daemon writes and many may read.  LMDB, with its rules in here.
 *
 * A file is opened at most once per process, after fork (closing another handle would drop its locks).  Keys and
 * values are bytes; keys are 1..511 bytes, in order of memcmp, by convention "kind/..."; those that begin with a zero byte
 * are db's own.  A read transaction lasts for one call and never spans a caller's code, so values are copied out.
 * Writes belong to an explicit batch, which is on disk when db_commit returns.
 * One thread at a time for the batch; db_get and db_each may run in other threads.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

enum { DB_READ = 1, DB_NOSYNC = 2 };	/* DB_NOSYNC: survives us but not the machine */

struct db;

/*
 * Opens or makes the file at path (and path-lock).  layout is the caller's: a file of another layout, or of an LMDB with another
 * format, is refused with ERR_LAYOUT; a network file system with -EOPNOTSUPP; a file open in this process with -EBUSY.
 */
int	db_open(struct db **db, const char *path, uint32_t layout, unsigned flags);
void	db_close(struct db *db);		/* an open batch is dropped; NULL is fine */

int	db_begin(struct db *db);		/* a batch; waits for another process's */
int	db_put(struct db *db, const void *key, size_t kn, const void *val, size_t vn);
int	db_del(struct db *db, const void *key, size_t kn);	/* 0 or ERR_NOTFOUND */
int	db_commit(struct db *db);		/* all or nothing; on failure the batch is gone: ERR_FULL, -ENOSPC, -EIO */
void	db_abort(struct db *db);

/* Reads see the last commit, not the open batch. */
int	db_get(struct db *db, const void *key, size_t kn, struct buf *val);	/* replaces val's bytes; 0 or ERR_NOTFOUND */
/*
 * Calls fn for each key that begins with prefix, in order, outside of any transaction: keys that come and go
 * meanwhile may be seen or not.  fn's first result other than 0 ends it and is returned.  fn may write.
 */
int	db_each(struct db *db, const void *prefix, size_t n,
	    int (*fn)(void *ctx, const void *key, size_t kn, const void *val, size_t vn), void *ctx);
/* The same from key from on, which begins with prefix, or from the next one that there is. */
int	db_each_from(struct db *db, const void *prefix, size_t n, const void *from, size_t nfrom,
	    int (*fn)(void *ctx, const void *key, size_t kn, const void *val, size_t vn), void *ctx);

#endif
