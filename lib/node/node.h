/*
 * node - the node daemon without its command line: processes, leases, workers, rings, the arena, kept objects and
 * actors of one machine.  One thread, one libev loop; at rest it makes no system call.
 *
 * An ephemeral node has the control store's decisions inside and ends a second after its last client; a lasting one
 * asks rgcs over a socket and ends when it is told to.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NODE_GCS "gcs.sock"		/* names in the user's directory, beside those of os/dir.h */
#define NODE_LOCK "lock"

struct node_heir_file {			/* with objects that were moved to the disk; or a channel's segment */
	uint64_t number;
	uint32_t job;			/* of a channel */
	int fd;
};

struct node_heir_files {
	struct node_heir_file *v;
	unsigned n;
};

struct node_heir {			/* what outlives a node daemon that dies: descriptors, -1: none */
	int listen, np, arena, journal, lock;	/* the socket, node page, arena, journal; a lasting node's lock */
	struct node_heir_files disk, chans;
	uint64_t last_chan;		/* the highest number that a channel has had */
};
#define NODE_HEIR_NONE { -1, -1, -1, -1, -1, { NULL, 0 }, { NULL, 0 }, 0 }

struct node_opts {
	const char *socket;		/* name in the user's directory */
	bool lasting;
	bool detached;			/* passed on to rgcs, if it is started */
	const char *join;		/* lasting: HOST[:PORT] of the cluster's control store; NULL: this machine's own */
	const char *key;		/* file of the cluster's keys, with join or listen */
	const char *listen;		/* lasting: HOST:PORT where other nodes connect to; NULL: nowhere */
	const char *name;		/* of the node; NULL: the host's */
	const char *const *labels;	/* "NAME=VALUE", NULL-ended, or NULL */
	bool again;			/* with join: it was here before and has been given up: tries until it is let in */
	pid_t own;			/* ephemeral: ends with this process; 0: with its last client */
	uint64_t cpus, memory;		/* thousandths, bytes; 0: what there is */
	int gpus;			/* how many; -1: what there is */
	const char *const *resources;	/* "NAME=N", NULL-ended, or NULL */
	unsigned threshold;		/* percent of memory from which on workers are stopped; 0: never */
	uint64_t interval;		/* ns between looks while it is near; 0: the default */
	uint64_t store;			/* bytes of the arena; 0: 30 % of memory */
	void (*log)(int e, const char *text);	/* what the operator should know; NULL: nobody wants to */
	/*
	 * Left by the daemon before this one, all whose other processes are dead: its arena is taken over, and its programs
	 * come back with REJOIN.  Taken by node_new, also when it fails.
	 */
	struct node_heir heir;
	int keeper;			/* a seqpacket socket that gets them (node_heir_recv), for the next one; taken; -1 */
};

struct node;

/*
 * why: one line for people on failure, without the program's name.  0 or a negative error; -EBUSY: one runs already; -EINTR: it
 * was told to end before it began; -ESTALE: an heir whose node was given up: to be begun anew, with again and no heir.
 */
int	node_new(struct node **n, const struct node_opts *o, char *why, size_t nwhy);
/* Serves until it is over: 0, or what ended it, -ESTALE as above.  ready, if not -1, gets a newline and is closed once clients can connect. */
int	node_run(struct node *n, int ready);
int	node_purge(int state);	/* removes the logs of the last lasting node from its state directory: 0 or -errno */
/* One message of the daemon: 0, ERR_CLOSED: there are no more, -errno.  h.listen is >= 0 once the daemon serves. */
int	node_heir_recv(int sock, struct node_heir *h);
void	node_heir_close(struct node_heir *h);
/* What a daemon with o that was killed has left in the user's directory, if nobody takes over: its name, logs and spill go. */
void	node_clear(struct node_opts *o);
void	node_sweep(void);	/* the same for each node of this user that was killed with its keeper, and its control store */
void	node_free(struct node *n);		/* ends workers and waits for them */

#endif
