/* where_find.c - the node for one more of a kind. */
#include <stdio.h>
#include "core/where_inner.h"

static uint64_t
least(uint64_t most, int64_t n)
{
	return n < 0 ? 0 : (uint64_t)n < most ? (uint64_t)n : most;
}

/* so many fit there; above the half of it by steps, so that the next ones go where it is then emptiest */
static uint64_t
room_for(const struct where_kind *k, const struct where_node *n)
{
	struct res room = where_room(n);
	uint64_t fit = UINT64_MAX, part = UINT64_MAX;
	bool half = k->strategy != WHERE_SPREAD && where_busy(n) < WHERE_HALF;

	for (unsigned r = 0; r < RES_MAX; r++) {
		int64_t need = k->need.v[r], to_half = n->total.v[r] / 2 - (n->total.v[r] - room.v[r]);

		if (need <= 0)
			continue;
		fit = least(fit, room.v[r] / need);
		if (half && r < RES_CUSTOM && to_half > 0)
			part = least(part, (to_half + need - 1) / need);
	}
	if (fit == UINT64_MAX)			/* it needs nothing: some at a time */
		return 16;
	if (k->strategy == WHERE_NODE && k->node == n->number)
		part = fit;
	else if (k->strategy == WHERE_SPREAD)
		part = 1;
	else if (!half)
		part = (fit + 7) / 8;
	return part < fit ? part : fit > 0 ? fit : 1;
}

static enum where_answer
at(const struct where_kind *k, const struct where_node *n, struct where_found *f)
{
	f->node = n->number;
	f->room = room_for(k, n);
	return WHERE_AT;
}

static const struct seat *
seat_of(const struct where *w, const struct where_kind *k, uint32_t number, const struct where_node **n)
{
	*n = where_get(w, number);
	return *n && k->seat[(*n)->slot].at ? &k->seat[(*n)->slot] : NULL;
}

static uint64_t
lie_at(const struct where_bytes *bytes, size_t n, uint32_t node)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i].node == node)
			return bytes[i].bytes;
	return 0;
}

/* the node with room that has most of the bytes, if it has so many more than best that it is worth while; or best */
static const struct where_node *
with_bytes(struct where *w, const struct where_kind *k, const struct where_node *best, const struct where_bytes *bytes, size_t nbytes)
{
	uint64_t most = lie_at(bytes, nbytes, best->number) + WHERE_LIGHT;
	const struct where_node *n;
	const struct seat *s;

	for (size_t i = 0; i < nbytes; i++, w->looked++)
		if (bytes[i].bytes >= most && (s = seat_of(w, k, bytes[i].node, &n)) != NULL && s->key < KEY_DOUBT) {
			most = bytes[i].bytes + 1;
			best = n;
		}
	return best;
}

/* the one node that is asked for; false: the others are to be tried */
static bool
the_node(struct where *w, const struct where_kind *k, struct where_found *f, enum where_answer *answer)
{
	const struct where_node *n = where_get(w, k->node);
	struct res room;

	w->looked++;
	if (n == NULL || !where_could(w, k, n, &f->choice)) {
		if (k->soft)
			return false;
		where_why(w, k, f->why);
		*answer = WHERE_NEVER;
		return true;
	}
	f->could = 1;
	f->node = n->number;
	room = where_room(n);
	*answer = where_within(&k->need, &room) ? at(k, n, f) : WHERE_WAIT;
	return true;
}

enum where_answer
where_find(struct where *w, uint64_t now, struct where_kind *k, const struct where_bytes *bytes, size_t nbytes,
    struct where_found *f)
{
	const struct where_node *best = NULL, *n;
	enum where_answer answer;
	const struct seat *s;

	*f = (struct where_found){ .node = 0 };
	if (k->strategy == WHERE_NODE) {
		where_passes(w, now);
		if (the_node(w, k, f, &answer))
			return answer;
	}
	if (!gpus_shape(k->need.v[RES_GPU]) || where_index(w, now, k) < 0 || k->len == 0) {
		if (k->why_rev != w->what_rev)
			where_why(w, k, k->why);
		k->why_rev = w->what_rev;
		snprintf(f->why, sizeof f->why, "%s", k->why);
		return WHERE_NEVER;
	}
	f->choice = k->choice;
	f->could = k->len;
	if (k->strategy == WHERE_HYBRID && (s = seat_of(w, k, w->local, &n)) != NULL && s->key < KEY_FULL)
		best = n;
	else if (k->seat[k->heap[0]].key < KEY_FULL)
		best = w->slot[k->heap[0]];
	if (best == NULL) {
		f->node = w->slot[k->heap[0]]->number;
		return WHERE_WAIT;
	}
	return at(k, nbytes && k->strategy != WHERE_SPREAD ? with_bytes(w, k, best, bytes, nbytes) : best, f);
}

bool
where_may(struct where *w, uint64_t now, struct where_kind *k, uint32_t node)
{
	const struct where_node *n;
	size_t choice;

	if (k->strategy == WHERE_NODE && (n = where_get(w, k->node)) != NULL && where_could(w, k, n, &choice))
		return node == k->node;
	if (k->strategy == WHERE_NODE && !k->soft)
		return false;
	return where_index(w, now, k) == 0 && seat_of(w, k, node, &n) != NULL;
}
