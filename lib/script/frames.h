/*
 * frames - programs that speak frames on descriptor 3: what l_frames.c (what goes to them), l_answers.c (what comes) and
 * l_pulse.c (waits, and whether they still answer) share.
 */
#ifndef SCRIPT_FRAMES_H
#define SCRIPT_FRAMES_H

#include "script/process.h"
#include "wire/frame.h"
#include "wire/msg.h"

enum { LENT = 20 };			/* bytes of an entry of the list of long values */

/* l_frames.c: p->unsent, as far as there is room, or with wait all of it; false: it has ended */
bool	frames_flush(lua_State *L, struct process *p, bool wait);
bool	frames_tell(lua_State *L, struct process *p, uint64_t req, struct buf *b);	/* b, one frame, as far as there is room */

/* l_answers.c */
void	answers_methods(lua_State *L);
/* what has come goes behind p->got, not waiting; false: it has ended */
bool	answers_take(lua_State *L, struct process *p);
/* the answer to a call that was given up comes before the next call: it looks at the arguments until then; false: it has ended */
bool	answers_settle(lua_State *L, struct process *p);
void	answers_idle(lua_State *L, struct process *p);	/* takes what has come while no call is under way; raises unless it is PONG */

/*
 * l_pulse.c: waits until the socket is ready for events, or has ended: what poll() found, or 0: nothing more will come.
 * A program with a period is asked how it is, meanwhile; one that does not answer is killed: p->silent.
 */
void	pulse_methods(lua_State *L);
void	pulse_options(lua_State *L, struct process *p);	/* health and patience of the table that is argument 1 */
short	pulse_await(lua_State *L, struct process *p, short events);
void	pulse_heard(struct process *p);		/* something came */

#endif
