#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "loop/tls.h"
#include "node/far.h"
#include "os/key.h"
#include "os/tcp.h"

struct far {
	struct tcp_name name;
	struct addrinfo *all, *next;	/* next: NULL begins anew */
	struct tls_ctx *tls;
	struct sockaddr_storage tried, good;	/* the last address; the one where we joined */
	uint64_t tried_at;
	bool soon;
	char why[NODE_MESSAGE];
};

static const char *
base_name(const char *path)
{
	const char *s = strrchr(path, '/');

	return s ? s + 1 : path;
}

static int
prepare(struct node *n, char *why, size_t nwhy)
{
	struct far *f = n->far;
	struct keys k;
	int e;

	if (f == NULL && (f = n->far = calloc(1, sizeof *f)) == NULL)
		return -ENOMEM;
	if ((e = tcp_parse(&f->name, n->o.join)) < 0) {
		snprintf(why, nwhy, "cannot join '%s': expected HOST or HOST:PORT", n->o.join);
		return e;
	}
	if (f->tls == NULL) {
		if ((e = keys_read(&k, n->o.key, why, nwhy)) < 0)
			return e;
		f->tls = tls_ctx_new(&k);
		keys_wipe(&k);
		if (f->tls == NULL) {
			snprintf(why, nwhy, "no TLS 1.3 in this OpenSSL");
			return -ENOTSUP;
		}
		tls_ctx_follow(f->tls, n->o.key);
	}
	return 0;
}

int
far_connect(struct node *n, char *why, size_t nwhy)
{
	struct far *f;
	int e, fd = -ENOENT;

	if ((e = prepare(n, why, nwhy)) < 0)
		return e;
	f = n->far;
	if (f->next == NULL) {
		if (f->all)
			freeaddrinfo(f->all);
		f->all = NULL;
		if ((e = tcp_resolve(&f->name, 0, &f->all)) < 0) {
			snprintf(why, nwhy, "cannot join '%s': %s", n->o.join, e == -ENOENT ? "no such host" : err_str(e));
			return e;
		}
		f->next = f->all;
	}
	for (; f->next && fd < 0; f->next = f->next->ai_next) {
		memset(&f->tried, 0, sizeof f->tried);
		memcpy(&f->tried, f->next->ai_addr, f->next->ai_addrlen);
		f->tried_at = clock_ns();
		if ((fd = tcp_connect(f->next)) == -ECONNREFUSED)
			far_refused(n);
	}
	if (fd < 0)
		snprintf(why, nwhy, "cannot join '%s': %s", n->o.join, err_str(fd));
	return fd;
}

int
far_secure(struct node *n, struct conn *c)
{
	return conn_secure(c, n->far->tls, false);
}

void
far_closed(struct node *n, const struct conn *c, int e)
{
	struct far *f = n->far;
	const char *said = conn_why(c);
	char why[NODE_MESSAGE + 64];

	f->soon = !*said && n->gcs_why[0] == '\0' && (e == -ECONNREFUSED || e == -ECONNRESET || e == -EPIPE || e == ERR_CLOSED);
	if (n->joined)
		snprintf(why, sizeof why, "the control store at %s went away", n->o.join);
	else if (strncmp(said, "refused our key ", 16) == 0) {		/* which file it is in helps, too */
		const char *rest = said + 16 + KEY_ID - 1;

		snprintf(why, sizeof why, "%s %.*s (%s)%s", n->o.join, 16 + KEY_ID - 1, said, base_name(n->o.key), rest);
	} else if (n->gcs_why[0])
		snprintf(why, sizeof why, "%s: %s", n->o.join, n->gcs_why);
	else if (c->alien)
		snprintf(why, sizeof why, "cannot join '%s': it speaks version %u of rota's protocol, this node %u", n->o.join, c->alien, MSG_PROTO);
	else
		snprintf(why, sizeof why, "cannot join '%s': %s", n->o.join, *said && e != ERR_CLOSED ? said :
		    e == -ETIMEDOUT ? "it does not answer; a firewall?" : err_str(e));
	if (n->number && strcmp(why, f->why) != 0)		/* once, not at each try */
		node_log(n, 0, "%s", why);
	snprintf(f->why, sizeof f->why, "%.*s", (int)sizeof f->why - 1, why);
}

void
far_joined(struct node *n)
{
	node_log(n, 0, "joined %s again", n->o.join);
	n->far->why[0] = '\0';
}

void
far_good(struct node *n)
{
	n->far->good = n->far->tried;
}

/*
 * A store that is started waits the whole limit for its nodes, so nobody gives us up before that, counted from our try.
 * Refused means that the other machine is there and nobody listens; silence may be a cable that was cut, and says nothing.
 */
void
far_refused(struct node *n)
{
	const struct far *f = n->far;

	if (memcmp(&f->tried, &f->good, sizeof f->tried) == 0)
		fence_nobody(n, f->tried_at);
}

bool
far_more(const struct node *n)
{
	return n->far->next != NULL;
}

bool
far_soon(const struct node *n)
{
	return n->far->soon;
}

const char *
far_why(const struct node *n)
{
	return n->far->why;
}

void
far_stop(struct node *n)
{
	struct far *f = n->far;

	if (f == NULL)
		return;
	if (f->all)
		freeaddrinfo(f->all);
	tls_ctx_free(f->tls);
	free(f);
	n->far = NULL;
}
