/* kept - objects that the node keeps (KEEP): with or without a name, till they are removed or their time is over. */
#ifndef NODE_KEPT_H
#define NODE_KEPT_H

#include "node/inner.h"

int	kept_put(struct node *n, struct kept *k);	/* k, with its place and its name, is kept from now on: 0, -ENOMEM, -EEXIST */

/* kept_log.c */
void	kept_inherit(struct node *n);		/* all that the last daemon kept and that is still somewhere */
void	kept_note(struct node *n, const struct kept *k);
void	kept_unnote(struct node *n, const struct kept *k);

#endif
