/* os_tcp.c - names of hosts and ports are read as users write them; sockets of both families connect and say who is there */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "tap.h"
#include "os/fd.h"
#include "os/tcp.h"

static int
named(const char *s, const char *host, const char *port)
{
	struct tcp_name t;
	int e = tcp_parse(&t, s);

	if (e == 0 && strcmp(t.host, host) == 0 && strcmp(t.port, port) == 0)
		return 1;
	printf("# %s: %d '%s' '%s'\n", s, e, e ? "" : t.host, e ? "" : t.port);
	return 0;
}

static int
bound(int fd)
{
	struct sockaddr_storage s;
	socklen_t n = sizeof s;

	getsockname(fd, (struct sockaddr *)&s, &n);
	return ntohs(s.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&s)->sin6_port : ((struct sockaddr_in *)(void *)&s)->sin_port);
}

/* listens where `at` says, connects to host: the listener sees it as a peer whose text begins with seen */
static int
meets(const char *at, const char *host, const char *seen)
{
	unsigned char who[16], nobody[16];
	bool mapped;
	struct tcp_name t;
	struct addrinfo *a, *b;
	char text[TCP_NAME], there[TCP_NAME], expected[TCP_NAME];
	int l, c, s = -1, one = 0, good;
	socklen_t n = sizeof one;

	if (tcp_parse(&t, at) < 0 || tcp_resolve(&t, 1, &a) < 0)
		return 0;
	l = tcp_listen(a);
	freeaddrinfo(a);
	if (l == -EAFNOSUPPORT || l == -EADDRNOTAVAIL)
		return puts("# no IPv6 here") >= 0;
	fd_nonblock(l);
	snprintf(t.host, sizeof t.host, "%s", host);
	snprintf(t.port, sizeof t.port, "%d", bound(l));
	if (tcp_resolve(&t, 0, &b) < 0)
		return 0;
	c = tcp_connect(b);
	freeaddrinfo(b);
	poll(&(struct pollfd){ .fd = c, .events = POLLOUT }, 1, 10000);
	poll(&(struct pollfd){ .fd = l, .events = POLLIN }, 1, 10000);
	s = tcp_accept(l);
	tcp_peer(s, text);
	tcp_peer(c, there);
	snprintf(expected, sizeof expected, "%s:%d", seen, bound(l));
	tcp_host(s, who);
	tcp_host(-1, nobody);
	mapped = memcmp(who, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16) == 0;	/* IPv4, whatever socket it came to */
	good = mapped == (*seen != '[') && memcmp(nobody, (char[16]){ 0 }, 16) == 0 && c >= 0 && s >= 0 && tcp_error(c) == 0 && strncmp(text, seen, strlen(seen)) == 0 && strcmp(there, expected) == 0 &&
	    getsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, &n) == 0 && one && tcp_accept(l) == -EAGAIN;
	if (!good)
		printf("# %s %s: %d %d '%s' '%s', expected %s\n", at, host, c, s, text, there, expected);
	close(l), close(c), close(s);
	return good;
}

int
main(void)
{
	struct tcp_name t;
	struct addrinfo *a;
	int fd;

	ok(named("node1", "node1", "7411") && named("node1:80", "node1", "80") && named("10.0.0.7:1", "10.0.0.7", "1"));
	ok(named("[fe80::1%eth0]:99", "fe80::1%eth0", "99") && named("[::1]", "::1", "7411") && named("fe80::1", "fe80::1", "7411"));
	ok(named(":80", "", "80") && named("*", "", "7411") && named("*:1", "", "1"));
	ok(tcp_parse(&t, "") == -EINVAL && tcp_parse(&t, "a:") == -EINVAL && tcp_parse(&t, "[::1") == -EINVAL &&
	    tcp_parse(&t, "[::1]7") == -EINVAL && tcp_parse(&t, "a:http") == -EINVAL && tcp_parse(&t, "a:65536") == -EINVAL);
	ok(meets("127.0.0.1:0", "127.0.0.1", "127.0.0.1"));
	ok(meets("[::1]:0", "::1", "[::1]"));
	ok(meets("*:0", "127.0.0.1", "127.0.0.1"));	/* one socket for both families */
	tcp_parse(&t, "127.0.0.1:1");
	ok(tcp_resolve(&t, 0, &a) == 0);
	fd = tcp_connect(a);
	if (fd >= 0) {
		poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 10000);
		ok(tcp_error(fd) == -ECONNREFUSED);
		close(fd);
	} else
		ok(fd == -ECONNREFUSED);
	freeaddrinfo(a);
	ok(tcp_numeric(&t, &a) == 0);
	freeaddrinfo(a);
	tcp_parse(&t, "localhost:1");
	ok(tcp_numeric(&t, &a) == -ENOENT);		/* a name, which is not looked up */
	return tap_done();
}
