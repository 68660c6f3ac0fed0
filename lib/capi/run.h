/*
 * run - C tasks and actors in a worker: finds the function (load.h), calls it, publishes what it set.
 */
#ifndef CAPI_RUN_H
#define CAPI_RUN_H

#include <stdbool.h>
#include "client/serve.h"
#include "wire/spec.h"

struct crun;

struct crun *crun_new(struct client *c);			/* one per worker, for its life; NULL: no memory */
void	crun_task(struct crun *u, struct task_in *t);		/* FN_C, or FN_METHOD if crun_is_actor: to its end */
/* In a task that waits for r: runs C tasks that it submitted itself, right here, until r is ready or there is none. */
void	crun_own(struct crun *u, const struct rec *r);
bool	crun_is_class(const struct spec *s);			/* an actor written in C? */
bool	crun_is_actor(const struct crun *u);			/* was one made here? */
void	crun_construct(struct crun *u, const struct spec *s);	/* makes it and tells: serve_actor_up */

#endif
