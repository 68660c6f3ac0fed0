/* kept - objects that the node keeps (KEEP): with or without a name, till they are removed or their time is over. */
#ifndef NODE_KEPT_H
#define NODE_KEPT_H

#include "node/inner.h"

int	kept_put(struct node *n, struct kept *k);	/* k, with its place and its name, is kept from now on: 0, -ENOMEM, -EEXIST */

/* kept_log.c */
int	kept_log_start(struct node *n);
int	kept_log_adopt(struct node *n, int fd);		/* takes fd: all that the last daemon kept and that lies in the arena */
int	kept_log_in(struct node *n, const struct kept *k);	/* 0, or why it cannot be written */
void	kept_log_out(struct node *n, const struct kept *k);

#endif
