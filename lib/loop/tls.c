/* tls.c - OpenSSL between two buffers */
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "loop/tls.h"

#define HINT "rota1 accepts"		/* ids follow, a blank before each, and a newline */
enum { HINT_MAX = sizeof HINT + KEYS_MAX * KEY_ID };

struct key_set {			/* never changed: connections that began with it go on with it */
	struct key_set *before;
	struct keys k;			/* secret: derived for TLS */
};

struct tls_ctx {
	unsigned refs;
	SSL_CTX *server, *client;
	struct key_set *keys;		/* those of now; all of them end with us */
	struct key_file file;
	char *path;
	unsigned offer;			/* the one that clients offer */
};

struct tls_impl {
	struct tls *t;
	struct tls_ctx *c;
	const struct keys *keys;
	SSL *ssl;
	unsigned offer;
	bool server, unknown, begun, dead;	/* unknown: the client offered a key that we do not have */
	const unsigned char *in;
	size_t left;
	char hint[HINT_MAX];		/* in place of the first bytes of a server */
	size_t nhint;
	int error;			/* of a callback */
};

/* --- bytes to and from the library ------------------------------------------------------------------------------------------ */

static int
bio_read(BIO *b, char *p, size_t n, size_t *got)
{
	struct tls_impl *m = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (m->left == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	*got = n < m->left ? n : m->left;
	memcpy(p, m->in, *got);
	m->in += *got;
	m->left -= *got;
	return 1;
}

static int
bio_write(BIO *b, const char *p, size_t n, size_t *put)
{
	struct tls_impl *m = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (buf_add(&m->t->out, p, n) < 0) {
		m->error = -ENOMEM;
		return 0;
	}
	*put = n;
	return 1;
}

static long
bio_ctrl(BIO *b, int cmd, long l, void *p)
{
	(void)b, (void)l, (void)p;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *
method(void)
{
	static BIO_METHOD *m;		/* made once, by the first context, and kept */

	if (!m && (m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rota")) != NULL) {
		BIO_meth_set_read_ex(m, bio_read);
		BIO_meth_set_write_ex(m, bio_write);
		BIO_meth_set_ctrl(m, bio_ctrl);
	}
	return m;
}

/* --- the key ---------------------------------------------------------------------------------------------------------------- */

static SSL_SESSION *
session_of(SSL *ssl, const struct key *k)
{
	static const unsigned char suite[] = { 0x13, 0x01 };	/* TLS_AES_128_GCM_SHA256 */
	SSL_SESSION *s = SSL_SESSION_new();

	if (s && SSL_SESSION_set1_master_key(s, k->secret, KEY_BYTES) && SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, suite)) &&
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION))
		return s;
	SSL_SESSION_free(s);
	return NULL;
}

static int
find_key(SSL *ssl, const unsigned char *id, size_t n, SSL_SESSION **s)	/* the server's: no session is no error here */
{
	struct tls_impl *m = SSL_get_app_data(ssl);
	const struct keys *k = m->keys;

	*s = NULL;
	for (unsigned i = 0; i < k->n; i++)
		if (n == KEY_ID - 1 && memcmp(id, k->key[i].id, n) == 0) {
			memcpy(m->t->key, k->key[i].id, KEY_ID);
			return (*s = session_of(ssl, &k->key[i])) != NULL;
		}
	m->unknown = true;
	return 1;
}

static int
offer_key(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *n, SSL_SESSION **s)	/* the client's */
{
	struct tls_impl *m = SSL_get_app_data(ssl);
	const struct key *k = &m->keys->key[m->offer];

	(void)md;
	*id = (const unsigned char *)k->id;
	*n = KEY_ID - 1;
	return (*s = session_of(ssl, k)) != NULL;
}

static SSL_CTX *
side(bool server)
{
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!c || !SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) || !SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(c, "X25519:P-256") ||
	    !SSL_CTX_set_num_tickets(c, 0)) {
		SSL_CTX_free(c);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(c, 0);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	if (server)
		SSL_CTX_set_psk_find_session_callback(c, find_key);
	else {
		SSL_CTX_set_psk_use_session_callback(c, offer_key);
		SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);	/* nobody is trusted: a certificate is never enough */
	}
	return c;
}

static int
keys_set(struct tls_ctx *c, const struct keys *k)
{
	struct key_set *s = calloc(1, sizeof *s);

	if (s == NULL)
		return -ENOMEM;
	s->k.n = k->n;
	for (unsigned i = 0; i < k->n; i++) {
		memcpy(s->k.key[i].id, k->key[i].id, KEY_ID);
		if (key_derive(&k->key[i], "tls", s->k.key[i].secret) < 0) {
			keys_wipe(&s->k);
			free(s);
			return -EIO;
		}
	}
	s->before = c->keys;
	c->keys = s;
	return 0;
}

void
tls_ctx_follow(struct tls_ctx *c, const char *path)
{
	if ((c->path = strdup(path)) != NULL)
		c->file = (struct key_file){ .path = c->path };
}

static void
refresh(struct tls_ctx *c)
{
	struct keys k;

	if (c->path == NULL || key_file_changed(&c->file, &k) == 0)
		return;
	if (keys_set(c, &k) == 0)		/* else what was known holds */
		c->offer = 0;
	keys_wipe(&k);
}

struct tls_ctx *
tls_ctx_new(const struct keys *k)
{
	struct tls_ctx *c = calloc(1, sizeof *c);

	if (!c || k->n == 0 || !method())
		goto fail;
	c->refs = 1;
	if (keys_set(c, k) == 0 && (c->server = side(true)) != NULL && (c->client = side(false)) != NULL)
		return c;
fail:
	if (c)
		c->refs = 1;
	tls_ctx_free(c);
	return NULL;
}

void
tls_ctx_offer(struct tls_ctx *c, unsigned k)
{
	c->offer = k % c->keys->k.n;
}

void
tls_ctx_free(struct tls_ctx *c)
{
	if (!c || --c->refs)
		return;
	SSL_CTX_free(c->server);
	SSL_CTX_free(c->client);
	for (struct key_set *s; (s = c->keys) != NULL; free(s)) {
		c->keys = s->before;
		keys_wipe(&s->k);
	}
	free(c->path);
	free(c);
}

/* --- a connection ------------------------------------------------------------------------------------------------------------ */

int
tls_open(struct tls *t, struct tls_ctx *c, bool server)
{
	struct tls_impl *m = calloc(1, sizeof *m);
	BIO *b;

	refresh(c);
	*t = (struct tls){ .impl = m };
	if (!m || !(m->ssl = SSL_new(server ? c->server : c->client)) || !(b = BIO_new(method()))) {
		if (m)
			SSL_free(m->ssl);
		free(m);
		return -ENOMEM;
	}
	m->t = t;
	m->c = c;
	m->keys = &c->keys->k;
	m->server = server;
	c->refs++;
	BIO_set_data(b, m);
	BIO_set_init(b, 1);
	SSL_set_bio(m->ssl, b, b);
	SSL_set_app_data(m->ssl, m);
	if (server)
		SSL_set_accept_state(m->ssl);
	else {
		m->offer = c->offer % m->keys->n;
		memcpy(t->key, m->keys->key[m->offer].id, KEY_ID);
		SSL_set_connect_state(m->ssl);
		ERR_clear_error();
		SSL_do_handshake(m->ssl);
		if (m->error < 0 || t->out.len == 0) {
			tls_release(t);
			return -ENOMEM;
		}
	}
	return 0;
}

void
tls_release(struct tls *t)
{
	struct tls_impl *m = t->impl;

	if (m) {
		SSL_free(m->ssl);
		tls_ctx_free(m->c);
		free(m);
	}
	buf_release(&t->out);
	t->impl = NULL;
	t->ready = false;
}

static ssize_t
fail(struct tls *t, int e, const char *why)
{
	t->impl->dead = true;
	t->ready = false;
	snprintf(t->why, sizeof t->why, "%s", why);
	ERR_clear_error();
	return e;
}

/* the server's farewell to a client with another key: the ids of ours, and no alert, which would say less */
static ssize_t
unknown_key(struct tls *t)
{
	const struct keys *k = t->impl->keys;

	t->out.len = 0;
	buf_add(&t->out, HINT, strlen(HINT));
	for (unsigned i = 0; i < k->n; i++) {
		buf_add(&t->out, " ", 1);
		buf_add(&t->out, k->key[i].id, KEY_ID - 1);
	}
	buf_add(&t->out, "\n", 1);
	return fail(t, ERR_KEY, "it offered a key that is not ours");
}

/* The client's: is what comes first the hint of a server that does not know our key?  1 read on, 0 more is needed, or the error. */
static ssize_t
read_hint(struct tls *t)
{
	struct tls_impl *m = t->impl;

	while (m->left && m->nhint < HINT_MAX - 1) {
		char c = (char)*m->in;

		if (m->nhint < strlen(HINT) && c != HINT[m->nhint])
			return m->nhint ? fail(t, ERR_PROTO, "it does not speak rota's protocol") : 1;
		if (m->nhint >= strlen(HINT) && c == '\n') {
			m->hint[m->nhint] = '\0';
			fail(t, ERR_KEY, "");
			snprintf(t->why, sizeof t->why, "refused our key %s; it accepts%s", t->key, m->hint + strlen(HINT));
			return ERR_KEY;
		}
		if (m->nhint >= strlen(HINT) && !strchr(" -0123456789abcdef", c))
			return fail(t, ERR_PROTO, "it does not speak rota's protocol");
		m->hint[m->nhint++] = c;
		m->in++;
		m->left--;
	}
	return m->left ? fail(t, ERR_PROTO, "it does not speak rota's protocol") : 0;
}

static ssize_t
failed(struct tls *t, int r)
{
	struct tls_impl *m = t->impl;
	int code = SSL_get_error(m->ssl, r);
	unsigned long e = ERR_peek_error();

	if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
		return m->error < 0 ? fail(t, m->error, "out of memory") : 0;
	if (code == SSL_ERROR_ZERO_RETURN)
		return fail(t, ERR_CLOSED, "it ended the connection");
	if (m->error < 0)
		return fail(t, m->error, "out of memory");
	if (t->ready)
		return fail(t, ERR_PROTO, "what came was changed on its way, or is no TLS");
	if (m->unknown)
		return unknown_key(t);
	switch (ERR_GET_REASON(e)) {
	case SSL_R_BINDER_DOES_NOT_VERIFY:
	case SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER:
		return fail(t, ERR_KEY, "its key is another one than ours, though of the same name");
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
		return fail(t, ERR_KEY, "it does not know the cluster's key");
	default:
		return fail(t, ERR_PROTO, "it does not speak rota's protocol");
	}
}

/* 1: it is over and used the key; 0: more is needed; or the error */
static ssize_t
handshake(struct tls *t)
{
	struct tls_impl *m = t->impl;
	ssize_t k;
	int r;

	if (!m->server && !m->begun && m->left) {
		if ((k = read_hint(t)) <= 0)
			return k;
		m->begun = true;
	}
	ERR_clear_error();
	if ((r = SSL_do_handshake(m->ssl)) <= 0)
		return failed(t, r);
	if (!SSL_session_reused(m->ssl))	/* it ended well, but by means of something else than the key */
		return m->unknown ? unknown_key(t) : fail(t, ERR_KEY, "it does not know the cluster's key");
	t->ready = true;
	return 1;
}

void
tls_feed(struct tls *t, const void *p, size_t n)
{
	t->impl->in = p;
	t->impl->left = n;
}

ssize_t
tls_read(struct tls *t, void *p, size_t n)
{
	struct tls_impl *m = t->impl;
	ssize_t k;
	int r;

	if (m->dead)
		return ERR_CLOSED;
	if (!t->ready && (k = handshake(t)) <= 0)
		return k;
	ERR_clear_error();
	r = SSL_read(m->ssl, p, n < INT_MAX ? (int)n : INT_MAX);
	return r > 0 ? r : failed(t, r);
}

int
tls_write(struct tls *t, const void *p, size_t n)
{
	struct tls_impl *m = t->impl;
	size_t put;

	if (m->dead)
		return ERR_CLOSED;
	if (!t->ready)
		return -EAGAIN;
	ERR_clear_error();
	if (n && !SSL_write_ex(m->ssl, p, n, &put)) {
		fail(t, m->error < 0 ? m->error : ERR_PROTO, "the connection broke");
		return m->error < 0 ? m->error : ERR_PROTO;
	}
	return 0;
}

void
tls_end(struct tls *t)
{
	if (t->ready && !t->impl->dead)
		SSL_shutdown(t->impl->ssl);
}
