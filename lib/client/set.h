/*
 * set - sets of actors (core/set.h) from a process; for the main thread.  0 or a negative error, why in a line.
 * What is known of a set is the body of its last SET_STATE.
 */
#ifndef CLIENT_SET_H
#define CLIENT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "client/client.h"

struct set_spec {
	struct actor_spec actor;	/* of each member */
	const char *name;		/* NULL: none */
	unsigned min, max, strategy;
	bool gang, detached;
	uint64_t drain;			/* ns; 0 no limit */
	uint64_t period, patience;	/* ns between checks of members, 0 none; until the answer */
	const char *method;		/* called for them; NULL: the worker answers */
	unsigned surge;			/* members above max while it is renewed */
};
int	client_set_new(struct client *c, const struct set_spec *s, uint64_t *number, char *why, size_t n);
/* class and methods: appended, as a string with its 0, and as in ACTOR_NEW */
int	client_set_find(struct client *c, const char *name, uint64_t *number, struct buf *class, struct buf *methods, char *why, size_t n);
uint64_t client_set_seq(const struct client *c);	/* how many states have come, of any set; without the lock */
/* The newest state, as body of a SET_STATE, into body if its revision is not *revision: 1; 0 the same, or none has come yet. */
int	client_set_look(struct client *c, uint64_t number, uint64_t *revision, struct buf *body);
struct rec *client_set_next(struct client *c, uint64_t number, uint64_t revision);	/* ready once it is not that; counted; NULL */
/* ready once so many members are up, 0: once it is alive; an error if it is dead.  Counted; NULL: no memory */
struct rec *client_set_ready(struct client *c, uint64_t number, unsigned up);
int	client_set_resize(struct client *c, uint64_t number, unsigned min, unsigned max, char *why, size_t n);
int	client_set_renew(struct client *c, uint64_t number, char *why, size_t n);	/* all members, one after the other */
void	client_set_end(struct client *c, uint64_t number, bool kill);

#endif
