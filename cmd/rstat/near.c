/*
 * near - which node to look at.  Without an address it is this user's lasting one; where there is none the private ones
 * are named, because nobody would guess their addresses.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/die.h"
#include "base/err.h"
#include "base/num.h"
#include "client/lists.h"
#include "os/dir.h"
#include "rstat.h"

enum { NAMED = 8 };			/* private nodes that are told */

struct found {
	struct buf text;		/* "4711 (rmap gzip, 12 s), …" */
	unsigned count;
	uint64_t first;			/* pid of the first */
};

static int
open_at(struct client **c, const char *address, const char *namespace, char *why, size_t n)
{
	struct client_opts o = { .address = address, .namespace = namespace, .name = "rstat", .tool = true, .err = -1 };

	return client_open(c, &o, why, n);
}

/* the programs that use the node at address; one without any is about to end */
static void
look(void *arg, const char *address)
{
	static const struct table_col drivers[] = { { "pid", TABLE_UINT }, { "name", TABLE_STRING }, { "age", TABLE_AGE }, { 0 } };
	struct found *f = arg;
	struct listing l;
	struct client *c;
	char why[256], age[16];

	if (open_at(&c, address, NULL, why, sizeof why) < 0)
		return;				/* stale, or it ended just now */
	if (listing_read(&l, c, "drivers", drivers, why, sizeof why) == 0)
		for (size_t i = 0; i < l.len; i++) {
			const struct listing_cell *v = &l.cell[i * l.ncol];

			if (f->count++ == 0)
				f->first = v[0].u;
			if (f->count <= NAMED)
				buf_printf(&f->text, "%s%llu (%.*s, %s)", f->count > 1 ? ", " : "", (unsigned long long)v[0].u,
				    (int)(v[1].len < 60 ? v[1].len : 60), (const char *)l.text.data + v[1].off,
				    num_fmt_age(age, (int64_t)v[2].u));
		}
	listing_free(&l);
	client_close(c);
}

struct client *
join(const char *address, const char *namespace)
{
	struct found f = { .count = 0 };
	struct client *c;
	char why[1024];
	bool named;
	int e;

	if (address == NULL)
		address = getenv("ROTA_ADDRESS");
	named = address && *address && strcmp(address, "private") != 0;		/* a new private node has nothing to show */
	if ((e = open_at(&c, named ? address : "local", namespace, why, sizeof why)) == 0)
		return c;
	if (named || e != ERR_NO_CLUSTER)
		die(125, 0, "%s", why);
	if (dir_nodes(look, &f) < 0)
		die(125, 0, "%s", dir_why());
	if (f.count == 0)
		die(125, 0, "no node is running; programs start a private one, 'rota up' a lasting one");
	if (f.count > NAMED)
		buf_printf(&f.text, ", and %u more", f.count - NAMED);
	die(125, 0, "no lasting node here; private ones: %.*s. Look with: rstat -A pid:%llu", (int)f.text.len,
	    (const char *)f.text.data, (unsigned long long)f.first);
}
