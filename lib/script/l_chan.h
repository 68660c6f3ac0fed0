/* l_chan - what channels (l_chan.c), the codec's hooks and compiled graphs (l_dag.c) share. */
#ifndef SCRIPT_L_CHAN_H
#define SCRIPT_L_CHAN_H

#include "client/chan.h"
#include "script/script.h"

void	chan_open(lua_State *L);
extern const luaL_Reg chan_functions[];
/* body of a CHAN ext: the end is let go of here; and opened there, its handle pushed.  Both raise. */
void	chan_out(lua_State *L, int idx, unsigned char body[13]);
void	chan_in(lua_State *L, const unsigned char *body);
/* client_chan_wait; a worker that waits long gives its CPUs back.  0, -ETIMEDOUT, negative; raises on Ctrl-C */
int	chan_wait(lua_State *L, struct client_chan *const *v, unsigned n, uint64_t deadline, const uint64_t *upsets,
	    struct waitset *set);
int	chan_send(lua_State *L, struct client_chan *ch, const struct payload *p, unsigned tag);	/* 0, negative; likewise */
/* l_chan_values.c: pushes the values of a message: how many; negative with the message pushed */
int	chan_values(lua_State *L, struct client_chan *ch, const struct chan_in *m);
/* the bytes of a message into the buffer at a slot, if it has the room; pushes how many: 1; negative likewise */
int	chan_into(lua_State *L, struct client_chan *ch, const struct chan_in *m, int into);
_Noreturn void chan_raise(lua_State *L, uint64_t number, bool reader, int e);	/* what the other end's end means */

#endif
