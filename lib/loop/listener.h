/*
 * listener - accepts connections on a listening socket of a libev loop: of this user, or from anywhere (tcp).
 * A local peer with another uid is closed at once; one from anywhere has to show the key, conn_secure.  When descriptors run out those that wait are told so, by means of one that
 * is kept for that, and it rests for a second.
 */
#ifndef LOOP_LISTENER_H
#define LOOP_LISTENER_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

struct listener {
	ev_io io;		/* private */
	ev_timer rest;		/* private */
	struct ev_loop *loop;	/* private */
	void *owner;		/* rw */
	bool tcp;		/* rw, before start */
	bool paused;		/* private */
	int spare;		/* private */
	void (*on_full)(struct listener *l, int fd);	/* may be NULL: says farewell to fd, which is closed then */
	void (*on_accept)(struct listener *l, int fd, pid_t pid);	/* takes fd; pid: 0 from anywhere */
};

void	listener_init(struct listener *l, struct ev_loop *loop, int fd);	/* takes fd; nothing is accepted yet */
void	listener_start(struct listener *l);	/* owner and on_accept are set */
void	listener_poll(struct listener *l);	/* accepts what waits now */
void	listener_pause(struct listener *l, bool on);	/* who comes waits in the backlog while it is on */
void	listener_stop(struct listener *l);	/* closes fd */

#endif
