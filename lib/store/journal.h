/*
 * journal - keyed records in a file without a name, for the process that takes over when this one is killed.
 *
 * What is put and deleted is collected until journal_sync, which appends it with a checksum: all of it counts, or none.
 * The file lives in memory and is the machine's own: it has no layout for others.  When most of it is out of date it is
 * written anew, into another file, and `moved` tells whoever holds the descriptor for the successor.
 *
 * One thread.  Keys and values are bytes.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

struct journal {
	int fd;				/* ro; -1: there is none, and nothing is remembered */
	int (*moved)(void *ctx, int fd);	/* rw: another file takes its place from now on, unless it is < 0; NULL */
	void *ctx;			/* rw */
	uint64_t end, again;		/* private: its length; when it is written anew */
	struct buf todo;		/* private */
};
#define JOURNAL_INIT { .fd = -1 }

struct journal_rec {
	struct span key, val;
};

struct journal_read {			/* what a journal holds: the last value of each key that was not deleted */
	struct journal_rec *rec;	/* ro: in the order in which they were put */
	size_t n;
	unsigned char *bytes;		/* private: the file, mapped */
	size_t len;
};

int	journal_start(struct journal *j);			/* empty: 0 or -errno */
void	journal_release(struct journal *j);
void	journal_put(struct journal *j, struct span key, struct span val);	/* adds or replaces */
void	journal_del(struct journal *j, struct span key);
/* 0, or -errno: it is not written yet, and the next one will try again. */
int	journal_sync(struct journal *j);
/* Reads the file of another; what its writer had not finished is passed over.  0 or -errno; the caller releases r. */
int	journal_read(struct journal_read *r, int fd);
void	journal_read_release(struct journal_read *r);

#endif
