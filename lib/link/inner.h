/* inner - what the files of lib/link share.  Nobody else includes it.  All of it under the lock. */
#ifndef LINK_INNER_H
#define LINK_INNER_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "link/link.h"
#include "loop/conn.h"
#include "loop/listener.h"
#include "ring/slab.h"
#include "wire/msg.h"

enum {
	LINK_STRANGERS = 256,		/* accepted, and not yet known who: beyond that the oldest goes */
	LINK_NEWS = 64 << 20,		/* bytes for the node; then nothing more is read until it has taken some */
	LINK_TURN = 256 << 10,		/* bytes given to a connection at a time */
};
#define LINK_HELLO_NS UINT64_C(5000000000)	/* for a peer to say who it is */
#define LINK_RETRY_NS UINT64_C(50000000)	/* after a connection that failed; doubled up to 16 times that */

struct peer {
	struct link *l;
	uint32_t node;
	char *address;			/* NULL: nobody can connect to it */
	struct session s;
	bool begun;			/* s has a peer */
	struct conn *conn;		/* the one that is used, or is being made; NULL */
	bool ours, up;			/* we made it; both have said who they are */
	uint64_t retry_at, wait;	/* not before; 0 at once */
	char why[160];
};

struct stranger {			/* a connection that was accepted */
	struct link *l;
	struct list link;
	struct conn *conn;
	uint64_t until;
};

struct link {
	struct link_opts o;
	pthread_mutex_t lock;
	pthread_t sockets, rings;
	bool started, stopping;
	struct ev_loop *loop;
	ev_async wake;
	ev_timer timer;
	struct conn_set conns;
	struct listener listen;
	struct list strangers;
	unsigned nstrangers;
	struct map peers;		/* node -> struct peer * */
	struct buf news, taken;		/* u32 kind, u32 node, u32 type, u32 bytes, bytes; taken: what link_next gives from */
	size_t at;			/* in taken */
	bool told;			/* news: the node was told */
	bool full;			/* it takes none for a while: peers are not read */
	struct slab slab;
	struct bell *bell;
};

/* link.c */
void	link_tell(struct link *l, enum link_news_kind kind, uint32_t node, uint16_t type, struct span body);
void	link_push(struct link *l);		/* what was put leaves now; whatever thread this is */
/* peer.c */
void	peer_accept(struct listener *listen, int fd, pid_t pid);
void	peers_tick(struct link *l);		/* the socket thread: connects, and gives up who says nothing */
void	peers_stop(struct link *l);
void	peer_end(struct peer *p);		/* it is in no table any more */
int	peer_take(struct peer *p, const struct frame *f);	/* a new frame of the session: 0 or ERR_PROTO */
void	peer_pump(struct peer *p);		/* what waits goes to the connection */
struct peer *peer_get(struct link *l, uint32_t node);	/* made if there is none; NULL: no memory */

#endif
