/*
 * command - running a program as a task (FN_COMMAND): what rmap sends, what a worker does with it, what comes back.
 *
 * Function bytes: how to run each of a driver's commands, struct command_how.  Arguments: one command, struct
 * command_item.  Result: struct command_end.  All three are encoded values (wire/val.h); long strings lie out of
 * band.
 *
 * The program is executed directly, with stdin /dev/null or the item's block, in its own process group; stdout and
 * stderr go to files in memory, so that nobody has to pump pipes, and whoever still holds them keeps no one waiting.
 * Whatever it started ends with it.  Over its time: TERM to its group, KILL two seconds later; the same when the
 * worker gets TERM.
 */
#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "client/client.h"

struct task_in;

struct command_how {
	const char *cwd;
	const char *env;		/* NAME=VALUE, each ended by a NUL */
	size_t nenv;
	int mask;			/* umask */
	uint64_t nofile;		/* soft RLIMIT_NOFILE */
	uint64_t timeout;		/* ns; 0 none */
	const char *live;		/* name of the driver's command_live_listen, or NULL: output comes with the end */
};

struct command_item {
	uint64_t seq, slot;		/* ROTA_SEQ, ROTA_SLOT */
	unsigned tries;			/* that failed before: ROTA_ATTEMPT counts them too */
	const char *const *argv;	/* argc strings */
	unsigned argc;
	const void *in;			/* its stdin, or NULL: /dev/null */
	size_t nin;
};

struct command_end {
	int status;			/* of the program; 126, 127: it could not be run; 124: its time was over */
	int sig;			/* that killed it, or 0 */
	bool late;			/* its time was over */
	bool norun;			/* it could not be run; err says why */
	uint64_t start;			/* ns since 1970 */
	uint64_t ns;			/* run time */
	struct span out, err;		/* what it wrote */
};

int	command_put_how(struct buf *b, const struct command_how *h);		/* 0 or -ENOMEM */
/* b is emptied first; p points into b and at the item's block: both must last until client_submit returned */
int	command_put_item(struct buf *b, const struct command_item *i, struct payload *p, struct seg *seg);
int	command_get_end(struct command_end *e, const struct client *c, const struct value *v);	/* 0 or ERR_PROTO */

/*
 * Output as it comes: for each command whose command_how has this name two pipes arrive on a connection, in a message
 * of COMMAND_LIVE_HEAD bytes, the item's number in little endian, with two descriptors, the reading ends of its stdout
 * and stderr.  They end when the command and all that it started have ended.  The listener checks who connects.
 */
enum { COMMAND_LIVE_HEAD = 8 };
int	command_live_listen(const char *name);	/* a listening, non-blocking descriptor of an abstract socket, or -errno */

void	command_run(struct client *c, struct task_in *t);	/* worker: runs t to its end, serve_done was called */

#endif
