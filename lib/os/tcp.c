#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/tcp.h"

int
tcp_parse_port(struct tcp_name *t, const char *s, const char *otherwise)
{
	const char *host = s, *end, *port = NULL;

	if (*s == '[') {
		host++;
		if ((end = strchr(s, ']')) == NULL || (end[1] && end[1] != ':'))
			return -EINVAL;
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strchr(s, ':');
		if (end && strchr(end + 1, ':'))		/* an IPv6 address alone */
			end = NULL;
		port = end ? end + 1 : NULL;
		end = end ? end : s + strlen(s);
	}
	if ((size_t)(end - host) >= sizeof t->host || (port && (!*port || strlen(port) >= sizeof t->port)) || *s == '\0')
		return -EINVAL;
	if (port && (strspn(port, "0123456789") != strlen(port) || strlen(port) > 5 || atoi(port) > UINT16_MAX))
		return -EINVAL;
	snprintf(t->host, sizeof t->host, "%.*s", end - host == 1 && *host == '*' ? 0 : (int)(end - host), host);
	snprintf(t->port, sizeof t->port, "%s", port ? port : otherwise);
	return 0;
}

int
tcp_parse(struct tcp_name *t, const char *s)
{
	return tcp_parse_port(t, s, TCP_DEFAULT_PORT);
}

static int
resolve(const struct tcp_name *t, int flags, struct addrinfo **out)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags };

	if (flags == AI_PASSIVE && !t->host[0])
		hint.ai_family = AF_INET6;		/* takes both */
	switch (getaddrinfo(t->host[0] ? t->host : NULL, t->port, &hint, out)) {
	case 0: return 0;
	case EAI_SERVICE: return -EINVAL;
	case EAI_MEMORY: return -ENOMEM;
	case EAI_AGAIN: return -EAGAIN;
	case EAI_SYSTEM: return errno ? -errno : -EIO;
	default: return -ENOENT;
	}
}

int
tcp_resolve(const struct tcp_name *t, int passive, struct addrinfo **out)
{
	return resolve(t, passive ? AI_PASSIVE : 0, out);
}

int
tcp_numeric(const struct tcp_name *t, struct addrinfo **out)
{
	return resolve(t, AI_NUMERICHOST, out);
}

static void
options(int fd)
{
	static const struct { int level, name, value; } opt[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 10000 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 15 }, { IPPROTO_TCP, TCP_KEEPINTVL, 5 }, { IPPROTO_TCP, TCP_KEEPCNT, 3 },
	};

	for (size_t i = 0; i < sizeof opt / sizeof *opt; i++)
		setsockopt(fd, opt[i].level, opt[i].name, &opt[i].value, sizeof opt[i].value);
}

static int
failed(int fd)
{
	int e = -errno;

	close(fd);
	return e;
}

int
tcp_listen(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, none = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof none);
	return bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0 ? failed(fd) : fd;
}

int
tcp_connect(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	options(fd);
	return connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS ? failed(fd) : fd;
}

int
tcp_accept(int fd)
{
	int c;

	while ((c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
		if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO && errno != EHOSTUNREACH && errno != ENETUNREACH)
			return -errno;
	options(c);
	return c;
}

int
tcp_error(int fd)
{
	int e = 0;
	socklen_t n = sizeof e;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0 ? -errno : -e;
}

static void
put(const struct sockaddr_storage *s, socklen_t n, char text[TCP_NAME])
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	const char *h = host;

	if (getnameinfo((const struct sockaddr *)s, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	if (strncmp(h, "::ffff:", 7) == 0)		/* IPv4 that came to a socket of both */
		h += 7;
	snprintf(text, TCP_NAME, strchr(h, ':') ? "[%.46s]:%.6s" : "%.46s:%.6s", h, port);
}

void
tcp_peer(int fd, char text[TCP_NAME])
{
	struct sockaddr_storage s;
	socklen_t n = sizeof s;

	snprintf(text, TCP_NAME, "?");
	if (getpeername(fd, (struct sockaddr *)&s, &n) == 0)
		put(&s, n, text);
}

void
tcp_host(int fd, unsigned char host[16])
{
	struct sockaddr_storage s = { 0 };
	socklen_t n = sizeof s;

	memset(host, 0, 16);
	if (getpeername(fd, (struct sockaddr *)&s, &n) < 0)
		return;
	if (s.ss_family == AF_INET) {
		host[10] = host[11] = 0xff;
		memcpy(host + 12, &((struct sockaddr_in *)&s)->sin_addr, 4);
	} else if (s.ss_family == AF_INET6) {
		const struct in6_addr *a = &((struct sockaddr_in6 *)&s)->sin6_addr;

		memcpy(host, a, IN6_IS_ADDR_V4MAPPED(a) ? 16 : 8);
	}
}

void
tcp_local(int fd, char text[TCP_NAME])
{
	struct sockaddr_storage s;
	socklen_t n = sizeof s;

	snprintf(text, TCP_NAME, "?");
	if (getsockname(fd, (struct sockaddr *)&s, &n) == 0)
		put(&s, n, text);
}
