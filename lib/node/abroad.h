/* abroad - what a node keeps of other nodes.  Private to lib/node. */
#ifndef NODE_ABROAD_H
#define NODE_ABROAD_H

#include "link/link.h"
#include "node/inner.h"

struct there {				/* another node */
	uint32_t node;
	struct res total;		/* what it has; zeros: not known */
};

struct abroad {
	struct link *link;
	struct tls_ctx *tls;
	ev_async news;
	struct map nodes;		/* number -> struct there * */
	struct idmap alias;		/* (node, process, 0) -> struct nproc * */
	struct idmap rings;		/* (node, 0, number there) -> struct nring *: those that have their worker there */
	uint64_t next_ring;		/* number of the next one of these, here */
	int slab;
	uint16_t bell;
	struct page *page;		/* of all aliases */
};

#define ABROAD_RINGS UINT64_C(0x80000000)	/* numbers of rings from here on have their worker elsewhere: no lease of this node's */

#endif
