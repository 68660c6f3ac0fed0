/* gcs_door - where nodes of other machines come in */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "base/err.h"
#include "loop/tls.h"
#include "node/gcs_inner.h"
#include "os/key.h"
#include "os/tcp.h"

/* the cluster's keys, made where there are none yet */
static int
keys(struct gcs *g, char *why, size_t nwhy)
{
	struct keys k = { .n = 1 };
	int e = keys_read(&k, g->o.key, why, nwhy);

	if (e == -ENOENT) {
		k.n = 1;
		if ((e = key_new(&k.key[0])) == 0)
			e = keys_write(&k, g->o.key, 1, why, nwhy);
		if (e == 0 && g->o.log) {
			snprintf(why, nwhy, "made key %s, '%s': who has it may do all that you may", k.key[0].id, g->o.key);
			g->o.log(0, why);
		}
	}
	if (e == 0 && (g->tls = tls_ctx_new(&k)) == NULL) {
		snprintf(why, nwhy, "no TLS 1.3 in this OpenSSL");
		e = -ENOTSUP;
	}
	if (e == 0)
		tls_ctx_follow(g->tls, g->o.key);
	keys_wipe(&k);
	return e;
}

int
gcs_door_open(struct gcs *g, void (*on_accept)(struct listener *l, int fd, pid_t pid), char *why, size_t nwhy)
{
	struct addrinfo *a = NULL;
	struct tcp_name t;
	int e, fd = -1;

	if (g->o.key == NULL) {
		snprintf(why, nwhy, "no key, no listener: name the key file with --key or ROTA_KEY");
		return -EINVAL;
	}
	if (tcp_parse(&t, g->o.listen) < 0) {
		snprintf(why, nwhy, "cannot listen at '%s': expected HOST, HOST:PORT, [ADDRESS]:PORT or :PORT", g->o.listen);
		return -EINVAL;
	}
	if ((e = tcp_resolve(&t, 1, &a)) == 0)
		e = fd = tcp_listen(a);
	if (a)
		freeaddrinfo(a);
	if (e < 0) {
		snprintf(why, nwhy, "cannot listen at '%s': %s", g->o.listen, e == -ENOENT ? "no such host" : err_str(e));
		return e;
	}
	if ((e = keys(g, why, nwhy)) < 0) {
		close(fd);
		return e;
	}
	listener_init(&g->door, g->loop, fd);
	g->open = g->door.tcp = true;
	g->door.owner = g;
	g->door.on_accept = on_accept;
	listener_start(&g->door);
	return 0;
}
