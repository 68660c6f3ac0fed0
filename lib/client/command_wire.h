/* command_wire - what command.c and lib/script's lines.c share of the encoding: strings that may lie out of band. */
#ifndef CLIENT_COMMAND_WIRE_H
#define CLIENT_COMMAND_WIRE_H

#include "store/arena.h"
#include "wire/mp.h"
#include "wire/msg.h"
#include "wire/val.h"

int	command_put_oob(struct buf *b, unsigned index, size_t n);	/* buffer index has n bytes; 0 or -ENOMEM */
/* the next value: a string, or one in a buffer of v (NULL: there are none); s is borrowed.  0 or ERR_PROTO */
int	command_get_str(struct mp *m, const struct arena *a, const struct obj_view *v, struct span *s);
int	command_get_uint(struct mp *m, uint64_t *u);		/* 0 or ERR_PROTO */

/* command_live.c, in a worker: writing ends for the item's output, the caller's; the connection is kept.  0 or -errno */
int	command_live_open(struct span name, uint64_t seq, int *out, int *err);
void	command_live_forget(void);		/* the name's bytes end */

#endif
