/*
 * robj - what the verbs share.
 */
#ifndef ROBJ_H
#define ROBJ_H

#include <stdbool.h>
#include "base/opt.h"
#include "client/client.h"
#include "client/view.h"

enum { OPT_TTL = 256, OPT_NAME };

/* options of every verb */
#define COMMON_OPTS \
	{ 'A', "address", "ADDR", "cluster" }, \
	{ 'N', "namespace", "NAME", "namespace" }, \
	{ 'q', "quiet", NULL, "no notices" }, \
	{ 'v', "verbose", NULL, "say what is being done" }

struct common {
	const char *address, *namespace;
	bool quiet, verbose;
};

extern struct common common;
extern const char help[];

bool	common_opt(int c, const char *arg);		/* was it one of them? */
struct client *join(bool put);				/* or ends the program with 125 and a line */
void	kept_words(FILE *f);				/* for completion: ids and names of what the node keeps */

void	show_list(const struct view *v, struct table *t);	/* prints or watches; ends the program if that fails or at a signal */

/* the ids on the command line; if there are none, the lines of stdin */
struct ids {
	char **argv, *line;
	size_t cap;
	bool in;
};
void	ids_init(struct ids *i, int argc, char *argv[]);
const char *ids_next(struct ids *i);			/* valid until the next call; NULL: no more */

/* the bytes of a value that is one string or buffer: false if it is something else */
bool	bytes_of(struct client *cl, const struct value *v, const unsigned char **p, uint64_t *n);

/* a verb with the options of all only: one for each id, after common_opt and join; the exit status */
int	each_id(int argc, char *argv[], int (*one)(struct client *cl, const char *name));

/* the verbs: argv[0] is the verb; the exit status */
int	cmd_put(int argc, char *argv[]);
int	cmd_get(int argc, char *argv[]);		/* get and cat */
int	cmd_exec(int argc, char *argv[]);
int	cmd_ls(int argc, char *argv[]);
int	cmd_show(int argc, char *argv[]);
int	cmd_wait(int argc, char *argv[]);
int	cmd_du(int argc, char *argv[]);
int	cmd_rm(int argc, char *argv[]);

#endif
