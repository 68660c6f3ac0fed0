/*
 * page - the status page of a process: what it runs, since when, what it pins, its counters.
 *
 * One segment per process, made by rlet, written by that process only; rlet and rstat read it.  The page of a
 * dead process is its last testimony.  Strings are copied out and cut before use: the writer may be mid-word.
 */
#ifndef RING_PAGE_H
#define RING_PAGE_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "ring/uses.h"

#define PAGE_MAGIC 0x65676170u
#define PAGE_LAYOUT 3u
#define PAGE_PINS 1024u
#define PAGE_EVENTS 256u
#define PAGE_ONCE 0x80000000u		/* the task is not tried again */
#define PAGE_MARKS 64u

enum page_state { PAGE_START, PAGE_IDLE, PAGE_RUN, PAGE_BLOCKED, PAGE_SLEEP };

enum page_counter {		/* fixed numbers: rstat of another build reads them */
	CNT_SUBMITTED, CNT_FINISHED, CNT_FAILED, CNT_RETRIED,		/* as submitter */
	CNT_RUN, CNT_STOLEN,						/* as worker */
	CNT_QUEUED,							/* tasks that wait in this process, now */
	CNT_OWNED, CNT_BORROWED,					/* objects, now; owned: those that others hold */
	CNT_SLAB, CNT_PUT_BYTES,					/* bytes */
	CNT_SLEEPS, CNT_SPINS, CNT_SPIN_HITS, CNT_WAKEUPS,
	CNT_LINEAGE, CNT_LINEAGE_DROPPED,				/* bytes, now; how many, ever */
	CNT_MAX
};

struct page_event {		/* overwritten in a circle; seq tells what is gone */
	_Atomic uint64_t seq;		/* number of the event + 1; 0 while it is written */
	uint64_t at;			/* CLOCK_MONOTONIC ns */
	uint64_t task;			/* low half of the id */
	uint32_t proc;			/* submitter */
	uint8_t what, attempt;		/* enum page_what */
	uint16_t spare;
	char name[32];
};
enum page_what { EV_START = 1, EV_DONE, EV_FAIL };

struct page_mark {		/* from byte at on the worker's log is this task's; overwritten in a circle as events are */
	_Atomic uint64_t seq;
	uint64_t at, task;
	char name[32];
};

struct page {
	uint32_t magic, layout;
	uint32_t proc, node;
	alignas(64) _Atomic uint32_t state;	/* enum page_state */
	_Atomic uint32_t attempt;		/* 0 first; | PAGE_ONCE */
	_Atomic uint64_t since;			/* CLOCK_MONOTONIC ns of the last change of state */
	_Atomic uint64_t task;			/* low half of the id it runs; 0 none */
	_Atomic uint32_t submitter;		/* process number */
	_Atomic uint32_t actor;
	char fn[32];				/* what it runs */
	alignas(64) _Atomic uint64_t counter[CNT_MAX];
	alignas(64) _Atomic uint64_t events;	/* events written so far */
	alignas(64) _Atomic uint64_t pin[PAGE_PINS];
	struct page_event event[PAGE_EVENTS];
	alignas(64) _Atomic uint64_t marks;	/* written so far */
	_Atomic uint64_t log_lost;		/* bytes that could not be written to the log */
	_Atomic uint32_t log_error;		/* errno of the last of them */
	_Atomic uint32_t pid;
	struct page_mark mark[PAGE_MARKS];
	alignas(64) struct uses uses;
};

int	page_create(const char *name, uint32_t node, uint32_t proc);	/* -> descriptor */
int	page_map(int fd, struct page **page, int writable);		/* checks seals, size, magic; writable: its one writer, seals it against others */
void	page_unmap(struct page *page);
int	nodepage_create(const char *name, uint32_t node, uint32_t cpus); /* -> descriptor of a struct nodepage */
struct nodepage;
int	nodepage_map(int fd, struct nodepage **np);

/* single writer: no read-modify-write needed */
static inline void
page_count(struct page *p, enum page_counter c, uint64_t n)
{
	atomic_store_explicit(&p->counter[c], atomic_load_explicit(&p->counter[c], memory_order_relaxed) + n,
	    memory_order_relaxed);
}

static inline void
page_set(struct page *p, enum page_counter c, uint64_t n)
{
	atomic_store_explicit(&p->counter[c], n, memory_order_relaxed);
}

#endif
