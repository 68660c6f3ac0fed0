/*
 * robj - what the verbs share.
 */
#ifndef ROBJ_H
#define ROBJ_H

#include <stdbool.h>
#include "base/opt.h"
#include "base/table.h"
#include "client/client.h"
#include "client/watch.h"
#include "os/sig.h"

enum { OPT_TTL = 256, OPT_NAME, OPT_HEADER };

/* options of every verb */
#define COMMON_OPTS \
	{ 'A', "address", "ADDR", "cluster" }, \
	{ 'N', "namespace", "NAME", "namespace" }, \
	{ 'q', "quiet", NULL, "no notices" }, \
	{ 'v', "verbose", NULL, "say what is being done" }

/* and of those that list */
#define LIST_OPTS \
	{ 'J', "json", NULL, "JSON lines" }, \
	{ 'o', "columns", "COL,...", "columns" }, \
	{ 'w', "watch", NULL, "keep watching" }

struct common {
	const char *address, *namespace;
	bool quiet, verbose;
};

extern struct common common;
extern const char help[];

bool	common_opt(int c, const char *arg);		/* was it one of them? */
struct client *join(bool put);				/* or ends the program with 125 and a line */
void	kept_words(FILE *f);				/* for completion: ids and names of what the node keeps */

/* ls.c: what is listed, and how */
struct asked {
	const struct list_kind *kind;
	void (*read)(struct listing *l, void *asked);	/* as watch has it */
	struct client *client;
	char *filter[LISTS_FILTERS + 1];		/* NULL-ended */
	const char *columns, *name;			/* name: show's */
	bool json, header, reverse, watch, show;
};
bool	list_opt(struct asked *a, int c, const char *arg);	/* was it one of LIST_OPTS or COMMON_OPTS? */
int	table_open(struct table *t, const struct asked *a, FILE *f);	/* 0; 1: only the names of columns were asked for */
void	print_list(struct table *t, const struct asked *a);
_Noreturn void watch_list(struct asked *a);

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
