/*
 * tls - TLS 1.3 with the cluster's key as pre-shared key, as a transformation of bytes: no socket inside.
 *
 * Who has the socket gives what came from it to tls_feed, takes what it says with tls_read until that gives 0, and sends
 * what lies in tls->out.  One suite, TLS_AES_128_GCM_SHA256; ephemeral Diffie-Hellman always (X25519, P-256); no
 * certificates, tickets, early data or renegotiation.  Both sides insist that the handshake used the key: a peer that
 * shows a certificate instead is refused, whatever that says (RFC 8446, 9257).
 *
 * A peer whose key we do not know is told, in the clear and before any TLS, which ones we do: their ids, see os/key.h.
 */
#ifndef LOOP_TLS_H
#define LOOP_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/buf.h"
#include "os/key.h"

struct tls_ctx;				/* what the connections of a daemon have in common */
struct tls_impl;

struct tls {				/* private but for these */
	struct buf out;			/* rw: to be sent; who has sent some drops it */
	bool ready;			/* ro: the handshake is over, and it used the key; only then tls_write */
	char key[KEY_ID];		/* ro: id of the key that was used, or offered */
	char why[160];			/* ro: after an error: what to tell the user, without the peer's name */
	struct tls_impl *impl;
};

/* k: copied.  Connections keep what they were made with when keys change: a new context is for new ones.  NULL: no memory, no TLS 1.3. */
struct tls_ctx *tls_ctx_new(const struct keys *k);
/*
 * From now on the key file at path is looked at whenever a connection begins: when it has changed, or a key's time is over, what
 * begins then goes by what it says now.  By the thread that opens connections of c.
 */
void	tls_ctx_follow(struct tls_ctx *c, const char *path);
void	tls_ctx_free(struct tls_ctx *c);	/* may be NULL; its connections live on */
/*
 * Connections that are opened from now on offer the k-th key instead of the first, modulo their number: to who does not know
 * a new key yet.
 */
void	tls_ctx_offer(struct tls_ctx *c, unsigned k);

/*
 * Begins a connection; the client's first bytes lie in t->out then.  0 or -ENOMEM, and t needs no release.
 */
int	tls_open(struct tls *t, struct tls_ctx *c, bool server);
/* p[0 .. n) came from the peer; borrowed until tls_read has returned 0 or an error.  All before it was read so far. */
void	tls_feed(struct tls *t, const void *p, size_t n);
/*
 * What the peer says: 1 .. n bytes into p; 0: all that was fed is used up, feed more; ERR_CLOSED: the peer ended it in
 * order; ERR_KEY: keys do not match; ERR_PROTO: it does not speak this, or bytes were changed; -ENOMEM.  After an error
 * only t->out matters, which says farewell, and tls_release.
 */
ssize_t	tls_read(struct tls *t, void *p, size_t n);
/* Appends n bytes, encrypted, to t->out: 0, -EAGAIN not ready yet, -ENOMEM, ERR_PROTO. */
int	tls_write(struct tls *t, const void *p, size_t n);
void	tls_end(struct tls *t);		/* appends the end of what we say; nothing may be written any more */
void	tls_release(struct tls *t);

#endif
