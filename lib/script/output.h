/*
 * output - a worker's stdout and stderr: streams that note whose lines they write before they write them, and that
 * never fail.  What cannot be written to the log, for its disk is full, is counted there and lost.
 */
#ifndef SCRIPT_OUTPUT_H
#define SCRIPT_OUTPUT_H

#include <lua.h>
#include "client/client.h"

int	output_open(void);			/* takes the place of stdout and stderr; before Lua's libraries are opened */
void	output_programs(lua_State *L);		/* os.execute and io.popen note whose output follows */
void	output_attach(struct client *c);	/* from now on what is printed belongs to tasks */

#endif
