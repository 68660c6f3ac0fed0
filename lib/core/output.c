#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/err.h"
#include "base/hash.h"
#include "core/output.h"
#include "wire/le.h"

/* --- repeats ------------------------------------------------------------------------------------------------------ */

static void
tell(struct output_recent *r, struct buf *out)
{
	if (r->more)
		buf_printf(out, "%.*s %u| %.*s [%llu more%s]\n", (int)r->nname, r->name, (unsigned)r->pid, (int)r->n, r->text,
		    (unsigned long long)r->more, r->others ? ", of several workers" : "");
	r->more = 0;
	r->others = false;
}

static struct output_recent *
find(struct output *o, uint64_t hash)
{
	for (unsigned i = 0; i < o->n; i++)
		if (o->recent[i].hash == hash)
			return &o->recent[i];
	return NULL;
}

static struct output_recent *
place(struct output *o, struct buf *out)	/* for a new line: the one shown longest ago makes room */
{
	struct output_recent *r = o->recent;

	if (o->n < OUTPUT_RECENT)
		return &o->recent[o->n++];
	for (unsigned i = 1; i < o->n; i++)
		if (o->recent[i].shown < r->shown)
			r = &o->recent[i];
	tell(r, out);
	return r;
}

/* true: it was counted instead of shown */
static bool
repeated(struct output *o, struct output_from *f, uint64_t now, const char *name, size_t nname, const unsigned char *p, size_t n,
    struct buf *out)
{
	uint64_t hash = hash64(p, n) ^ hash_mix(hash64(name, nname)), last = f->last;
	struct output_recent *r;

	f->last = hash;
	if ((r = find(o, hash)) != NULL) {
		if (now - r->shown < OUTPUT_WINDOW && (r->pid != f->pid || last == hash)) {
			r->more++;
			r->others |= r->pid != f->pid;
			return true;
		}
		tell(r, out);
	} else {
		r = place(o, out);
		r->hash = hash;
		r->more = 0;
		r->others = false;
		r->n = (unsigned char)(n < OUTPUT_TEXT ? n : OUTPUT_TEXT);
		memcpy(r->text, p, r->n);
		r->nname = (unsigned char)nname;
		memcpy(r->name, name, nname);
	}
	r->shown = now;
	r->pid = f->pid;
	return false;
}

uint64_t
output_due(const struct output *o)
{
	uint64_t at = UINT64_MAX;

	for (unsigned i = 0; i < o->n; i++)
		if (o->recent[i].more && o->recent[i].shown + OUTPUT_WINDOW < at)
			at = o->recent[i].shown + OUTPUT_WINDOW;
	return at;
}

void
output_tick(struct output *o, uint64_t now, struct buf *out)
{
	for (unsigned i = 0; i < o->n; i++) {
		struct output_recent *r = &o->recent[i];

		if (r->more && (now == UINT64_MAX || now - r->shown >= OUTPUT_WINDOW)) {
			tell(r, out);
			r->shown = now == UINT64_MAX ? r->shown : now;	/* what goes on is counted on */
		}
	}
}

/* --- records --------------------------------------------------------------------------------------------------------- */

static int
record(struct buf *out, const char *name, size_t nname, uint32_t pid, bool again, const void *p, size_t n)
{
	unsigned char head[OUTPUT_RECORD] = { [2] = (unsigned char)nname, [3] = again };
	int e;

	le_put16(head, (uint16_t)n);
	le_put32(head + 4, pid);
	if ((e = buf_reserve(out, sizeof head + nname + n)) < 0)
		return e;
	buf_add(out, head, sizeof head);
	if (nname)
		buf_add(out, name, nname);
	if (n)
		buf_add(out, p, n);
	return 0;
}

int
output_pack_text(struct buf *out, const void *p, size_t n)
{
	return record(out, NULL, 0, 0, false, p, n);
}

static size_t
record_size(const unsigned char *p)
{
	return OUTPUT_RECORD + p[2] + le_get16(p);
}

size_t
output_records(const unsigned char *p, size_t n)
{
	size_t at = 0;

	while (n - at >= OUTPUT_RECORD && n - at >= record_size(p + at))
		at += record_size(p + at);
	return at;
}

static int
pack(struct output_from *f, const char *name, size_t nname, const unsigned char *p, size_t n, struct buf *out)
{
	uint64_t hash = hash64(p, n) ^ hash_mix(hash64(name, nname)), last = f->last;

	f->last = hash;
	return record(out, name, nname, f->pid, last == hash, p, n);
}

/* --- lines ----------------------------------------------------------------------------------------------------------- */

static int
show(struct output *o, struct output_from *f, uint64_t now, const char *name, const unsigned char *p, size_t n, struct buf *out)
{
	size_t nname = strnlen(name, OUTPUT_NAME);
	char head[OUTPUT_NAME + 16];
	int k = snprintf(head, sizeof head, "%.*s %u| ", (int)nname, name, (unsigned)f->pid);

	if (o->pack)
		return pack(f, name, nname, p, n, out);
	if (buf_reserve(out, n + OUTPUT_TEXT + 128) < 0)
		return -1;
	if (!o->all && n && repeated(o, f, now, name, nname, p, n, out))
		return 0;
	if (buf_add(out, head, (size_t)k) < 0 || (n && buf_add(out, p, n) < 0) || buf_add(out, "\n", 1) < 0)
		return -1;
	return 0;
}

size_t
output_take(struct output *o, struct output_from *f, uint64_t now, const struct output_mark *mark, unsigned nmark,
    uint64_t at, const unsigned char *p, size_t n, bool last, struct buf *out)
{
	size_t used = 0;
	unsigned m = 0;

	while (used < n) {
		size_t len = n - used, skip = 0;
		const unsigned char *nl;
		bool whole = last;

		while (m + 1 < nmark && mark[m + 1].at <= at + used)
			m++;
		if (m + 1 < nmark && mark[m + 1].at - (at + used) < len) {	/* another task goes on from there */
			len = (size_t)(mark[m + 1].at - (at + used));
			whole = true;
		}
		if ((nl = memchr(p + used, '\n', len)) != NULL) {
			len = (size_t)(nl - (p + used));
			skip = 1;
		} else if (len < OUTPUT_LINE && !whole) {
			break;
		}
		if (len > OUTPUT_LINE) {
			len = OUTPUT_LINE;
			skip = 0;
		}
		if (show(o, f, now, mark[m].name, p + used, len, out) < 0)
			break;
		used += len + skip;
	}
	return used;
}

int
output_unpack(struct output *o, uint64_t now, const unsigned char *p, size_t n, struct buf *out)
{
	for (size_t step; n; p += step, n -= step) {
		size_t nname, len;

		if (n < OUTPUT_RECORD || n < (step = record_size(p)) || (nname = p[2]) >= OUTPUT_NAME || (len = le_get16(p)) > 2 * OUTPUT_LINE)
			return ERR_PROTO;
		if (nname == 0) {
			if (buf_add(out, p + OUTPUT_RECORD, len) < 0)
				return -ENOMEM;
		} else {
			const unsigned char *line = p + OUTPUT_RECORD + nname;
			struct output_from f = { le_get32(p + 4), 0 };
			char name[OUTPUT_NAME] = "";

			memcpy(name, p + OUTPUT_RECORD, nname);
			for (char *q = name; *q; q++)
				if ((unsigned char)*q < ' ')
					*q = '?';
			if (p[3])
				f.last = hash64(line, len) ^ hash_mix(hash64(name, strlen(name)));
			if (show(o, &f, now, name, line, len, out) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

size_t
output_tail(const unsigned char *p, size_t n, char *text, size_t size)
{
	size_t from, k = 0;
	unsigned lines = 0;

	while (n && (p[n - 1] == '\n' || p[n - 1] == '\0'))
		n--;
	for (from = n; from && n - from < size - 1; from--)
		if (p[from - 1] == '\0' || (p[from - 1] == '\n' && ++lines == 3))
			break;
	for (; from < n && k + 1 < size; from++) {
		if (p[from] == '\n' && k + 4 < size) {
			memcpy(text + k, " / ", 3);
			k += 3;
		} else {
			text[k++] = p[from] < ' ' ? ' ' : (char)p[from];
		}
	}
	text[k] = '\0';
	return k;
}
