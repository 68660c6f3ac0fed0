/*
 * rstat - what the files of the program share.
 */
#ifndef RSTAT_H
#define RSTAT_H

#include "base/table.h"
#include "client/client.h"
#include "client/lists.h"

/* near.c: joins, or ends the program with 125 and one line that says what there is instead */
struct client *join(const char *address, const char *namespace);

/* sum.c: one record about all */
extern const struct table_col sum_cols[];
void	sum_print(struct client *c, struct table *t);

#endif
