/* tcp - stream sockets between machines.  Names are looked up where it says so, which may take long.  Failure is -errno. */
#ifndef OS_TCP_H
#define OS_TCP_H

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

enum { TCP_HOST = 256, TCP_PORT = 32, TCP_NAME = 64 };
#define TCP_DEFAULT_PORT "7411"
#define TCP_NODE_PORT "7412"

struct tcp_name {			/* as a user writes it: node1, node1:7411, 10.0.0.7:7411, [fe80::1%eth0]:7411, :7411, * */
	char host[TCP_HOST];		/* "": every address of this machine */
	char port[TCP_PORT];
};

int	tcp_parse(struct tcp_name *t, const char *s);	/* 0 or -EINVAL, t unchanged */
int	tcp_parse_port(struct tcp_name *t, const char *s, const char *port);	/* the same; port: where s names none */
/*
 * The addresses of t, for connecting or (passive) listening; freeaddrinfo is the caller's.  -ENOENT no such host, -EAGAIN the
 * name service does not answer, -EINVAL no such port, -ENOMEM.  Looks names up: blocks.
 */
int	tcp_resolve(const struct tcp_name *t, int passive, struct addrinfo **out);
int	tcp_numeric(const struct tcp_name *t, struct addrinfo **out);	/* for connecting, where it is an address: never blocks; -ENOENT: a name */
int	tcp_listen(const struct addrinfo *a);	/* a blocking, listening descriptor; one for IPv6 takes IPv4 too where no address is named */
/*
 * A non-blocking descriptor that connects, or has: writable when that is over, and tcp_error tells how.  Small frames are
 * sent at once (TCP_NODELAY); a peer that acknowledges nothing for 10 s is given up (TCP_USER_TIMEOUT), and one that says
 * nothing is asked after 15 s (keepalive).  Where little is under way, as heartbeats, what was lost is sent again each 0.2 s
 * or so, not ever more rarely (TCP_THIN_LINEAR_TIMEOUTS): who was cut off for a moment is heard as soon as that is over.
 */
int	tcp_connect(const struct addrinfo *a);
int	tcp_accept(int fd);			/* with the same options; -EAGAIN, -EMFILE, ... */
int	tcp_error(int fd);			/* of a connect that is over: 0 or -errno */
void	tcp_peer(int fd, char text[TCP_NAME]);	/* "10.0.0.7:40112", "[fe80::1]:40112", "?" if it is gone */
/* Who it is, to be compared: IPv4 as mapped to IPv6; of IPv6 the first half, all of which one subscriber may have.  Zeros: gone. */
void	tcp_host(int fd, unsigned char host[16]);
void	tcp_local(int fd, char text[TCP_NAME]);	/* our end, the port that a listener at port 0 was given */

#endif
