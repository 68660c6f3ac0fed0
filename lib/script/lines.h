/*
 * lines - tasks that are no Lua functions called with values: commands (rmap) and blocks of lines (rmap -e).
 *
 * A task of kind FN_LINES calls a Lua function for each line of a block and gathers what it returns as text:
 * nothing for nil, a line otherwise, several values with tabs between them, tables as JSON, booleans as words,
 * numbers as tostring writes them.  A line that fails is counted and told; the rest goes on.
 *
 * Function bytes, struct lines_how, and result, struct lines_end, are encoded values; arguments are the number of
 * the first line, the byte that ends lines, and the block.
 */
#ifndef SCRIPT_LINES_H
#define SCRIPT_LINES_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "client/client.h"

struct script;
struct task_in;

struct lines_how {
	struct span text;		/* Lua */
	const char *name;		/* as errors show it: "-e", or a file's name */
	bool file;			/* text is a file's: a chunk that returns the function is fine too */
	const char *columns;		/* regular expression between the columns of f, or NULL */
	const char *const *require;	/* modules, NULL-ended, or NULL */
	const char *path, *cpath;	/* package.path and package.cpath of the submitter */
};

struct lines_end {
	uint64_t lines, failed, first;	/* first: number of the first line that failed, 0 none */
	struct span errors;		/* "line 17: boom (-e:1)\n" each */
	struct span out;
};

/*
 * Pushes the function that text stands for: "function (line, n) … end", an expression of line, n and f, or statements
 * (in a file: a chunk that returns the function).  LUA_OK, or another status with the message pushed.
 */
int	lines_load(lua_State *L, const char *text, size_t n, const char *name, bool file);

int	lines_require(lua_State *L, const char *name, size_t n);	/* "a.b" becomes the global b; as lines_load */

int	lines_put_how(struct buf *b, const struct lines_how *h);	/* 0 or -ENOMEM */
/* b is emptied; block of n bytes: both must last until client_submit returned */
int	lines_put_block(struct buf *b, uint64_t first, int delim, const void *block, size_t n, struct payload *p,
	    struct seg *seg);
int	lines_get_end(struct lines_end *e, const struct client *c, const struct value *v);	/* 0 or ERR_PROTO */

void	lines_run(struct script *s, struct task_in *t);	/* worker: runs t to its end: serve_done was called */

/* appends value idx as text (numbers exactly as tostring); raises for what has no text */
void	lines_text(lua_State *L, int idx, struct buf *b);

struct columns;			/* how a line is cut into columns */
int	columns_new(struct columns **c, const char *regex, char *why, size_t n);	/* 0, -EINVAL with why, -ENOMEM */
void	columns_free(struct columns *c);
/* calls col(arg, p, n) for each column of the line */
void	columns_cut(const struct columns *c, const char *line, size_t n, void (*col)(void *, const char *, size_t), void *arg);

#endif
