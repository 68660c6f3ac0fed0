/*
 * reach - private to rota up, on a host: rota reach ADDRESS:PORT... says which of them cannot be connected to, a line each:
 * "far", the address, a space, why.  All at once, for three seconds.  An address that refuses was reached: the node there is
 * no more, which the others hear of soon.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "rota.h"

enum { REACH_MAX = 64, REACH_MS = 3000 };

static void
far(const char *address, const char *why)
{
	printf("far %s %s\n", address, why);
}

static int
begin(const char *address)		/* a descriptor that connects, or -errno */
{
	char host[256];
	const char *colon = strrchr(address, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *a;
	int fd;

	if (colon == NULL)
		return -EINVAL;
	if (address[0] == '[' && colon > address + 1)
		snprintf(host, sizeof host, "%.*s", (int)(colon - address - 2), address + 1);
	else
		snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
	if (getaddrinfo(host, colon + 1, &hints, &a) != 0)
		return -ENOENT;
	if ((fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		fd = -errno;
	else if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) {
		int e = -errno;

		close(fd);
		fd = e;
	}
	freeaddrinfo(a);
	return fd;
}

int
cmd_reach(int argc, char *argv[])
{
	struct pollfd p[REACH_MAX];
	uint64_t until = clock_ns() + REACH_MS * UINT64_C(1000000), now;
	int n = argc - 1 < REACH_MAX ? argc - 1 : REACH_MAX, open = 0;

	for (int i = 0; i < n; i++) {
		int fd = begin(argv[i + 1]);

		p[i] = (struct pollfd){ .fd = fd, .events = POLLOUT };
		if (fd < 0 && fd != -ECONNREFUSED)
			far(argv[i + 1], strerror(-fd));
		open += fd >= 0;
	}
	while (open && (now = clock_ns()) < until && poll(p, (nfds_t)n, (int)((until - now) / 1000000) + 1) >= 0)
		for (int i = 0; i < n; i++) {
			int e = 0;
			socklen_t len = sizeof e;

			if (p[i].fd < 0 || p[i].revents == 0)
				continue;
			if (getsockopt(p[i].fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0 && e && e != ECONNREFUSED)
				far(argv[i + 1], strerror(e));
			close(p[i].fd);
			p[i].fd = -1;
			open--;
		}
	for (int i = 0; i < n; i++)
		if (p[i].fd >= 0)
			far(argv[i + 1], "timed out");
	return 0;
}
