#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "base/json.h"
#include "base/near.h"
#include "base/num.h"
#include "base/table.h"

static void
keep(struct table *t, int e)		/* the first error wins; table_end returns it */
{
	if (e < 0 && !t->err)
		t->err = e;
}

void
table_init(struct table *t, const struct table_col *cols, FILE *f)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w;

	*t = (struct table){ .cols = cols, .f = f, .width = 80, .tty = isatty(fileno(f)) };
	while (t->ncol < TABLE_MAX && cols[t->ncol].name) {
		t->sel[t->ncol] = t->ncol;
		t->ncol++;
	}
	t->nsel = t->ncol;
	if (t->tty && (!columns || num_uint(columns, &t->width) < 0 || t->width == 0))
		t->width = ioctl(fileno(f), TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

int
table_select(struct table *t, const char *list, char *why, size_t n)
{
	const char *names[TABLE_MAX], *near;
	unsigned sel[TABLE_MAX], nsel = 0, i;
	char word[64];
	size_t len;

	for (i = 0; i < t->ncol; i++)
		names[i] = t->cols[i].name;
	if (strcmp(list, "help") == 0) {
		for (i = 0; i < t->ncol; i++)
			fprintf(t->f, "%s\n", names[i]);
		return fflush(t->f) || ferror(t->f) ? -EIO : 1;
	}
	for (;; list += len + 1) {
		len = strcspn(list, ",");
		snprintf(word, sizeof word, "%.*s", (int)(len < 60 ? len : 60), list);
		for (i = 0; i < t->ncol && strcmp(names[i], word) != 0; i++)
			;
		if (i == t->ncol) {
			near = near_word(word, names, t->ncol);
			snprintf(why, n, near ? "no column '%s'; did you mean '%s'?" : "no column '%s'; -o help lists them",
				word, near);
			return -EINVAL;
		}
		if (nsel == TABLE_MAX) {
			snprintf(why, n, "more than %d columns", TABLE_MAX);
			return -EINVAL;
		}
		sel[nsel++] = i;
		if (!list[len])
			break;
	}
	memcpy(t->sel, sel, sizeof sel);
	t->nsel = nsel;
	return 0;
}

static struct table_cell *
next(struct table *t)
{
	static struct table_cell spare;		/* a value too many goes nowhere */

	return t->nval < t->ncol ? &t->row[t->nval++] : &spare;
}

void
table_bytes(struct table *t, const void *p, size_t n)
{
	*next(t) = (struct table_cell){ .none = n == 0, .off = t->rowtext.len, .len = n };
	keep(t, buf_add(&t->rowtext, p, n));
}

void
table_str(struct table *t, const char *s)
{
	table_bytes(t, s, s ? strlen(s) : 0);
}

void
table_uint(struct table *t, uint64_t v)
{
	*next(t) = (struct table_cell){ .u = v, .f = (double)v };
}

void
table_float(struct table *t, double v)
{
	*next(t) = (struct table_cell){ .f = v, .u = v > 0 ? (uint64_t)v : 0 };
}

void
table_none(struct table *t)
{
	*next(t) = (struct table_cell){ .none = true };
}

static int
seconds(struct buf *b, uint64_t ns)		/* exactly, without trailing zeros */
{
	char s[40];
	int n = snprintf(s, sizeof s, "%llu.%09u", (unsigned long long)(ns / 1000000000), (unsigned)(ns % 1000000000));

	while (s[n - 1] == '0')
		n--;
	return buf_add(b, s, (size_t)(s[n - 1] == '.' ? n - 1 : n));
}

static int
moment(struct buf *b, uint64_t ns, bool utc)
{
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;
	char s[64];

	if (!(utc ? gmtime_r(&sec, &tm) : localtime_r(&sec, &tm)))
		return -EOVERFLOW;
	return buf_add(b, s, strftime(s, sizeof s, utc ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S", &tm));
}

/* Text for people and pipes: what would break a line or a column apart, or command a terminal, is replaced by '?'. */
static int
text(struct buf *b, const unsigned char *p, size_t n)
{
	size_t from = b->len, i;
	int e;

	if ((e = buf_add(b, p, n)) < 0)
		return e;
	for (i = from; i < b->len; i++) {
		if (b->data[i] < 0x20 || b->data[i] == 0x7f)
			b->data[i] = '?';
		else if (i > from && b->data[i - 1] == 0xc2 && b->data[i] >= 0x80 && b->data[i] < 0xa0)	/* U+0080 to U+009f */
			b->data[i - 1] = b->data[i] = '?';
	}
	return 0;
}

static int
cell(struct table *t, struct buf *b, unsigned i, bool human)
{
	const struct table_cell *c = &t->row[i];
	char s[16];

	if (c->none)
		return buf_add(b, "-", 1);
	switch (t->cols[i].kind) {
	case TABLE_STRING:
		return text(b, t->rowtext.data + c->off, c->len);
	case TABLE_UINT:
		return buf_printf(b, "%llu", (unsigned long long)c->u);
	case TABLE_BYTES:
		return human ? buf_printf(b, "%s", num_fmt_size(s, c->u)) : buf_printf(b, "%llu", (unsigned long long)c->u);
	case TABLE_AGE:
		return human ? buf_printf(b, "%s", num_fmt_age(s, (int64_t)c->u)) : seconds(b, c->u);
	case TABLE_TIME:
		return moment(b, c->u, !human);
	case TABLE_FLOAT:
		return human ? buf_printf(b, "%.4g", c->f) : json_num(b, c->f);
	case TABLE_BOOL:
		return json_bool(b, c->u);
	}
	return 0;
}

static int
json_cell(struct table *t, struct buf *b, unsigned i)
{
	const struct table_cell *c = &t->row[i];
	const char *name = t->cols[i].name;
	const unsigned char *p = t->rowtext.data + c->off;
	char extra[80];
	int e;

	if ((e = json_key(b, name)) < 0)
		return e;
	if (c->none)
		return json_null(b);
	switch (t->cols[i].kind) {
	case TABLE_STRING:
		if ((e = json_str(b, p, c->len)) < 0 || json_utf8(p, c->len))
			return e;
		snprintf(extra, sizeof extra, "%s_base64", name);
		return (e = json_key(b, extra)) < 0 ? e : json_base64(b, p, c->len);
	case TABLE_UINT:
	case TABLE_BYTES:
		return json_uint(b, c->u);
	case TABLE_AGE:
		return seconds(b, c->u);
	case TABLE_TIME:
		if ((e = buf_add(b, "\"", 1)) < 0 || (e = moment(b, c->u, true)) < 0)
			return e;
		return buf_add(b, "\"", 1);
	case TABLE_FLOAT:
		return json_num(b, c->f);
	case TABLE_BOOL:
		return json_bool(b, c->u);
	}
	return 0;
}

static void
write_line(struct table *t)
{
	keep(t, buf_add(&t->line, "\n", 1));
	if (!t->err && fwrite(t->line.data, 1, t->line.len, t->f) != t->line.len)
		keep(t, errno ? -errno : -EIO);
	t->line.len = 0;
}

static void
heading(struct table *t)
{
	unsigned i;

	for (i = 0; i < t->nsel; i++)
		keep(t, buf_printf(&t->line, "%s%s", i ? "\t" : "", t->cols[t->sel[i]].name));
	write_line(t);
}

static bool
aligned(const struct table *t)
{
	return t->tty && !t->json && !t->show;
}

void
table_row(struct table *t)
{
	unsigned i;

	while (t->nval < t->ncol)
		table_none(t);
	if (!t->begun && t->header && !t->json && !t->show && !t->tty)
		heading(t);
	t->begun = true;
	if (t->json)
		keep(t, buf_add(&t->line, "{", 1));
	for (i = 0; i < t->nsel; i++) {
		unsigned c = t->sel[i];

		if (t->json)
			keep(t, json_cell(t, &t->line, c));
		else if (aligned(t)) {			/* printed by table_end, once all widths are known */
			keep(t, cell(t, &t->cells, c, true));
			keep(t, buf_add(&t->cells, "", 1));
		} else {
			keep(t, t->show ? buf_printf(&t->line, "%s\t", t->cols[c].name) : i ? buf_add(&t->line, "\t", 1) : 0);
			keep(t, cell(t, &t->line, c, t->tty));
			if (t->show && i + 1 < t->nsel)
				keep(t, buf_add(&t->line, "\n", 1));
		}
	}
	if (t->json)
		keep(t, buf_add(&t->line, "}", 1));
	if (!aligned(t))
		write_line(t);
	t->nrow++;
	t->nval = 0;
	t->rowtext.len = 0;
}

static size_t
columns(const char *s)			/* places on the screen: a character each, whatever its bytes */
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static size_t
cut(const char *s, size_t max)		/* bytes of its first max characters */
{
	size_t i;

	for (i = 0; s[i]; i++)
		if ((s[i] & 0xc0) != 0x80 && max-- == 0)
			break;
	return i;
}

static void
align_line(struct table *t, const char *const *v, const size_t *width)
{
	size_t used = 0, i, n, room;

	for (i = 0; i < t->nsel && used < t->width; i++) {
		enum table_kind kind = t->cols[t->sel[i]].kind;
		bool right = kind != TABLE_STRING && kind != TABLE_TIME && kind != TABLE_BOOL, last = i + 1 == t->nsel;
		int pad;

		room = t->width - used;
		n = columns(v[i]);
		if (n > room)
			n = room;
		pad = (int)((width[i] < room ? width[i] : room) - n);
		keep(t, buf_printf(&t->line, "%*s%.*s%*s%s", right ? pad : 0, "", (int)cut(v[i], n), v[i],
			right || last ? 0 : pad, "", last || used + width[i] + 2 >= t->width ? "" : "  "));
		used += width[i] + 2;
	}
	write_line(t);
}

static void
align(struct table *t)
{
	const char *p = (const char *)t->cells.data, *v[TABLE_MAX];
	size_t width[TABLE_MAX], r, i, n;

	for (i = 0; i < t->nsel; i++)
		width[i] = strlen(t->cols[t->sel[i]].name);
	for (r = 0; r < t->nrow; r++)
		for (i = 0; i < t->nsel; i++, p += strlen(p) + 1)
			if ((n = columns(p)) > width[i])
				width[i] = n;
	for (i = 0; i < t->nsel; i++)
		v[i] = t->cols[t->sel[i]].name;
	align_line(t, v, width);
	for (p = (const char *)t->cells.data, r = 0; r < t->nrow; r++) {
		for (i = 0; i < t->nsel; i++, p += strlen(p) + 1)
			v[i] = p;
		align_line(t, v, width);
	}
}

int
table_end(struct table *t)
{
	int e;

	if (!t->begun && t->header && !t->json && !t->show && !t->tty)
		heading(t);
	if (aligned(t) && !t->err)
		align(t);
	if ((fflush(t->f) || ferror(t->f)) && !t->err)
		keep(t, errno ? -errno : -EIO);
	e = t->err;
	buf_release(&t->rowtext);
	buf_release(&t->cells);
	buf_release(&t->line);
	t->nrow = 0;
	t->begun = false;
	t->err = 0;
	return e;
}
