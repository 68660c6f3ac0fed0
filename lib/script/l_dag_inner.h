/* l_dag_inner - a compiled graph in the process that compiled it: l_dag_make.c makes it, l_dag.c has it executed,
 * l_dag_future.c has the outcomes, l_dag_wait.c waits */
#ifndef SCRIPT_L_DAG_INNER_H
#define SCRIPT_L_DAG_INNER_H

#include "script/l_dag.h"

struct input {				/* what one actor gets of the arguments */
	struct client_chan *ch;
	int first, n;			/* a run of arguments */
	char *to;
};

struct output {
	struct client_chan *ch;
	bool all;
	char *from;
	struct chan_in m;
};

struct member {
	struct actor *a;		/* its handle is in user value 3 */
	uint32_t incarnation;
	char *name;
};

struct graph {				/* "rota.graph"; its user values: l_dag.c */
	struct client *c;
	struct input *in;
	struct output *out;
	struct member *member;
	struct client_chan **watch;
	unsigned nin, nout, nmember, nparam, inflight;
	uint64_t begun, ended;		/* executions */
	uint64_t upsets;		/* when the members were looked at last */
	bool over;			/* closed, or broken: then user value 2 says why */
};

enum { PENDING, DONE, FAILED };

struct future {
	struct graph *g;
	uint64_t number;		/* of the execution, 0 first */
	int state;
	int nvals;			/* DONE: 1, the value is the user value itself */
};

struct graph *graph_check(lua_State *L, int arg);
/* 1: the next execution's results were taken; 0: they are not all there; -1: the graph is over */
int	graph_take(lua_State *L, struct graph *g, int gi);
/* what to wait for then: so many channels in g->watch; 0: look again.  ch: it is to have room, or NULL: none is */
unsigned graph_watch(lua_State *L, struct graph *g, int gi, struct client_chan *ch);
/* until something comes of what graph_take did not find, or ch has room.  0, -ETIMEDOUT, negative; raises on Ctrl-C */
int	graph_await(lua_State *L, struct graph *g, int gi, struct client_chan *ch, uint64_t deadline);
void	graph_broken_by(lua_State *L, struct graph *g, int gi, int e, const char *who);	/* e: what the end before or after who said */
void	dag_future_open(lua_State *L);		/* l_dag_future.c */
/* is one of the actors dead, as far as the node told?  Then the graph is broken */
bool	graph_census(lua_State *L, struct graph *g, int gi);

#endif
