/* items - splitting input: an item is every byte up to its delimiter, nothing more and nothing less. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/die.h"
#include "rmap.h"

/* the words behind the command, if all are files: they were meant as items */
static bool
files_of(const struct options *o, char *names, size_t n)
{
	size_t at = 0;

	for (int i = 1; i < o->argc; i++) {
		if (access(o->argv[i], F_OK) < 0)
			return false;
		at += (size_t)snprintf(names + at, n - at, "%s%s", i > 1 ? " " : "", o->argv[i]);
		if (at >= n) {
			strcpy(names, "FILE ...");
			return true;
		}
	}
	return o->argc > 1;
}

static void
terminal_hint(const struct options *o)
{
	char names[80];

	if (o->quiet)
		return;
	if (o->lua_name || o->pipe || o->argc == 0)
		fprintf(stderr, "%s: reading lines from the terminal; end with Ctrl-D\n", progname);
	else
		fprintf(stderr, "%s: reading items from the terminal, one a line; end with Ctrl-D (or: %s %.40s ::: %s)\n",
		    progname, progname, o->argv[0], files_of(o, names, sizeof names) ? names : "a b c");
}

int
items_open(struct items *s, const struct options *o, void (*wake)(void *), void *arg)
{
	int fd = STDIN_FILENO;

	*s = (struct items){ .o = o, .header_due = o->header };
	if (o->has_args)
		return 0;
	if (o->file && strcmp(o->file, "-") != 0 && (fd = open(o->file, O_RDONLY | O_CLOEXEC)) < 0)
		return -errno;
	if (fd == STDIN_FILENO && isatty(fd))
		terminal_hint(o);
	return (s->in = input_open(fd, wake, arg)) ? 0 : -ENOMEM;
}

/* more bytes behind s->pos: 1; 0 at the end; negative */
static int
more(struct items *s)
{
	int n;

	if (s->end)
		return 0;
	if (s->pos) {
		buf_drop(&s->buf, s->pos);
		s->pos = 0;
	}
	if ((n = input_fill(s->in, &s->buf)) < 0)
		return n;
	s->end = n == 0;
	return n > 0;
}

static int
next_line(struct items *s, struct item *i)
{
	for (;;) {
		unsigned char *p = s->buf.data + s->pos, *e;
		size_t n = s->buf.len - s->pos;
		int k;

		if (n > s->seen && (e = memchr(p + s->seen, s->o->delim, n - s->seen))) {
			*i = (struct item){ (char *)p, (size_t)(e - p) };
			s->pos += i->n + 1;
			s->seen = 0;
			return 1;
		}
		s->seen = n;
		if ((k = more(s)) < 0)
			return k;
		if (k == 0 && n == 0)
			return 0;
		if (k == 0) {			/* the last one without its delimiter */
			*i = (struct item){ (char *)s->buf.data + s->pos, n };
			s->pos += n;
			s->seen = 0;
			return 1;
		}
	}
}

int
items_next(struct items *s, struct item *i)
{
	int k;

	if (!s->in) {
		if (s->at == s->o->nargs)
			return 0;
		*i = (struct item){ s->o->args[s->at], strlen(s->o->args[s->at]) };
		s->at++;
		s->number++;
		return 1;
	}
	if (s->header_due) {
		if ((k = next_line(s, i)) != 1)
			return k;
		s->header_due = false;
		s->head.len = 0;
		buf_add(&s->head, i->p, i->n);
		buf_add(&s->head, &(char){ (char)s->o->delim }, 1);
	}
	if ((k = next_line(s, i)) == 1)
		s->number++;
	return k;
}

void
items_unget(struct items *s)
{
	/* the last item still lies before pos: nothing was read since */
	if (!s->in) {
		s->at--;
	} else {
		size_t n = s->pos;
		unsigned char *p = s->buf.data;

		if (n && p[n - 1] == s->o->delim)
			n--;
		while (n && p[n - 1] != s->o->delim)
			n--;
		s->pos = n;
	}
	s->number--;
}

/* --- blocks ------------------------------------------------------------------------------------------------------ */

static uint64_t
count(const unsigned char *p, size_t n, int delim)
{
	uint64_t k = 0;

	while (n) {			/* in strides whose byte-wise sums cannot overflow: the compiler makes vectors of it */
		size_t m = n < 4096 ? n : 4096;
		uint32_t part = 0;

		for (size_t i = 0; i < m; i++)
			part += p[i] == (unsigned char)delim;
		k += part;
		p += m;
		n -= m;
	}
	return k;
}

/* the end of the last whole record within p[0..n), or NULL; --recend's string, or the delimiter */
static const unsigned char *
last_end(const struct options *o, const unsigned char *p, size_t n)
{
	size_t k = o->recend ? strlen(o->recend) : 0;
	const unsigned char *q;

	if (!k)
		return (q = memrchr(p, o->delim, n)) ? q + 1 : NULL;
	for (q = p + n; q >= p + k; q--)
		if (memcmp(q - k, o->recend, k) == 0)
			return q;
	return NULL;
}

static const unsigned char *
first_end(const struct options *o, const unsigned char *p, size_t n)
{
	size_t k = o->recend ? strlen(o->recend) : 0;
	const unsigned char *q = k ? memmem(p, n, o->recend, k) : memchr(p, o->delim, n);

	return q ? q + (k ? k : 1) : NULL;
}

/* where a block of what is there would end: NULL, more is needed for one */
static const unsigned char *
block_end(struct items *s, size_t max, uint64_t limit, bool hungry)
{
	const struct options *o = s->o;
	const unsigned char *p = s->buf.data + s->pos, *q = p;
	size_t n = s->buf.len - s->pos;

	if (n == 0)
		return NULL;
	if (limit) {
		for (uint64_t k = 0; k < limit && q; k++)
			if (!(q = first_end(o, q, n - (size_t)(q - p))) && (s->end || (hungry && k > 0)))
				return s->end ? p + n : last_end(o, p, n);
		return q;
	}
	if (n >= max)
		return (q = last_end(o, p, max)) ? q : (q = first_end(o, p, n)) ? q : s->end ? p + n : NULL;
	if (s->end)
		return p + n;
	return hungry ? last_end(o, p, n) : NULL;
}

int
items_block(struct items *s, size_t max, uint64_t limit, bool hungry, struct item *block, uint64_t *n)
{
	const unsigned char *p, *q;
	struct item head;
	int k;

	if (!s->in) {				/* arguments as lines, ended by NULs */
		if (s->at == s->o->nargs)
			return 0;
		s->buf.len = 0;
		for (*n = 0; s->at < s->o->nargs && s->buf.len < max && (!limit || *n < limit); s->at++, ++*n)
			if (buf_add(&s->buf, s->o->args[s->at], strlen(s->o->args[s->at]) + 1) < 0)
				return -ENOMEM;
		*block = (struct item){ (char *)s->buf.data, s->buf.len };
		s->number += *n;
		return 1;
	}
	if (s->header_due) {
		if ((k = next_line(s, &head)) != 1)
			return k;
		s->header_due = false;
		buf_add(&s->head, head.p, head.n);
		buf_add(&s->head, &(char){ (char)s->o->delim }, 1);
	}
	for (;;) {
		while (!s->end && s->buf.len - s->pos < max && (k = more(s)) != 0)
			if (k < 0) {
				if (k != -EAGAIN)
					return k;
				break;
			}
		p = s->buf.data + s->pos;
		if (s->end && s->pos == s->buf.len)
			return 0;
		if ((q = block_end(s, max, limit, hungry)))
			break;
		if (s->end)
			q = s->buf.data + s->buf.len;
		else if ((k = more(s)) < 0)		/* one item longer than a block, or not enough yet */
			return k;
	}
	*block = (struct item){ (char *)p, (size_t)(q - p) };
	s->pos += block->n;
	*n = count(p, block->n, s->o->delim);
	if (block->n && p[block->n - 1] != s->o->delim)
		++*n;
	s->number += *n;
	return 1;
}
