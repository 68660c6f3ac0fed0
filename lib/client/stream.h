/*
 * stream - the consumer's end of a task that streams (struct task_opts.stream): what it yields, one by one, in order.
 *
 * Each item comes as a completion of its own (DONE_PART) as soon as it was yielded; whoever reads completions first puts
 * it into the stream's queue.  The producer goes on while fewer than backlog items wait there or on their way: how many
 * were taken stands in struct rec_stream, which it can read.  An attempt that is run again after a death or an error
 * skips what had arrived; an item arrives once.
 *
 * A struct stream belongs to the record that client_submit or client_call gave, and lives as long.  That record becomes
 * ready when the stream ends: with what the function returned, or with the error that ended it.  Main thread only.
 */
#ifndef CLIENT_STREAM_H
#define CLIENT_STREAM_H

#include "client/client.h"

#define STREAM_BACKLOG 1024u		/* items ahead of the consumer, unless the task says otherwise */
#define STREAM_BYTES (64u << 20)	/* in the arena, or an eighth of it */

struct stream *client_stream(struct client *c, struct rec *r);	/* of a call; NULL: it does not stream */

/*
 * Takes the next item: 1; 0: there is none yet; ERR_CLOSED: there will be no more.  It is the record *r, counted for the
 * caller; or, unless as_rec, r is NULL and it is v, plain values that are good until the next call.
 */
int	client_stream_next(struct client *c, struct stream *s, bool as_rec, struct rec **r, struct value *v);

/*
 * What to wait for: a record that is ready once client_stream_next has something to tell.  Borrowed until then; NULL: no
 * memory.
 */
struct rec *client_stream_head(struct client *c, struct stream *s);
uint64_t client_stream_taken(const struct stream *s);	/* how many items were */
void	client_stream_close(struct client *c, struct stream *s);	/* no more are wanted: ends the producer.  From a finalizer too */

#endif
