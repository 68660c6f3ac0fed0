/* set_renew - sets are renewed: who asked for it, and the next steps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/set_inner.h"

/* --- renewals: of a process only the last one can come again -------------------------------------------------------- */

static struct set_renewal *
renewal_of(const struct set *s, uint32_t proc)
{
	for (unsigned i = 0; i < s->nrenewal; i++)
		if (s->renewal[i].proc == proc)
			return &s->renewal[i];
	return NULL;
}

int
set_renewals(struct set *s, const struct set_renewal *add, unsigned n)
{
	struct set_renewal *p = n ? realloc(s->renewal, (s->nrenewal + n) * sizeof *p) : s->renewal;

	if (n == 0)
		return 0;
	if (p == NULL)
		return -ENOMEM;
	memcpy(p + s->nrenewal, add, n * sizeof *p);
	s->renewal = p;
	s->nrenewal += n;
	return 0;
}

int
set_renewed(struct set *s, uint32_t proc, uint64_t req)
{
	struct set_renewal *r = renewal_of(s, proc);

	if (r && r->req == req)
		return 1;
	if (r)
		r->req = req;
	return r ? 0 : set_renewals(s, &(struct set_renewal){ .proc = proc, .req = req }, 1);
}

void
set_renewal_forget(struct set *s, uint32_t proc)
{
	struct set_renewal *r = renewal_of(s, proc);

	if (r)
		*r = s->renewal[--s->nrenewal];
}

/* --- the steps ----------------------------------------------------------------------------------------------------- */

void
set_renew(struct set_core *c, struct set *s, uint64_t now, struct set_out *o)
{
	unsigned coming = 0, up = 0;

	for (unsigned i = 0; i < s->n; i++) {
		const struct set_member *m = s->member[i];

		up += m->state == MEMBER_UP && !m->leaving;
		coming += m->old && !m->leaving && set_other(m);
	}
	for (unsigned i = s->n; i-- > 0;) {
		struct set_member *m = s->member[i], *next;

		if (!m->old || m->leaving)
			continue;
		if ((next = set_other(m)) != NULL) {
			if (next->state == MEMBER_UP)
				set_leave(c, m, now, false, o);
		} else if (s->surge == 0 && up >= (s->kept_up < s->max ? s->kept_up : s->max)) {
			set_leave(c, m, now, false, o);
			up--;
		} else if (coming < s->surge && set_member_new(c, s, m->rank, o) == 0) {
			coming++;
		}
	}
}
