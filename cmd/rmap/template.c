/* template - words with placeholders become the arguments of a command. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "rmap.h"
#include "script/lines.h"

enum kind { LITERAL, WHOLE, NOEXT, BASE, DIR, BASE_NOEXT, SEQ, SLOT };

struct piece {
	enum kind kind;
	unsigned column;		/* 0: the item, else its column or the item with that place in the command */
	const char *p;			/* LITERAL */
	size_t n;
};

struct word {
	struct piece *piece;
	size_t n;
};

struct template {
	const struct options *o;
	bool shell;			/* text for sh: what is put in is quoted */
	struct word *word;
	size_t n;
	struct columns *columns;	/* of -C */
	bool cols;			/* {1} is a placeholder */
	bool fixed;
};

static void *
need(void *p)
{
	if (!p)
		die(125, -ENOMEM, "cannot prepare the command");
	return p;
}

static void
piece_add(struct word *w, struct piece p)
{
	w->piece = need(realloc(w->piece, (w->n + 1) * sizeof *w->piece));
	w->piece[w->n++] = p;
}

/* a placeholder at s: its length and what it is, or 0 */
static size_t
placeholder(const struct template *t, const char *s, struct piece *p)
{
	static const struct { const char *text; enum kind kind; } kinds[] = {
		{ "}", WHOLE }, { ".}", NOEXT }, { "/}", BASE }, { "//}", DIR }, { "/.}", BASE_NOEXT }, { "#}", SEQ }, { "%}", SLOT },
	};
	const struct options *o = t->o;
	const char *q = s + 1;
	unsigned column = 0;

	if (o->replace && !o->pipe && *o->replace && strncmp(s, o->replace, strlen(o->replace)) == 0) {
		*p = (struct piece){ .kind = WHOLE };
		return strlen(o->replace);
	}
	if (*s != '{')
		return 0;
	for (; t->cols && isdigit((unsigned char)*q) && column < 1000000; q++)
		column = column * 10 + (unsigned)(*q - '0');
	if (q > s + 1 && column == 0)
		return 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = strlen(kinds[i].text);

		if (strncmp(q, kinds[i].text, n) != 0)
			continue;
		if (o->pipe && kinds[i].kind < SEQ)
			return 0;
		if ((kinds[i].kind == WHOLE && column == 0 && o->replace) || (column && kinds[i].kind >= SEQ))
			return 0;
		*p = (struct piece){ .kind = kinds[i].kind, .column = column };
		return (size_t)(q - s) + n;
	}
	return 0;
}

static bool					/* has it a placeholder? */
parse(struct template *t, struct word *w, const char *s)
{
	const char *from = s;
	bool any = false;

	while (*s) {
		struct piece p;
		size_t n = placeholder(t, s, &p);

		if (n == 0) {
			s++;
			continue;
		}
		if (s > from)
			piece_add(w, (struct piece){ .kind = LITERAL, .p = from, .n = (size_t)(s - from) });
		piece_add(w, p);
		any = true;
		from = s += n;
	}
	if (s > from || w->n == 0)
		piece_add(w, (struct piece){ .kind = LITERAL, .p = from, .n = (size_t)(s - from) });
	return any;
}

static bool
takes_arguments(const char *s)			/* shell text that uses $1, "$@" and the like */
{
	for (; (s = strchr(s, '$')); s++)
		if (strchr("123456789@*", s[1] == '{' ? s[2] : s[1]) && (s[1] == '{' ? s[2] : s[1]))
			return true;
	return false;
}

struct template *
template_new(const struct options *o, char *const *words, int n, bool append)
{
	struct template *t = need(calloc(1, sizeof *t));
	bool any = false;
	char why[128];

	t->o = o;
	t->shell = o->shell && append;
	t->cols = o->columns || o->has_args || o->n > 1 || o->fill;
	if (o->columns && columns_new(&t->columns, o->columns, why, sizeof why) < 0)
		die(2, 0, "cannot use '%s' for -C: %s", o->columns, why);
	t->word = need(calloc((size_t)n + 1, sizeof *t->word));
	for (int i = 0; i < n; i++)
		any |= parse(t, &t->word[t->n++], words[i]);
	t->fixed = t->word[0].n == 1 && t->word[0].piece[0].kind == LITERAL;
	if (any || o->pipe || !append || (t->shell && takes_arguments(words[0])))
		return t;
	if (t->shell)
		piece_add(&t->word[0], (struct piece){ .kind = LITERAL, .p = " ", .n = 1 });
	piece_add(&t->word[t->shell ? 0 : t->n++], (struct piece){ .kind = WHOLE });
	return t;
}

bool
template_fixed(const struct template *t)
{
	return t->fixed;
}

/* --- filling in -------------------------------------------------------------------------------------------------- */

static void
put(struct buf *b, const char *p, size_t n)
{
	if (buf_add(b, p, n) < 0)
		die(125, -ENOMEM, "cannot build a command");
}

static void
put_quoted(struct buf *b, const char *p, size_t n)
{
	if (quote(b, p, n) < 0)
		die(125, -ENOMEM, "cannot build a command");
}

struct nth {
	unsigned left;
	const char *p;
	size_t n;
};

static void
pick(void *arg, const char *p, size_t n)
{
	struct nth *k = arg;

	if (--k->left == 0)
		k->p = p, k->n = n;
}

static void
put_part(const struct template *t, struct buf *b, enum kind kind, const char *p, size_t n)
{
	const char *slash = memrchr(p, '/', n), *base = slash ? slash + 1 : p, *end = p + n, *dot;

	if (kind == DIR && !slash) {
		p = ".";
		end = p + 1;
	} else if (kind == DIR) {
		end = slash == p ? p + 1 : slash;
	} else if (kind != WHOLE) {
		dot = memrchr(base, '.', (size_t)(end - base));
		if (kind != BASE && dot && dot > base)
			end = dot;
		if (kind != NOEXT)
			p = base;
	}
	(t->shell ? put_quoted : put)(b, p, (size_t)(end - p));
}

static void
put_item(const struct template *t, struct buf *b, const struct piece *p, const struct batch *items, size_t i)
{
	struct nth k = { p->column, "", 0 };
	size_t n = items->off[i + 1] - items->off[i] - 1;

	if (t->columns && p->column) {
		columns_cut(t->columns, batch_item(items, i), n, pick, &k);
		put_part(t, b, p->kind, k.p, k.n);
	} else {
		put_part(t, b, p->kind, batch_item(items, i), n);
	}
}

static void
put_piece(const struct template *t, struct buf *b, const struct piece *p, const struct batch *items, uint64_t seq,
    unsigned slot)
{
	if (p->kind == LITERAL) {
		put(b, p->p, p->n);
	} else if (p->kind == SEQ || p->kind == SLOT) {
		buf_printf(b, "%llu", p->kind == SEQ ? (unsigned long long)seq : slot);
	} else if (p->column && !t->columns) {
		if (p->column <= items->n)
			put_item(t, b, p, items, p->column - 1);
		else
			put_part(t, b, WHOLE, "", 0);
	} else {
		for (size_t i = 0; i < items->n; i++) {
			if (i)
				put(b, " ", 1);
			put_item(t, b, p, items, i);
		}
	}
}

unsigned
template_expand(const struct template *t, const struct batch *items, uint64_t seq, unsigned slot, struct buf *b)
{
	unsigned n = 0;

	b->len = 0;
	if (t->shell) {
		put(b, "/bin/sh\0-c", 11);
		n = 2;
	}
	for (size_t w = 0; w < t->n; w++) {
		const struct piece *p = t->word[w].piece;

		if (t->word[w].n == 1 && p->kind >= WHOLE && p->kind < SEQ && !p->column && !t->shell) {
			for (size_t i = 0; i < items->n; i++, n++) {	/* {} alone: each item is an argument */
				put_item(t, b, p, items, i);
				put(b, "", 1);
			}
			continue;
		}
		for (size_t i = 0; i < t->word[w].n; i++)
			put_piece(t, b, p + i, items, seq, slot);
		put(b, "", 1);
		n++;
	}
	if (t->shell) {
		put(b, "sh", 3);
		for (size_t i = 0; i < items->n; i++)
			put(b, batch_item(items, i), items->off[i + 1] - items->off[i]);
		n += 1 + (unsigned)items->n;
	}
	return n;
}

int
batch_add(struct batch *b, const struct item *i)
{
	if (b->n + 2 > b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 16, *off = realloc(b->off, cap * sizeof *off);

		if (!off)
			return -ENOMEM;
		b->off = off;
		b->cap = cap;
	}
	if (buf_add(&b->text, i->p, i->n) < 0 || buf_add(&b->text, "", 1) < 0)
		return -ENOMEM;
	b->nul |= memchr(i->p, '\0', i->n) != NULL;
	b->off[b->n++] = b->text.len - i->n - 1;
	b->off[b->n] = b->text.len;
	return 0;
}
