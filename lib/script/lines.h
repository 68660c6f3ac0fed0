/* lines - tasks that are no Lua functions called with values: commands (rmap) and blocks of lines (rmap -e). */
#ifndef SCRIPT_LINES_H
#define SCRIPT_LINES_H

struct script;
struct task_in;

void	lines_run(struct script *s, struct task_in *t);	/* runs t to its end: serve_done was called */

#endif
