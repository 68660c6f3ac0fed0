/*
 * spill - objects whose place the node chooses.  Private to lib/node/spill*.c and restore.c.
 *
 * An object becomes so when its owner says so (EVICT, EVICTABLE) or when the node keeps it: from then on only the node
 * frees it, so that no word on its way to its maker can hit what took its place.  struct moved is all that is known: where
 * it lies in the arena, where on the disk, or both (then the copy in the arena is dropped for nothing).
 * What is read or written is busy; it is freed when that is over.
 */
#ifndef NODE_SPILL_H
#define NODE_SPILL_H

#include <pthread.h>
#include "core/form.h"
#include "core/spill.h"
#include "node/inner.h"
#include "store/arena_fill.h"
#include "store/spillfile.h"

enum { SPILL_THREADS = 2 };
#define SPILL_JOB (UINT64_C(16) << 20)	/* bytes of a write */

struct moved {
	struct id id;
	uint64_t off, run, size;	/* off: in the arena, 0: not there */
	uint32_t gen, made, slot, last;	/* last: its last use that we know of */
	uint32_t told;			/* when somebody was told where it lies, who looks now; of arena_now */
	bool busy, doomed;		/* doomed: to be freed once it is not busy */
	bool awaited;			/* told holds: it stays for a moment, or who asked would find it gone, each time anew */
	/* of what other nodes know of, abroad_object.c: */
	bool coming;			/* it is being received: off and file are 0 */
	bool hungry;			/* and waits for room */
	bool copy;			/* another node has it too: it can go */
	bool used, open, opening;	/* it stays: for a task here, for other nodes; once it is back from the disk */
	uint32_t taker;			/* the node that drains and wants to be rid of it, once it is here; 0 */
	bool missed;			/* no node has it, as far as its owner's knows: to be told that we have, once it is back from the disk */
	uint64_t stamp, ticket;		/* stamp: what the owner's node knows it by; 0: nothing */
	struct form form;		/* bytes 0: not known */
	struct spill_file *file;	/* NULL: not on the disk */
	uint64_t at;
	struct list waiters;		/* struct asker: for its restoring */
};

struct asker {
	struct list link;
	uint32_t proc;
	uint64_t req;
};

struct spill_job {			/* for a thread */
	struct list link;
	bool read;
	struct spill_file *file;
	uint64_t at, bytes;
	int result;
	size_t n;
	struct moved **moved;		/* n: what is written; one: what is read */
	struct spill_piece *piece;
	struct spill_rec rec;		/* read */
	struct arena_fill fill;		/* where it goes */
};

struct spill {
	struct node *n;
	struct spill_store store;
	bool open;
	char why[640];			/* why it cannot write, "" if it can */
	uint64_t why_at;		/* try again then */
	uint64_t asked, writing;	/* bytes under way */
	uint64_t hot;			/* when something was moved last, ns */
	uint64_t spilled, restored, dropped, relocated;	/* bytes, in all */
	uint64_t window, window_end;	/* what leaves this part of the arena goes elsewhere in it; 0, 0: to the disk */
	struct idmap asks, refused;	/* ids: until the owner answers; not to be asked again at once */
	uint64_t asks_at, refused_at;	/* when they began to fill */

	pthread_mutex_t lock;		/* of the three below */
	pthread_cond_t work;
	struct list reads, writes, done;
	bool stop;
	pthread_t thread[SPILL_THREADS];
	unsigned threads;
	ev_async ready;
};

struct spill *spill_get(struct node *n);	/* makes it, opens the directory; NULL: no memory */
void	spill_store_drop(struct spill *s, struct moved *m);	/* its copy on the disk */
struct moved *moved_new(struct node *n, const struct arena_item *it);	/* or NULL: no memory */
void	moved_note(struct node *n, const struct moved *m);	/* spill_heir.c: for the next daemon */
void	moved_free(struct node *n, struct moved *m);		/* wherever it is; later if it is busy */
void	moved_answer(struct node *n, struct moved *m, int e, const char *why);	/* to who waits for it */
/* It is to be in the arena: true: it will be, or not, as abroad_restored says; false: as far as can be it is. */
bool	moved_restore(struct node *n, struct moved *m);
/* Did nobody look at it since somebody was told where it is, a moment ago?  used: when it was looked at last. */
bool	moved_awaited(struct moved *m, uint32_t now, uint32_t used);
void	spill_drop_copies(struct spill *s, struct moved **v, size_t count);	/* in the arena, of what is on the disk too */
void	spill_move(struct spill *s, struct moved **v, size_t n);	/* to the disk, or elsewhere in the arena */

void	spill_left(struct spill *s, const struct arena_evict *e);	/* its space is somebody's: who frees it is told */

/* abroad_object.c */
void	abroad_restored(struct node *n, struct moved *m);	/* somebody waited for it: it is back from the disk, or cannot be */
void	abroad_urge(struct node *n, struct moved *m);	/* somebody waits for what is coming */
bool	abroad_reserve(struct node *n, struct moved *m);	/* there may be room now for what is hungry: true: so it was */
void	abroad_no_room(struct node *n, struct moved *m, const char *text);	/* there will not be */
bool	abroad_evictable(struct node *n, const struct arena_item *it);	/* its owner lets us choose its place; false: another node did not ask */
void	abroad_refused(struct node *n, struct id id);
void	abroad_dropped(struct node *n, const struct moved *m);	/* it is about to go from here */

/* abroad_leave.c */
void	abroad_took_one(struct node *n, struct moved *m);	/* m is here: the node that asked us to have it lets it go */

/* relocate.c */
/* Copies those that lie in the window elsewhere; v: what remains, for the disk.  How many. */
size_t	relocate(struct spill *s, struct moved **v, size_t count);

/* spill_io.c: the threads */
int	spill_io_start(struct spill *s, void (*done)(struct spill *s, struct spill_job *j));
void	spill_io_submit(struct spill *s, struct spill_job *j);	/* done is called in the loop's thread, j is its */
void	spill_io_stop(struct spill *s);
void	spill_job_free(struct spill_job *j);

void	spill_written(struct spill *s, struct spill_job *j);
void	spill_asked(struct nproc *p, uint64_t req, struct id id);
void	spill_was_read(struct spill *s, struct spill_job *j);

#endif
