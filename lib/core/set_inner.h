/*
 * set_inner - what the files of the sets' core share.  Private to set.c, set_members.c and set_renew.c.
 */
#ifndef CORE_SET_INNER_H
#define CORE_SET_INNER_H

#include "core/set.h"

struct set_fx *set_fx_add(struct set_out *o, enum set_fx_kind kind, const struct set *s);	/* never NULL */
uint64_t set_pause(unsigned fails);		/* ns before it is made for the 2nd, 3rd, … time in a row */

int	set_seats(struct set *s, unsigned max);		/* room for so many ranks; 0 or -ENOMEM */
void	set_sit(struct set_member *m);			/* it stays; its seat is that of old ones if it is old */
void	set_stand(struct set_member *m);		/* it does not, or is about to be old, or no longer */
struct set_member *set_other(const struct set_member *m);	/* who else stays in its rank: the one it replaces, or is replaced by; NULL */
struct set_member *set_member_of(const struct set *s, uint64_t actor);	/* NULL: none of it */
int	set_member_new(struct set_core *c, struct set *s, uint32_t rank, struct set_out *o);
void	set_member_free(struct set_core *c, struct set_member *m);
void	set_make(struct set_core *c, struct set_member *m, struct set_out *o);	/* asks for its actor */
bool	set_leave(struct set_core *c, struct set_member *m, uint64_t now, bool kill, struct set_out *o); /* true: it is gone already */
void	set_leave_all(struct set_core *c, struct set *s, uint64_t now, bool kill, struct set_out *o);
void	set_member_timer(struct set_core *c, struct set_member *m, uint64_t now, struct set_out *o);

void	set_checked(struct set_core *c, struct set_member *m, uint64_t now);	/* it came up, or is well: its next check */
void	set_health(struct set_core *c, struct set_member *m, uint64_t now, const struct set_in *in, struct set_out *o);
int	set_renewals(struct set *s, const struct set_renewal *add, unsigned n);	/* 0 or -ENOMEM */
int	set_renewed(struct set *s, uint32_t proc, uint64_t req);	/* 1: it was asked for before; 0: not, but it is noted; -ENOMEM */
void	set_renewal_forget(struct set *s, uint32_t proc);
void	set_renew(struct set_core *c, struct set *s, uint64_t now, struct set_out *o);	/* the next steps, if it is renewed */

#endif
