/*
 * follow - private to rota scale, on the head: what all nodes say, twice a second, until stdin ends.  A line for each node, the
 * columns of rstat nodes that are named below, and a line with a dot, or two once they have heard what follows.  Lines on stdin are for the nodes:
 *	types N*NAME=AMOUNT,... ...	nodes that could come
 *	drains NUMBER ...		nodes that are to take nothing new
 * What they said holds until we end.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "client/view.h"
#include "rota.h"

#define COLUMNS "node,state,cpus_free,gpus_free,memory_free,resources_free,leases,drivers,arena_used,kept,labels,wanted"

enum { EVERY_MS = 500, LINE = 4096 };

struct said {
	char types[LINE], drains[LINE];
	struct buf in;
	bool news;
};

static void
heed(struct said *s, const char *line)
{
	if (strncmp(line, "types ", 6) == 0)
		snprintf(s->types, sizeof s->types, "%s", line + 6);
	else if (strncmp(line, "drains ", 7) == 0)
		snprintf(s->drains, sizeof s->drains, "%s", line + 7);
	s->news = true;
}

static bool
take(struct said *s)			/* false: stdin is at its end */
{
	char room[LINE];
	ssize_t n = read(0, room, sizeof room);
	char *nl;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	if (buf_add(&s->in, room, (size_t)n) < 0)
		die(125, -ENOMEM, "cannot read");
	while (s->in.len && (nl = memchr(s->in.data, '\n', s->in.len)) != NULL) {
		*nl = '\0';
		heed(s, (char *)s->in.data);
		buf_drop(&s->in, (size_t)(nl + 1 - (char *)s->in.data));
	}
	return s->in.len <= 2 * LINE;
}

static void
show(struct client *c, bool scaled)
{
	struct view v = { .kind = lists_find("nodes"), .columns = COLUMNS, .client = c };
	struct table t;
	char why[512];

	if (view_begin(&v, &t, stdout, why, sizeof why) != 0 || view_print(&v, &t, why, sizeof why) < 0)
		die(125, 0, "%s", why);
	table_end(&t);
	if (puts(scaled ? ".." : ".") == EOF || fflush(stdout))
		die(125, -errno, "cannot write to stdout");
}

int
cmd_follow(void)
{
	static struct said s;
	struct client_opts o = { .address = "local", .name = "rota", .tool = true, .err = -1 };
	struct client *c;
	char why[1024];
	uint64_t next = clock_ns(), now;
	bool scaled = false;
	int e = client_open(&c, &o, why, sizeof why);

	if (e < 0)
		die(125, 0, "%s", why);
	for (;;) {
		struct pollfd p = { .fd = 0, .events = POLLIN };

		if ((now = clock_ns()) >= next) {
			show(c, scaled);
			next = now + EVERY_MS * UINT64_C(1000000);
		}
		if (poll(&p, 1, (int)((next - now) / 1000000) + 1) > 0 && !take(&s))
			break;
		if (s.news && client_scale(c, s.types, s.drains) < 0)
			die(125, 0, "the node ended");
		if (s.news && !scaled) {
			scaled = true;
			next = now;		/* what is shown next the node says after it has heard that */
		}
		s.news = false;
	}
	client_close(c);
	return 0;
}
