/* where_why.c - a line that says why no node can ever run something, with what was looked at. */
#include <stdio.h>
#include <string.h>
#include "core/where_inner.h"

static const char *
amount(const struct where *w, unsigned r, int64_t v, char text[96])
{
	static const char *const word[] = { "cpus", "gpus" };

	if (r == RES_MEM)
		snprintf(text, 96, "%.1fG memory", (double)v / (1 << 30));
	else if (r < RES_MEM)
		snprintf(text, 96, "%g %s", (double)v / 1000, word[r]);
	else
		snprintf(text, 96, "%g %s", (double)v / 1000, w->name && w->name[r][0] ? w->name[r] : "of a resource");
	return text;
}

/* "4", "15.5G" */
static const char *
figure(unsigned r, int64_t v, char text[32])
{
	snprintf(text, 32, r == RES_MEM ? "%.1fG" : "%g", (double)v / (r == RES_MEM ? 1 << 30 : 1000));
	return text;
}

struct sum {				/* of the nodes that count */
	size_t n, labelled, draining;	/* there and not draining; of them with the labels; draining that could do it */
	struct res most;		/* of those with the labels */
};

static struct sum
look_at_all(const struct where *w, const struct where_kind *k)
{
	struct sum s = { 0 };

	for (size_t i = 0; i < w->nslot; i++) {
		const struct where_node *n = w->slot[i];
		bool labelled;

		if (!n->there || (k->elsewhere && n->number == w->local && !n->draining))
			continue;
		labelled = k->nlabels == 0 || label_expr_first(k->labels, k->nlabels, &n->labels) < k->nlabels;
		if (n->draining) {
			s.draining += labelled && where_within(&k->need, &n->total);
			continue;
		}
		s.n++;
		if (!labelled)
			continue;
		s.labelled++;
		for (unsigned r = 0; r < RES_MAX; r++)
			if (n->total.v[r] > s.most.v[r])
				s.most.v[r] = n->total.v[r];
	}
	return s;
}

static void
labels_of(const struct where_kind *k, char text[64])
{
	struct buf b = BUF_INIT;
	bool cut;

	(void)(label_expr_text(&k->labels[0], &b) < 0 || (k->nlabels > 1 && buf_printf(&b, " or the like") < 0));
	cut = b.len > 63;
	snprintf(text, 64, "%.*s%s", (int)(cut ? 61 : b.len), b.len ? (char *)b.data : "", cut ? ".." : "");
	buf_release(&b);
}

static void
of_the_node(const struct where *w, const struct where_kind *k, char text[WHERE_WHY])
{
	const struct where_node *n = where_get(w, k->node);
	char need[96], has[32], labels[64];

	if (n == NULL) {
		snprintf(text, WHERE_WHY, "node %u is not there", k->node);
		return;
	}
	if (n->draining) {
		snprintf(text, WHERE_WHY, "node %u is draining: it takes nothing new", k->node);
		return;
	}
	for (unsigned r = 0; r < RES_MAX; r++)
		if (k->need.v[r] > n->total.v[r]) {
			snprintf(text, WHERE_WHY, "needs %s; node %u has %s", amount(w, r, k->need.v[r], need), k->node,
			    figure(r, n->total.v[r], has));
			return;
		}
	if (k->elsewhere && n->number == w->local)
		snprintf(text, WHERE_WHY, "node %u is this one, and another one is asked for", k->node);
	else if (k->nlabels) {
		labels_of(k, labels);
		snprintf(text, WHERE_WHY, "node %u has not the labels %s", k->node, labels);
	}
}

/* "12 nodes", "the one node", "2 nodes with gpu=a100" */
static void
nodes_of(const struct where_kind *k, size_t n, char text[128])
{
	char labels[64] = "";

	if (k->nlabels)
		labels_of(k, labels);
	if (n == 1)
		snprintf(text, 128, "the one %snode%s%s", k->elsewhere ? "other " : "", labels[0] ? " with " : "", labels);
	else
		snprintf(text, 128, "%zu %snodes%s%s", n, k->elsewhere ? "other " : "", labels[0] ? " with " : "", labels);
}

static void
of_all(const struct where *w, const struct where_kind *k, const struct sum *s, char text[WHERE_WHY])
{
	char need[96], has[32], nodes[128];

	nodes_of(k, s->labelled, nodes);
	for (unsigned r = 0; r < RES_MAX; r++)
		if (k->need.v[r] > s->most.v[r]) {
			snprintf(text, WHERE_WHY, s->labelled == 1 ? "needs %s; %s has %s" : "needs %s; the largest of %s has %s",
			    amount(w, r, k->need.v[r], need), nodes, figure(r, s->most.v[r], has));
			return;
		}
	snprintf(text, WHERE_WHY, "needs");
	for (unsigned r = 0, any = 0; r < RES_MAX; r++)
		if (k->need.v[r] > 0) {
			size_t n = strlen(text);

			snprintf(text + n, WHERE_WHY - n, "%s %s", any++ ? "," : "", amount(w, r, k->need.v[r], need));
		}
	snprintf(text + strlen(text), WHERE_WHY - strlen(text), "; none of %s has all of it", nodes);
}

void
where_why(const struct where *w, const struct where_kind *k, char text[WHERE_WHY])
{
	struct sum s;
	char labels[64], need[96];
	size_t n;

	text[0] = '\0';
	if (!gpus_shape(k->need.v[RES_GPU])) {
		snprintf(text, WHERE_WHY, "needs %s: a part of one, or whole ones", amount(w, RES_GPU, k->need.v[RES_GPU], need));
		return;
	}
	if (k->strategy == WHERE_NODE && !k->soft) {
		of_the_node(w, k, text);
		return;
	}
	if (k->namong) {
		snprintf(text, WHERE_WHY, "no node that has a part of its placement group %s",
		    k->elsewhere ? "but this one can run it" : "is there and can run it");
		return;
	}
	s = look_at_all(w, k);
	if (s.n == 0)
		snprintf(text, WHERE_WHY, "there is no %snode", k->elsewhere ? "other " : "");
	else if (s.labelled == 0) {
		labels_of(k, labels);
		if (s.n == 1)
			snprintf(text, WHERE_WHY, "the one %snode has not the labels %s", k->elsewhere ? "other " : "", labels);
		else
			snprintf(text, WHERE_WHY, "none of the %zu %snodes has the labels %s", s.n, k->elsewhere ? "other " : "", labels);
	} else
		of_all(w, k, &s, text);
	n = strlen(text);
	if (s.draining && n + 40 < WHERE_WHY)
		snprintf(text + n, WHERE_WHY - n, "; %zu that could %s draining", s.draining, s.draining == 1 ? "is" : "are");
}
