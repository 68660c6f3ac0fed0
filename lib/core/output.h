/*
 * output - what tasks print, on its way to their driver's stderr: whole lines, each with the task and the process that
 * printed it before it ("sq.lua:2 4711| "), repeats collapsed.  Pure: bytes of a worker's log in, text out.
 *
 * A repeat is a line that the same worker printed right before, or that another worker of the job printed within
 * OUTPUT_WINDOW: lines of one worker that come again with others between them are its layout and stay.  Repeats are
 * counted, and the count is told once the window is over: "sq.lua:2 4711| hello [99 more]".
 */
#ifndef CORE_OUTPUT_H
#define CORE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

enum {
	OUTPUT_LINE = 3900,	/* a longer line comes in pieces: with its prefix it fits what pipes take whole */
	OUTPUT_NAME = 32,
	OUTPUT_TEXT = 160,	/* bytes of a line that are shown again with its count */
	OUTPUT_RECENT = 32,	/* different lines that are remembered */
};
#define OUTPUT_WINDOW UINT64_C(1000000000)

struct output_mark {		/* from byte at of the log on it is name's */
	uint64_t at;
	char name[OUTPUT_NAME];	/* ends with NUL */
};

struct output_from {		/* a worker */
	uint32_t pid;
	uint64_t last;		/* private: the line it printed last; starts as 0 */
};

struct output_recent {		/* private */
	uint64_t hash, shown, more;
	uint32_t pid;
	bool others;		/* not all of them were one worker's */
	unsigned char n, nname;
	char text[OUTPUT_TEXT], name[OUTPUT_NAME];
};

struct output {			/* a driver's; starts as zeros */
	bool all;		/* rw: nothing is collapsed */
	bool pack;		/* rw: lines become records, for output_unpack where their driver is */
	unsigned n;		/* private, as the rest */
	struct output_recent recent[OUTPUT_RECENT];
};

/*
 * n bytes at offset at of f's log: what is shown of them is appended to out, at most about n plus a prefix per line.
 * mark[0 … nmark-1] ascend, nmark >= 1, mark[0].at <= at.  Returns how many bytes are done with: whole lines and what
 * another task goes on behind; with last all.  Out of memory less, or none.
 */
size_t	output_take(struct output *o, struct output_from *f, uint64_t now, const struct output_mark *mark, unsigned nmark,
	    uint64_t at, const unsigned char *p, size_t n, bool last, struct buf *out);
/*
 * Records: u16 bytes, u8 of the name, u8 1: the same worker printed it right before, u32 pid; name, line.  One without a name is
 * text to be shown as it is.
 */
enum { OUTPUT_RECORD = 8 };
int	output_pack_text(struct buf *out, const void *p, size_t n);	/* such a record, n <= UINT16_MAX: 0 or -ENOMEM */
size_t	output_records(const unsigned char *p, size_t n);	/* how many of n bytes are whole ones */
/* shows what another one packed, as output_take would have: 0, ERR_PROTO: they make no sense from there on; -ENOMEM */
int	output_unpack(struct output *o, uint64_t now, const unsigned char *p, size_t n, struct buf *out);
uint64_t output_due(const struct output *o);	/* when output_tick has something to tell; UINT64_MAX: nothing */
void	output_tick(struct output *o, uint64_t now, struct buf *out);	/* counts whose time is up; UINT64_MAX: all */

/* The last whole lines of the n bytes at p, at most three, into text: "free(): invalid pointer"; its length, 0: none. */
size_t	output_tail(const unsigned char *p, size_t n, char *text, size_t size);

#endif
