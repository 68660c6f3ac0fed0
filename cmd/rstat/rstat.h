/*
 * rstat - what the files of the program share.
 */
#ifndef RSTAT_H
#define RSTAT_H

#include "client/client.h"
#include "client/lists.h"

/* near.c: joins, or ends the program with 125 and one line that says what there is instead */
struct client *join(const char *address, const char *namespace);

/* sum.c: one record about all, and what reads it for a view; arg: the client */
extern const struct list_kind sum_kind;
int	sum_read(struct listing *l, void *arg, char *why, size_t n);

#endif
