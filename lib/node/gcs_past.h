/*
 * gcs_past - what is over, as the control store remembers it: actors, jobs, nodes that are no more, each list by itself.  In memory there
 * are a few numbers; rows are on the disk, the newest of each list in so many bytes.  Private to gcs.c.
 *
 * On disk: "~past/LIST/SEQUENCE" is a row, a msgpack map as a LIST has it (node/rows.c), with when it ended; "~past/LIST" says which there are.
 * They come behind all other keys, so that a start need not read them.
 */
#ifndef NODE_GCS_PAST_H
#define NODE_GCS_PAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCS_PAST "~past/"
#define GCS_PAST_BYTES (UINT64_C(16) << 20)	/* of each list, unless told otherwise */

struct db;
struct frame;
struct gcs_peer;
struct control_out;

enum { GCS_PAST_LISTS = 4 };

struct gcs_past {
	uint64_t limit;				/* bytes of keys and rows, of each list; 0: nothing is remembered */
	struct gcs_past_list {
		uint64_t first, next, bytes;	/* the oldest row, the one to come */
		bool changed;
	} list[GCS_PAST_LISTS];
};

int	gcs_past_load(struct gcs_past *p, struct db *db);
/* PAST effects in o become writes, of what is remembered and of the oldest that is forgotten for it. */
void	gcs_past_take(struct gcs_past *p, struct db *db, struct control_out *o);
int	gcs_past_frame(struct gcs_peer *p, const struct frame *f);	/* PAST: answered with some rows */

#endif
