/*
 * tls serve KEY | echo HOST KEY SECONDS | copy HOST KEY MIB - TLS 1.3 between two hosts with nothing else around it, which is
 * what the path between nodes is measured against: OpenSSL on a blocking socket, the suite and kind of key that nodes use.
 * serve answers until it is killed, having written a newline once it can.  echo prints round trips of 64 bytes a second,
 * copy bytes a second, until the other side has all.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"

enum { ECHO = 64, CHUNK = 256 << 10 };

static const unsigned char *secret;	/* 32 bytes, of the file KEY */
static char chunk[CHUNK];

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "tls: %s\n", what);
	exit(1);
}

static unsigned
as_client(SSL *s, const char *hint, char *id, unsigned nid, unsigned char *psk, unsigned max)
{
	(void)s, (void)hint, (void)max;
	snprintf(id, nid, "bench");
	memcpy(psk, secret, 32);
	return 32;
}

static unsigned
as_server(SSL *s, const char *id, unsigned char *psk, unsigned max)
{
	(void)s, (void)id, (void)max;
	memcpy(psk, secret, 32);
	return 32;
}

static SSL *
open_tls(int fd, bool server)
{
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	int one = 1;
	SSL *s;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (c == NULL || !SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) || !SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256"))
		fail("no TLS 1.3");
	SSL_CTX_set_psk_client_callback(c, as_client);
	SSL_CTX_set_psk_server_callback(c, as_server);
	SSL_CTX_set_num_tickets(c, 0);
	if ((s = SSL_new(c)) == NULL || !SSL_set_fd(s, fd) || (server ? SSL_accept(s) : SSL_connect(s)) != 1)
		fail("no handshake");
	return s;
}

static void
put(SSL *s, const void *p, int n)
{
	if (SSL_write(s, p, n) != n)
		fail("cannot send");
}

static void
take(SSL *s, char *p, int n)		/* all of them */
{
	for (int k; n > 0; p += k, n -= k)
		if ((k = SSL_read(s, p, n)) <= 0)
			fail("the other side ended");
}

static void
serve(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(7500) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), one = 1, c, n;
	uint64_t left;
	SSL *s;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 8) < 0)
		fail("cannot listen");
	putchar('\n');
	fflush(stdout);
	while ((c = accept(fd, NULL, NULL)) >= 0) {
		s = open_tls(c, true);
		take(s, (char *)&left, sizeof left);
		if (left == 0)				/* echo */
			while ((n = SSL_read(s, chunk, ECHO)) > 0)
				put(s, chunk, n);
		for (; left > 0; left -= (uint64_t)n)
			if ((n = SSL_read(s, chunk, sizeof chunk)) <= 0)
				fail("the other side ended");
		SSL_write(s, "", 1);
		SSL_free(s);
		close(c);
	}
}

static SSL *
reach(const char *host)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM }, *a;
	int fd;

	if (getaddrinfo(host, "7500", &hint, &a) != 0 || (fd = socket(a->ai_family, SOCK_STREAM, 0)) < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		fail("cannot connect");
	freeaddrinfo(a);
	return open_tls(fd, false);
}

static void
echo(SSL *s, double seconds)
{
	uint64_t n = 0, zero = 0, began;

	put(s, &zero, sizeof zero);
	for (int i = 0; i < 200; i++) {			/* warm */
		put(s, chunk, ECHO);
		take(s, chunk, ECHO);
	}
	for (began = clock_ns(); (double)(clock_ns() - began) < seconds * 1e9; n++) {
		put(s, chunk, ECHO);
		take(s, chunk, ECHO);
	}
	printf("%.0f\n", (double)n / ((double)(clock_ns() - began) / 1e9));
}

static void
copy(SSL *s, uint64_t bytes)
{
	uint64_t began = clock_ns(), left = bytes;

	put(s, &left, sizeof left);
	for (; left > 0; left -= CHUNK)
		put(s, chunk, CHUNK);
	take(s, chunk, 1);
	printf("%.0f\n", (double)bytes / ((double)(clock_ns() - began) / 1e9));
}

int
main(int argc, char **argv)
{
	static unsigned char text[32];
	const char *key = argc > 3 ? argv[3] : argc > 2 ? argv[2] : "";
	FILE *f = fopen(key, "r");

	if (f == NULL || fread(text, 1, sizeof text, f) != sizeof text)
		fail("no key");
	secret = text;
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve();
	else if (argc == 5 && strcmp(argv[1], "echo") == 0)
		echo(reach(argv[2]), atof(argv[4]));
	else if (argc == 5 && strcmp(argv[1], "copy") == 0)
		copy(reach(argv[2]), strtoull(argv[4], NULL, 10) << 20);
	else
		fail("usage: tls serve KEY | echo HOST KEY SECONDS | copy HOST KEY MIB");
	return 0;
}
