/*
 * labels - what nodes are called by (zone=eu, disk=ssd) and expressions that choose among them.  Pure.
 *
 * A node has labels: names, each with one value.  An expression is a list of terms that must all hold:
 *	gpu=a100		its label gpu is a100
 *	zone!=eu, zone=!eu	it is not eu; a node without a label zone will do
 *	disk=in(ssd,nvme)	it is one of these
 *	disk=!in(hdd,tape)	it is none of these, or is not there; disk!=in(hdd,tape) is the same
 * As text the terms are separated by commas, blanks around them do not matter; as a table of Lua the name is the key and
 * what follows the first '=' the value: {gpu="a100", zone="!eu"}.  Both become one parsed form, which has one text again:
 * terms in the order of their names, values in theirs, each once.  No terms: any node.
 *
 * Names are letters, digits and . _ - /, values these and : @ +, each of at most LABEL_MAX bytes.  Texts come from users
 * and from other nodes: every size is bounded, every fault is one line: "labels 'disk=in(': expected a value at 9, not the
 * end".  The functions that may fail return 0, -EINVAL with a line in why, or -ENOMEM, and leave what they were given as
 * it was.
 */
#ifndef CORE_LABELS_H
#define CORE_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/span.h"

#define LABEL_MAX 127u			/* bytes of a name or a value */
#define LABELS_MAX 64u			/* of a node; terms of an expression; values of in() */
#define LABELS_WHY 200u

struct label {
	char *name;			/* owned, its value lies behind it */
	const char *value;
};

struct labels {				/* ro; zeroed: none.  In the order of their names, each once */
	struct label *v;
	size_t n;
};

struct label_term {
	char *name;			/* owned; its values lie behind it */
	const char **value;		/* owned; in order, each once, at least one */
	size_t n;
	bool not;
};

struct label_expr {			/* ro; zeroed: any node.  Terms in the order of names, then =, then !=, then values */
	struct label_term *v;
	size_t n;
};

/* "zone=eu,disk=ssd" */
int	labels_parse(struct labels *l, struct span text, char why[LABELS_WHY]);
int	labels_put(struct labels *l, struct span name, struct span value, char why[LABELS_WHY]);	/* adds, or replaces */
const char *labels_get(const struct labels *l, const char *name);		/* NULL: it has none of this name */
int	labels_text(const struct labels *l, struct buf *out);			/* appends "disk=ssd,zone=eu"; 0 or -ENOMEM */
void	labels_release(struct labels *l);

int	label_expr_parse(struct label_expr *e, struct span text, char why[LABELS_WHY]);
/* one entry of a table: adds a term */
int	label_expr_add(struct label_expr *e, struct span name, struct span value, char why[LABELS_WHY]);
bool	label_expr_match(const struct label_expr *e, const struct labels *l);
int	label_expr_text(const struct label_expr *e, struct buf *out);		/* appends it; parsed again it is the same */
void	label_expr_release(struct label_expr *e);

/* alternatives, wanted in this order, as text with ; between them; an empty one is any node, an empty text none of them */
struct labels_any {			/* ro; zeroed: none */
	struct label_expr *v;
	size_t n;
};

int	labels_any_parse(struct labels_any *a, struct span text, char why[LABELS_WHY]);	/* labels_any.c */
void	labels_any_release(struct labels_any *a);

/*
 * Which of n expressions, wanted in this order, do the labels match?  Its index, or n for none.  n = 0: there is nothing to
 * match, 0.
 */
size_t	label_expr_first(const struct label_expr *e, size_t n, const struct labels *l);

#endif
