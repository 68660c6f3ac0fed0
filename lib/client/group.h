/*
 * group - placement groups (core/group.h) from a process; for the main thread.  0 or a negative error.
 */
#ifndef CLIENT_GROUP_H
#define CLIENT_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/id.h"
#include "base/span.h"

struct client;
struct rec;

enum { GROUP_STATE_CREATED = 3 };	/* as in GROUP_STATE */

struct group_spec {
	const char *name;	/* NULL: none */
	unsigned strategy;	/* as in GROUP_NEW */
	struct span bundles;	/* the same */
	bool detached;
	uint64_t timeout;	/* ns; 0 no limit */
};
/* Does not wait: *r, counted for the caller, becomes ready with the group (true), or fails with why it is not there. */
int	client_group_new(struct client *c, const struct group_spec *s, struct id *id, struct rec **r);
int	client_group_ask(struct client *c, struct id id, struct rec **r);	/* the same of a group that somebody made */
void	client_group_del(struct client *c, struct id id);		/* what runs in it is killed */
int	client_group_find(struct client *c, const char *namespace, const char *name, struct id *id, unsigned *bundles, char *why,
	    size_t n);
void	client_group_settle(struct client *c);	/* returns when the node knows what groups were made here */
struct id client_group_here(struct client *c, unsigned *bundles);	/* the one that this worker is in; all 0: none */

#endif
