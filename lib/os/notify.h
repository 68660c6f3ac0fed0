/*
 * notify - tells who started a daemon that it serves, as sd_notify(3) does, without its library: READY=1 goes to the
 * socket that NOTIFY_SOCKET names.
 */
#ifndef OS_NOTIFY_H
#define OS_NOTIFY_H

void	notify_take(void);	/* first of all: takes NOTIFY_SOCKET out of the environment, for children have nothing to say */
int	notify_ready(void);	/* 0, also if nobody wants to know; -errno */

#endif
