/*
 * spillfile - objects on a disk: where they lie in files, and how they are written and read.
 *
 * A directory has files without names (O_TMPFILE, else unlinked at once), so that a killed rlet leaves nothing; what an
 * older system could leave in between is removed by spill_open.  A file holds many objects: it grows, up to
 * SPILL_FILE_MAX, its dead ranges are punched out, and it is closed when none of its objects lives.  Nothing is synced: who reads
 * it back is the same process, or the one that takes over and was told what lies
 * where; without both nobody knows what the bytes are.
 *
 * A record is struct spill_rec and the object's block as it lies in the arena, less its first 64 bytes.  The header of a large
 * one has a page of its own, so that the block goes from the arena to the disk without a copy (O_DIRECT where
 * the file system has it); small ones are packed at multiples of 64.  Every record has a checksum.
 *
 * spill_open … spill_drop keep the books: one thread.  spill_write and spill_read only use what they are given: any thread.
 */
#ifndef STORE_SPILLFILE_H
#define STORE_SPILLFILE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"
#include "base/list.h"
#include "store/arena.h"

#define SPILL_FILE_MAX (UINT64_C(4) << 30)
#define SPILL_PAGE UINT64_C(4096)
#define SPILL_LARGE (UINT64_C(256) << 10)	/* blocks from this size on have pages of their own */
#define SPILL_MAGIC 0x6c707372u			/* "rspl" */

struct spill_rec {
	uint32_t magic, sum;		/* sum: of this header with 0 here */
	struct id id;
	uint64_t run, size;
	uint32_t headlen, made;
	uint16_t nbuf, flags;
	uint32_t data;			/* checksum of the block from its byte 64 on */
	uint64_t zero;
};
static_assert(sizeof(struct spill_rec) == 64, "records are packed at multiples of 64");

struct spill_file {
	struct list link;
	int fd;
	uint64_t number;		/* never used again by the store */
	uint64_t end, live;		/* bytes: the next record's place; of records that are not dropped */
	unsigned busy;			/* rw: the caller's: reads and writes under way */
};

struct spill_store {
	char path[512];			/* ro */
	int dir;			/* ro */
	bool own;			/* rw: remove the directory in the end, if it is empty */
	unsigned share;			/* rw: of the disk in percent that may be in use; 95 */
	uint64_t bytes;			/* ro: of live records */
	void (*told)(void *ctx, uint64_t number, int fd);	/* rw: a file was made; fd -1: it is gone.  NULL */
	void *ctx;			/* rw */
	uint64_t last;			/* private: number given */
	struct list files;		/* private; the last one grows */
};

struct spill_piece {			/* an object to be written, or read */
	const unsigned char *block;	/* write: where it lies in the arena */
	uint64_t run;			/* its length, a multiple of 64 */
	uint64_t at;			/* where its record begins in the file: set by spill_plan */
};

void	spill_init(struct spill_store *s);
/* Makes and opens the directory, 0700, removes what killed ones left.  0 or -errno; path is then told all the same. */
int	spill_open(struct spill_store *s, const char *path);
void	spill_close(struct spill_store *s);
/* May so many bytes be written?  0; -ENOSPC or -errno with a clause in why: "the disk of '/x' is 96 % full, and ...". */
int	spill_room(struct spill_store *s, uint64_t bytes, char *why, size_t n);
uint64_t spill_plan(struct spill_piece *v, size_t n);	/* bytes in the file; at counts from the batch's begin */
uint64_t spill_length(const struct spill_piece *v);	/* bytes of its record */
/* Room for a batch of bytes whose records have live: *at is a multiple of SPILL_PAGE.  0 or -errno. */
int	spill_place(struct spill_store *s, uint64_t bytes, uint64_t live, struct spill_file **f, uint64_t *at);
void	spill_drop(struct spill_store *s, struct spill_file *f, uint64_t at, uint64_t bytes);	/* a record dies; f may be closed */

/*
 * Of a store that another process had: its files, then its records, then what has none is closed.  spill_file_inherit takes
 * fd; NULL: no memory.
 */
struct spill_file *spill_file_inherit(struct spill_store *s, uint64_t number, int fd);
void	spill_claim(struct spill_store *s, struct spill_file *f, uint64_t at, uint64_t bytes);
void	spill_claimed(struct spill_store *s);

int	spill_write(int fd, uint64_t at, const struct spill_piece *v, size_t n);	/* 0 or -errno: no part of it counts then */
/* Reads a record's header: 0, ERR_LAYOUT if it is damaged, -errno. */
int	spill_head(int fd, uint64_t at, struct spill_rec *r);
/* Reads the block that r heads to p, all but its first 64 bytes: 0, ERR_LAYOUT if the checksum is wrong, -errno. */
int	spill_read(int fd, uint64_t at, const struct spill_rec *r, unsigned char *p);

#endif
