/*
 * rota - what the files of the program share: a function per verb, with the verb as argv[0]; the exit status.
 */
#ifndef ROTA_CMD_H
#define ROTA_CMD_H

#include <stddef.h>
#include "base/opt.h"
#include "client/lists.h"

extern const char rota_help[];		/* of -h */
void	beside(char *path, size_t n, const char *program);	/* where a program of the suite lies */

/* ls.c: what nodes say of themselves, rows as rstat nodes has them */
/* appends the row of the node at address, whose client is closed or goes to *keep; ERR_NO_CLUSTER if none runs there */
int	ask(const char *address, struct listing *l, struct client **keep, char *why, size_t n);
void	ask_all(struct listing *l);		/* the nodes of this user on this machine */
int	cmd_ls(int argc, char *argv[]);

/* doctor.c: what of this machine rota needs, a line each; 1 if something is not there */
extern const struct opt doctor_opts[];
int	cmd_doctor(int argc, char *argv[]);

/* env.c: variables for a shell, and the pages that speak of a word */
extern const struct opt env_opts[];
int	cmd_env(int argc, char *argv[]);
int	cmd_help(int argc, char *argv[]);

#endif
