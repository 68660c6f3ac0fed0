/*
 * group_far_inner - what group_far.c, which takes inputs, and group_far_parts.c, which places bundles and ends parts, share.
 * Nobody else includes it.
 */
#ifndef CORE_GROUP_FAR_INNER_H
#define CORE_GROUP_FAR_INNER_H

#include "core/group_far.h"

struct row {				/* a node, and the labels that it points to */
	struct group_node n;
	struct labels labels;
};

struct gfar_fx *gfar_fx_add(struct gfar_out *o, enum gfar_fx_kind kind, uint64_t group);
void	gfar_part_fx(struct gfar_out *o, enum gfar_fx_kind kind, const struct gfar_group *g, const struct gfar_part *p);
void	gfar_account(struct gfar_core *c, const struct gfar_group *g, unsigned b, int sign);	/* bundle b, on its node */
struct gfar_part *gfar_part_of(const struct gfar_group *g, uint32_t node, uint64_t round);	/* NULL: there is none */
bool	gfar_any(const struct gfar_group *g, enum gfar_phase phase);
bool	gfar_lacks(const struct gfar_group *g);		/* a bundle without a node */
/* the group has it no more; tell: nor is its node to */
void	gfar_part_end(struct gfar_core *c, struct gfar_group *g, struct gfar_part *p, bool tell, struct gfar_out *o);
void	gfar_end(struct gfar_core *c, struct gfar_group *g, int code, const char *text, struct gfar_out *o);
/* Looks for nodes for the bundles that have none, and asks these.  False: not now. */
bool	gfar_seek(struct gfar_core *c, uint64_t now, struct gfar_group *g, struct gfar_out *o);
/* Something was given back, or a node is there: who waits, the oldest first; of many some, the others next time. */
void	gfar_seek_all(struct gfar_core *c, uint64_t now, struct gfar_out *o);
/* If all that are to answer have: on to the next phase. */
void	gfar_advance(struct gfar_core *c, struct gfar_group *g, struct gfar_out *o);
/* A part was lost, or is not to be had.  What is not held yet is given back; before it was ever created, all of it. */
void	gfar_broken(struct gfar_core *c, uint64_t now, struct gfar_group *g, bool at_once, struct gfar_out *o);

#endif
