/*
 * logs - what tasks print: a file per worker, followed by a thread that shows the lines on their driver's stderr.
 *
 * A worker writes to its file, never to a pipe that somebody must read: neither rlet nor the driver can block it, and its
 * last lines survive it.  The thread sees writes by inotify, then, as long as there are any, by looking at the files every
 * LOGS_REST: an event for each write would cost the writer as much as the write.  It reads what is new, and writes it to
 * the driver's stderr without ever blocking there; what finds no room stays in the file.  A file is held to about two
 * parts: beyond that its oldest bytes are given back to the disk (a hole), shown or not.
 *
 * Of a job whose driver is at another node the lines go there instead, as records (logs_far.c), and what comes from there is
 * shown beside that of the workers here.
 *
 * The loop (logs.c) makes files and says what ended; the thread (logs_follow.c) alone reads, writes and frees.  All of
 * struct logs and what hangs on it belongs to whoever holds lock, the descriptors in it to the thread.
 */
#ifndef NODE_LOGS_H
#define NODE_LOGS_H

#include <pthread.h>
#include "core/output.h"
#include "node/inner.h"

#define LOGS_REST UINT64_C(4000000)		/* ns between two looks at what was written */
#define LOGS_EVENTS (IN_MODIFY | IN_ATTRIB | IN_ONLYDIR)
#define LOGS_LAST UINT64_C(200000000)		/* a dead worker's lines are waited for so long */
#define LOGS_FLUSH UINT64_C(900000000)		/* a FLUSH is answered then, shown or not */
#define LOGS_END UINT64_C(1000000000)		/* lines of a driver that is gone have so long to leave */

enum {
	LOGS_READ = 64 << 10,		/* bytes of one worker shown before it is another's turn */
	LOGS_PART_MIN = 64 << 10,
	LOGS_PART_MAX = 4 << 20,
	LOGS_AHEAD = 256 << 10,		/* bytes of a job's lines under way to its driver's node */
	LOGS_OLD = 1000,		/* files of dead workers that are kept */
};
#define LOGS_TOTAL_SHORT (UINT64_C(64) << 20)	/* bytes of all files of a node: of an ephemeral one, its files go with it */
#define LOGS_TOTAL_LASTING (UINT64_C(256) << 20)

struct logsink {			/* a job's driver's stderr */
	struct logs *logs;
	struct list link;		/* in logs.sinks */
	unsigned refs;			/* its job, if alive; its workers' files */
	uint32_t job;
	int fd;				/* -1: nobody listens, or at another node */
	uint32_t home;			/* that node, or 0 */
	uint64_t sent, shown;		/* bytes of records; shown belongs to the lock */
	struct buf far;			/* under the lock: what came from other nodes: u32 node, u32 bytes, records */
	bool socket, poll, blocked;	/* poll: a write may block, so ask first */
	uint64_t end;			/* its driver is gone: give up then; 0 */
	struct output text;
	struct buf out;			/* formatted, not yet written: at most some LOGS_READ */
	struct buf say;			/* about the logs themselves, goes first; at most a few lines */
	uint32_t flusher;		/* process that asked to FLUSH, and for what; 0 */
	uint64_t flush_req, flush_at;
	unsigned flushing, asked;	/* files that have not come to their until; nodes that have not answered FAR_FLUSH */
	bool said_full, said_fast;
};

struct logfile {			/* a worker's */
	struct list link;		/* in logs.live */
	struct list dirty;		/* in logs.dirty */
	uint32_t proc, job;
	int fd;
	struct logsink *sink;		/* NULL: its lines are shown to nobody */
	const struct page *page;	/* NULL: it is dead */
	_Atomic uint64_t *told;		/* log_read of its bell, while page is there */
	uint32_t pid;			/* as its page had it */
	struct output_from from;
	struct output_mark *mark;	/* what its page said when it died */
	unsigned nmark;
	uint64_t begin, read, until;	/* bytes that were given back; shown; to be shown before the answer */
	uint64_t seen;			/* private to the thread: its size at the last look at all of them */
	bool gone, flush;		/* dead; until counts */
	uint64_t give_up;		/* gone: until is not waited for any longer */
};

struct logold {				/* the file of a dead worker */
	struct list link;
	uint64_t bytes;
	unsigned job, proc;
	char name[32];
};

struct logs {
	struct node *n;
	struct link *link;		/* to other nodes; NULL */
	pthread_mutex_t lock;
	pthread_t thread;
	bool running, stop, keep;	/* keep: the files outlive the node */
	int dir, inotify, wake;
	char path[600];
	struct map files;		/* process number -> struct logfile * */
	struct list live, dirty, sinks, old;
	unsigned nlive, nold;
	uint64_t old_bytes, total;
	ev_async ready;
	struct buf done;		/* struct logdone, for the loop */
	char failed[256];		/* why workers have no log, or "" */
};

struct logdone {			/* flush: proc's request is to be answered; else proc's last lines are out */
	uint32_t proc;
	bool flush;
	uint64_t req;
};

/* logs_dir.c: the directory, and files of dead workers; the lock is held, but by dir_make */
int	logs_dir_make(struct logs *l, char *why, size_t nwhy);
void	logs_dir_end(struct logs *l);
void	logs_old_add(struct logs *l, const struct logfile *f, uint64_t bytes);
void	logs_old_trim(struct logs *l);

/* logs.c, for the loop */
int	logs_start(struct logs *l);		/* the thread runs: 0, or < 0, and it was told why */
void	logs_wake(struct logs *l);
/* flusher's FLUSH, which may be another node's (UINT32_MAX); asked: nodes that answer too */
void	logs_flush(struct logs *l, struct logsink *s, uint32_t flusher, uint64_t req, unsigned asked);

/* logs_far.c: the thread's */
bool	far_write(struct logsink *s);		/* as sink_write */
void	far_flushed(struct logs *l, const struct logsink *s);
bool	far_show(struct logs *l, struct logsink *s, uint64_t now);
unsigned logs_ask_flush(struct nproc *p, uint64_t round);	/* the loop's: how many other nodes will answer */

static inline bool
sink_listens(const struct logsink *s)
{
	return s->fd >= 0 || s->home;
}

/* logs_sink.c: one thread at a time, no lock needed */
void	sink_open(struct logsink *s, int fd);		/* takes fd */
void	sink_close(struct logsink *s);
void	sink_free(struct logsink *s);		/* no longer in logs.sinks */
bool	sink_write(struct logsink *s);		/* what it takes now; true: all of it */

void	*logs_follow(void *logs);			/* the thread */
unsigned logs_marks(const struct page *p, struct output_mark mark[PAGE_MARKS + 1]);	/* what it says about its log, >= 1 */

#endif
