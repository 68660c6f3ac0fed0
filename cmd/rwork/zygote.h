/*
 * zygote - forks workers from a warm Lua state when rlet asks for it, reaps them, and ends what they leave behind.
 * One thread; it holds no mapping, lock or connection that fork would break.
 */
#ifndef RWORK_ZYGOTE_H
#define RWORK_ZYGOTE_H

int	zygote_run(int sock);		/* until the other end of sock is closed: 0, or -errno */

#endif
