/* parts.h - what the simulator is made of; a part finds its state at the place that its name has in enum sim_parts */
#ifndef SIM_PARTS_H
#define SIM_PARTS_H

#include "sim.h"

enum { SESSION_PART, CLUSTER_PART, STORE_PART, NODE_PART, SCALE_PART, FAR_PART };

extern const struct sim_part part_session, part_cluster, part_store, part_node, part_scale, part_far;

void	sim_scale(void);		/* cost.c */

#endif
