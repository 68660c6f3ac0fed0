/*
 * process - a program that a process started: what l_process.c (starting, bytes, lines, the end) and l_frames.c (frames on
 * descriptor 3) share.  What Lua sees of it is in l_process.c.
 */
#ifndef SCRIPT_PROCESS_H
#define SCRIPT_PROCESS_H

#include <poll.h>
#include "base/buf.h"
#include "os/giveway.h"
#include "script/script.h"

enum { PROCESS_PART = 64 << 10, PROCESS_FDS = 16 };

struct process {			/* a userdata; user value 1: what a call under way lends to the program */
	pid_t pid;			/* 0: reaped, or never started */
	int in, out, err, sock;		/* ours of its pipes, or of the socket; -1 */
	struct buf got;			/* read and not yet taken: lines and frames */
	struct buf unsent;		/* lines and frames that were given up half-way: what follows goes behind the rest */
	size_t sent;			/* of that */
	uint64_t owed;			/* lines: how many answers are to come; frames: the request whose answer is, or 0 */
	struct giveway way;		/* frames: it answers soon, mostly */
	int end;			/* its pidfd, of a program that is kept; -1 */
	uint64_t period, patience;	/* frames, ns: nothing came for so long: it is asked; until the answer.  0: never */
	uint64_t heard, asked;		/* when something came last, and when it was asked; 0: nothing is to come */
	bool silent;			/* it did not answer */
	bool buffers;			/* frames: it takes long values as descriptors */
	int store;			/* the object store, read-only, to be sent; -1: not yet opened */
	int lent;			/* a file in memory that is being sent; -1 */
	int fd[PROCESS_FDS];		/* came and belong to frames in got */
	unsigned nfd;
	size_t taken;			/* of got and of fd: the frame that recv gave last, to be dropped */
	unsigned taken_fd;
};

struct process *process_check(lua_State *L);		/* argument 1 */
void	process_shut(int *fd);
/* raises text that begins with no place: it is the program's, or about it */
int	process_fail(lua_State *L, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void	process_interrupted(lua_State *L);	/* after EINTR: raises if the task was cancelled, or by Ctrl-C in a driver */
/* one wait: is one ready?  not when it is till (ns, UINT64_MAX: no limit); raises when interrupted for a reason */
bool	process_await(lua_State *L, struct pollfd *fd, unsigned n, uint64_t till);

void	frames_methods(lua_State *L);		/* adds call, cancel, recv, beat and silent to the table on top */

#endif
