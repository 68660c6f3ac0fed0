/* drain - a node takes nothing new, and ends once what runs there is over */
#include <stdio.h>
#include <string.h>
#include "base/die.h"
#include "base/num.h"
#include "rota.h"

enum { OPT_UNDO = 256 };

const struct opt drain_opts[] = {
	{ 'A', "address", "ADDR", "a node of which cluster" },
	{ OPT_UNDO, "undo", NULL, "take work again" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

static bool
is(const struct listing *l, const struct listing_cell *c, const char *word)
{
	return c->len == strlen(word) && memcmp(l->text.data + c->off, word, c->len) == 0;
}

/* the number of the one node that lives and has this name, or number */
static uint32_t
find(const struct listing *l, const char *word)
{
	uint32_t found = 0;
	unsigned number;

	if (num_uint(word, &number) < 0)
		number = 0;
	for (size_t i = 0; i < l->len; i++) {
		uint32_t at = (uint32_t)listing_at(l, i, "node")->u;

		if (is(l, listing_at(l, i, "state"), "dead") || !(at == number || is(l, listing_at(l, i, "name"), word)))
			continue;
		if (found)
			die(2, 0, "several nodes are called '%s': name one by its number, see rstat nodes -o node,name", word);
		found = at;
	}
	if (found == 0)
		die(1, 0, "no node '%s'; see rstat nodes", word);
	return found;
}

int
cmd_drain(int argc, char *argv[])
{
	struct opt_state o = { .opts = drain_opts, .help = rota_help, .verb = "drain" };
	struct client_opts co = { .name = "rota", .tool = true, .err = -1 };
	struct listing l = { 0 };
	const char *address = NULL;
	struct client *c = NULL;
	bool undo = false;
	char why[1024];
	int e;

	while ((e = opt_next(&o, argc, argv)) != -1)
		switch (e) {
		case 'A': address = o.arg; break;
		case OPT_UNDO: undo = true; break;
		}
	co.address = address;
	if ((e = client_open(&c, &co, why, sizeof why)) < 0 || (e = lists_add(lists_find("nodes"), &l, c, why, sizeof why)) < 0)
		die(125, 0, "%s", why);
	for (int i = o.index; i < argc; i++)
		find(&l, argv[i]);		/* all are there, before the first is touched */
	for (int i = o.index; e == 0 && (i < argc || i == o.index); i++)
		e = client_drain(c, i < argc ? find(&l, argv[i]) : 0, !undo, why, sizeof why);
	if (e < 0)
		die(125, 0, "%s", why);
	client_close(c);
	listing_free(&l);
	return 0;
}
