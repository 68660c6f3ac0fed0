/*
 * limit - a task's memory= in Lua: garbage does not count against it, and what goes over it raises an error that says so.
 *
 * Where Lua itself allocates, a failure makes it collect garbage and try again; where a string is built up it does not.
 * So an allocation that fails is first given an eighth more than the limit, and the collector runs at the next
 * instruction, after which the limit holds again; what is then in use and over it is an error.
 */
#ifndef SCRIPT_LIMIT_H
#define SCRIPT_LIMIT_H

#include "script/sched.h"

void	limit_watch(struct script *s);		/* a worker's state; once */
void	limit_begin(struct script *s);		/* what earlier work left goes back: the room is for what comes */
void	limit_collect(struct script *s, lua_State *L);	/* of the hook: after an overdraft */
/*
 * What was raised on top of co, with the status of lua_resume, says that there is no memory: true, its words are made
 * complete, and the limit does not hold until serve_limit(c, true).
 */
bool	limit_broken(struct script *s, lua_State *co, int status);

#endif
