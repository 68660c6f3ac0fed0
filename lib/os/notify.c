#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "os/notify.h"

static struct sockaddr_un to;
static socklen_t to_len;		/* 0: nobody */

void
notify_take(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n > 0 && n < sizeof to.sun_path && (*path == '/' || *path == '@')) {
		to.sun_family = AF_UNIX;
		memcpy(to.sun_path, path, n);
		if (*path == '@')		/* an abstract name */
			to.sun_path[0] = '\0';
		to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	}
	unsetenv("NOTIFY_SOCKET");
}

int
notify_ready(void)
{
	char text[64];
	int fd, n = snprintf(text, sizeof text, "READY=1\nMAINPID=%d\n", (int)getpid()), e = 0;

	if (to_len == 0)
		return 0;
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&to, to_len) < 0)
		e = -errno;
	close(fd);
	return e;
}
