#include "core/alive.h"

uint64_t
alive_beat(struct alive_node *a, uint64_t now)
{
	a->sent[++a->last % ALIVE_BEATS] = now;
	return a->last;
}

void
alive_came(struct alive_node *a, uint64_t number)
{
	if (number > a->last || number + ALIVE_BEATS <= a->last || number == 0)
		return;				/* never sent, or long ago */
	if (a->sent[number % ALIVE_BEATS] > a->good)
		a->good = a->sent[number % ALIVE_BEATS];
}

void
alive_nobody(struct alive_node *a, uint64_t since)
{
	if (since > a->good)
		a->good = since;
}

uint64_t
alive_until(const struct alive_node *a)
{
	return a->limit ? a->good + a->limit : UINT64_MAX;
}

uint64_t
alive_next(const struct alive_node *a)
{
	return a->limit ? a->sent[a->last % ALIVE_BEATS] + a->limit / 4 : UINT64_MAX;
}

uint64_t
alive_now(struct alive_clock *c, uint64_t now)
{
	if (c->looked && now - c->looked > c->gap)
		c->away += now - c->looked;
	c->looked = now;
	return now - c->away;
}
