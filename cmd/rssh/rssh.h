/* rssh - private to rota up: what its files share.  The way to a host is a struct way, found by ssh -G, so that ~/.ssh/config counts. */
#ifndef RSSH_H
#define RSSH_H

#include <stdbool.h>
#include <stddef.h>

enum { WAY_FILES = 16 };

struct way {
	char host[256], alias[256], user[64], jump[512], agent[256];	/* alias: the name in known_hosts, "": host's */
	int port, timeout;				/* seconds */
	char *keys[WAY_FILES], *known[WAY_FILES];	/* names of files */
	unsigned nkeys, nknown;
	bool only_keys;			/* no other identities of the agent */
	const char *beyond;		/* why this is for the ssh program; NULL */
};

/* argv: the arguments of ssh up to and with the host.  0, or -1: there is no ssh program, w has what can be said without. */
int	way_find(struct way *w, char *const argv[], const char *name, const char *user, int port, const char *key);

/* A connection to it, perhaps by way of others: a descriptor; -1 and why. */
int	way_connect(const struct way *w, const char *self, char *why, size_t n);

/*
 * Runs command there, or passes bytes to and from the address forward ("host:port"), with our stdin, stdout and stderr.  The
 * status of the command; -1 and why if it was not begun: nothing was read of stdin then.
 */
int	session_run(const struct way *w, int fd, const char *command, const char *forward, char *why, size_t n);

#endif
