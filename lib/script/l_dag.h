/*
 * l_dag - compiled graphs of actor calls: what the worker's loop, rota.get and the method calls share with
 * l_dag.c, l_dag_make.c (the process that compiled one) and l_dagrun.c (the actors in it).
 *
 * A graph is compiled once (lua/rota/dag.lua): every actor gets a plan, a list of steps over numbered slots, and the
 * ends of its channels, by a call of the method DAG_METHOD.  An execution sends the inputs; each actor does its steps
 * when what they read is there, between its ordinary calls.  An error travels in the place of the value.
 */
#ifndef SCRIPT_L_DAG_H
#define SCRIPT_L_DAG_H

#include "script/l_chan.h"

#define DAG_METHOD " dag"		/* no name in Lua begins so */

void	dag_open(lua_State *L);
extern const luaL_Reg dag_functions[];

/* l_dag_make.c: while a graph is traced a call of a method becomes a node.  Stack: method … arguments from first */
int	dag_trace(lua_State *L, int handle, const char *method, int returns, int first);
/* l_dag_future.c */
bool	dag_future_test(lua_State *L, int idx);
int	dag_future_get(lua_State *L, int idx, uint64_t deadline);	/* pushes its values; raises */
/* the same in two steps: 0 or -ETIMEDOUT, raises on Ctrl-C only; how many values it pushed, or -1: the error */
int	dag_future_await(lua_State *L, int idx, uint64_t deadline);
int	dag_future_values(lua_State *L, int idx);
void	dag_future_late(lua_State *L);		/* pushes the error of a wait that was too short */

/* l_dag_wait.c: has the future an outcome? */
bool	dag_future_ready(lua_State *L, int idx);
/* is there something to be taken for one of those in t[from] .. t[to - 1]?  It looks only, and raises nothing */
bool	dag_futures_news(lua_State *L, int t, lua_Integer from, lua_Integer to);
/* until one of those in t[from] .. t[to - 1] may have one, or set a member.  0: look again; -ETIMEDOUT, negative */
int	dag_futures_wait(lua_State *L, int t, lua_Integer from, lua_Integer to, struct waitset *set, uint64_t deadline);

/* l_dagrun.c, in the worker */
int	dag_attach(lua_State *L);		/* the method DAG_METHOD: (self, plan) */
/* does steps that can be done, if may, and has the others' channels watched.  True: something was done */
bool	dag_serve(struct script *s, bool may);

/* both: encodes slots first..last: 0, or negative with the message pushed */
int	dag_payload(lua_State *L, int first, int last, const char *what, struct payload *p, struct seg *segs);
struct client_chan *dag_take_end(lua_State *L, int idx, bool reader);	/* out of its handle, which is closed then; l_chan.c */

#endif
