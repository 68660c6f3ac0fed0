/* parts.c - the list of parts, in the order of their numbers */
#include "parts.h"

const struct sim_part *const sim_parts[] = { &part_session, &part_cluster, &part_store, &part_node, &part_scale, &part_far, NULL };
