/* far - the way to a control store on another machine: its addresses, tried in turn, and the key.  Private to lib/node. */
#ifndef NODE_FAR_H
#define NODE_FAR_H

#include "node/inner.h"

enum {
	FAR_WAIT = 5,			/* seconds for an address to let us join, then the next one is tried */
	FAR_SOON = 2,			/* and for a store that is not there, or goes away, to come (back) before a start fails */
};

/* A descriptor that connects to the next of the addresses, the first call reads the key and looks the name up; -errno and why. */
int	far_connect(struct node *n, char *why, size_t nwhy);
int	far_secure(struct node *n, struct conn *c);
void	far_closed(struct node *n, const struct conn *c, int e);	/* notes what came of it, for far_why and the log */
void	far_joined(struct node *n);			/* again: the log says so, and the next time that it goes away it is said too */
void	far_good(struct node *n);		/* we joined there: the address that counts from now on */
void	far_refused(struct node *n);		/* nobody listens at the last address that was tried: if that one, nobody is there */
bool	far_more(const struct node *n);		/* there are addresses that were not tried in this round */
bool	far_soon(const struct node *n);		/* what the last address did may pass: nobody listened, or it went away without a word */
const char *far_why(const struct node *n);	/* one line: "node1:7411 refused our key 3f9a-22c1 (lab.key); it accepts 77c1-08be" */
void	far_stop(struct node *n);

#endif
