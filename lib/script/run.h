/*
 * run - the pieces of running a task that work.c puts together.
 */
#ifndef SCRIPT_RUN_H
#define SCRIPT_RUN_H

#include "script/sched.h"

lua_State *run_co_take(struct script *s, int *ref);		/* a coroutine with an empty stack; ref keeps it */
void	run_co_give(struct script *s, lua_State *co, int ref);	/* back to the pool, or let go */
int	run_function(lua_State *co, struct script *s, const struct task_in *t);	/* pushes t's function: 0; or its message */
void	run_results(struct script *s, struct task_in *t, lua_State *co, int nres);	/* the top nres values are the outcome */
int	run_item(struct script *s, struct task_in *t, lua_State *co, int nres);	/* they were yielded: 0; or pushes its message */
void	run_close(struct script *s, lua_State *co);	/* before run_fail: the task's code failed */
void	run_fail(struct script *s, struct task_in *t, lua_State *co, int code);	/* the value on top was raised */

/* the function of t, which came with more than itself, is on top of co: true with the last of its max_calls here */
bool	run_counted(lua_State *co);

#endif
