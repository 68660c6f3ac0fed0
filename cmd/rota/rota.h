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

void	prefix(char *path, size_t n);	/* the directory above that of this program */

/* ls.c: what nodes say of themselves, rows as rstat nodes has them */
/* appends the row of the node at address, whose client is closed or goes to *keep; ERR_NO_CLUSTER if none runs there */
int	ask(const char *address, struct listing *l, struct client **keep, char *why, size_t n);
void	ask_all(struct listing *l);		/* the nodes of this user on this machine */
int	cmd_ls(int argc, char *argv[]);

/* rota.c: options */
enum { OPT_STORE = 256, OPT_FORCE, OPT_PURGE, OPT_DRY, OPT_NAME, OPT_LOCAL, OPT_PRINT, OPT_ROTATE, OPT_WANT, OPT_GRACE };
extern const struct opt up_opts[], down_opts[], change_opts[], exec_opts[], key_opts[], scale_opts[];

/*
 * cluster.c: what concerns several machines, in Lua (lua/rota/up.lua).  Each gives the exit status; up, down and doctor -1 if their
 * arguments speak of this machine's node.
 */
int	cluster_up(int argc, char *argv[]);
int	cluster_down(int argc, char *argv[]);
int	cluster_doctor(int argc, char *argv[]);		/* -1: of this machine, as ls is without a name */
int	cluster_ls(const char *name, int argc, char *argv[]);	/* of that cluster, with these arguments */
int	cluster_verb(int argc, char *argv[]);			/* exec, add, rm, run, scale, key */
int	cluster_scaler(int argc, char *argv[]);			/* the autoscaler itself; no verb for users */
const char *cluster_named(int *argc, char *argv[]);	/* by -A, which is taken out, or by ROTA_ADDRESS; NULL */

int	cmd_follow(void);			/* follow.c: what rota scale asks on the head; no verb for users */
int	cmd_reach(int argc, char *argv[]);	/* reach.c: what rota up asks on a host; no verb for users */

/* drain.c */
extern const struct opt drain_opts[];
int	cmd_drain(int argc, char *argv[]);

/* doctor.c: what of this machine rota needs, a line each; 1 if something is not there */
extern const struct opt doctor_opts[];
int	cmd_doctor(int argc, char *argv[]);

/* env.c: variables for a shell, and the pages that speak of a word */
extern const struct opt env_opts[];
int	cmd_env(int argc, char *argv[]);
int	cmd_help(int argc, char *argv[]);

#endif
