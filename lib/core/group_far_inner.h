/* group_far_inner - what group_far.c, which takes inputs, and group_far_parts.c, which places bundles and ends parts, share.  Nobody else includes it. */
#ifndef CORE_GROUP_FAR_INNER_H
#define CORE_GROUP_FAR_INNER_H

#include "core/group_far.h"

struct row {				/* a node, and the labels that it points to */
	struct group_node n;
	struct labels labels;
};

struct far_fx *far_fx_add(struct far_out *o, enum far_fx_kind kind, uint64_t group);
void	far_part_fx(struct far_out *o, enum far_fx_kind kind, const struct far_group *g, const struct far_part *p);
void	far_account(struct far_core *c, const struct far_group *g, unsigned b, int sign);	/* bundle b, on its node */
struct far_part *far_part_of(const struct far_group *g, uint32_t node, uint64_t round);	/* NULL: there is none */
bool	far_any(const struct far_group *g, enum far_phase phase);
bool	far_lacks(const struct far_group *g);		/* a bundle without a node */
/* the group has it no more; tell: nor is its node to */
void	far_part_end(struct far_core *c, struct far_group *g, struct far_part *p, bool tell, struct far_out *o);
void	far_end(struct far_core *c, struct far_group *g, int code, const char *text, struct far_out *o);
/* Looks for nodes for the bundles that have none, and asks these.  False: not now. */
bool	far_seek(struct far_core *c, uint64_t now, struct far_group *g, struct far_out *o);
/* Something was given back, or a node is there: who waits, the oldest first; of many some, the others next time. */
void	far_seek_all(struct far_core *c, uint64_t now, struct far_out *o);
/* If all that are to answer have: on to the next phase. */
void	far_advance(struct far_core *c, struct far_group *g, struct far_out *o);
/* A part was lost, or is not to be had.  What is not held yet is given back; before it was ever created, all of it. */
void	far_broken(struct far_core *c, uint64_t now, struct far_group *g, bool at_once, struct far_out *o);

#endif
