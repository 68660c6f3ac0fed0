/* loop_tls.c - only who has the key is spoken to: other keys, impostors with certificates, other versions, changed and reflected bytes */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include "tap.h"
#include "base/err.h"
#include "loop/tls.h"

static unsigned seed = 1;

static unsigned
rnd(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16 & 0x7fff ? (seed >> 16 & 0x7fff) % n : 0;
}

/* what one has to send reaches the other, in pieces of at most piece bytes; what it says is appended to got; 0 or its error */
static int
carry(struct tls *from, struct tls *to, size_t piece, struct buf *got)
{
	unsigned char part[70000];
	ssize_t k = 0;

	while (from->out.len && k >= 0) {
		size_t n = piece < from->out.len ? piece : from->out.len;
		unsigned char *p = malloc(n);

		memcpy(p, from->out.data, n);
		buf_drop(&from->out, n);
		tls_feed(to, p, n);
		while ((k = tls_read(to, part, 1 + rnd(sizeof part))) > 0)
			if (got)
				buf_add(got, part, (size_t)k);
		free(p);
	}
	return (int)k;
}

/* as far as it goes: *ec and *es are what each says */
static void
shake(struct tls *c, struct tls *s, size_t piece, int *ec, int *es)
{
	*ec = *es = 0;
	for (unsigned i = 0; i < 10 && *ec == 0 && (c->out.len || s->out.len); i++) {
		if (*es == 0)
			*es = carry(c, s, piece, NULL);
		*ec = carry(s, c, piece, NULL);
	}
}

static struct keys
keys_of(unsigned n, const struct key *a, const struct key *b)
{
	struct keys k = { .n = n };

	k.key[0] = *a;
	if (b)
		k.key[1] = *b;
	return k;
}

static void
pair(struct tls *c, const struct keys *ck, struct tls *s, const struct keys *sk)
{
	struct tls_ctx *x = tls_ctx_new(ck), *y = tls_ctx_new(sk);

	if (!x || !y || tls_open(c, x, false) < 0 || tls_open(s, y, true) < 0)
		exit(1);
	tls_ctx_free(x);			/* its connections live on */
	tls_ctx_free(y);
}

static bool
echoes(struct tls *a, struct tls *b, size_t n, size_t piece)
{
	unsigned char *p = malloc(n);
	struct buf got = BUF_INIT;
	bool good;
	int e = 0;

	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)rnd(256);
	for (size_t at = 0; at < n && e == 0;) {
		size_t part = 1 + rnd(30000);

		part = part < n - at ? part : n - at;
		e = tls_write(a, p + at, part);
		at += part;
	}
	e = e < 0 ? e : carry(a, b, piece, &got);
	good = e == 0 && got.len == n && memcmp(got.data, p, n) == 0;
	if (!good)
		printf("# %d, %zu of %zu bytes: %s\n", e, got.len, n, b->why);
	buf_release(&got);
	free(p);
	return good;
}

/* --- the same key ------------------------------------------------------------------------------------------------------------ */

static void
same(const struct key *a, const struct key *b)
{
	struct keys ck = keys_of(1, a, NULL), sk = keys_of(2, b, a);
	static const size_t piece[] = { 1, 7, 1000, 1 << 20 };
	struct tls c, s;
	unsigned char x[8];
	int ec, es;

	for (unsigned i = 0; i < 4; i++) {
		pair(&c, &ck, &s, &sk);
		ok(tls_write(&c, "x", 1) == -EAGAIN && !c.ready);
		shake(&c, &s, piece[i], &ec, &es);
		ok(ec == 0 && es == 0 && c.ready && s.ready);
		ok(strcmp(s.key, a->id) == 0 && strcmp(c.key, a->id) == 0);	/* the second of the server's */
		ok(s.out.len == 0 && c.out.len == 0);				/* no tickets */
		ok(echoes(&c, &s, 300000, i ? piece[i] : 3) && echoes(&s, &c, 100000, piece[i] * 5));
		tls_end(&c);
		ok(carry(&c, &s, 1 << 20, NULL) == ERR_CLOSED && tls_read(&s, x, sizeof x) == ERR_CLOSED);
		tls_release(&c);
		tls_release(&s);
	}
}

/* --- other keys ---------------------------------------------------------------------------------------------------------------- */

static void
others(const struct key *a, const struct key *b)
{
	struct keys ck = keys_of(1, a, NULL), sk = keys_of(1, b, NULL);
	struct tls c, s;
	char text[160];
	int ec, es;

	for (size_t piece = 1; piece < 2000; piece += 1000) {
		pair(&c, &ck, &s, &sk);
		shake(&c, &s, piece, &ec, &es);
		snprintf(text, sizeof text, "refused our key %s; it accepts %s", a->id, b->id);
		if (!ok(es == ERR_KEY && ec == ERR_KEY && strcmp(c.why, text) == 0 && !c.ready && !s.ready))
			printf("# %d %d '%s' '%s'\n", es, ec, c.why, s.why);
		ok(tls_write(&c, "x", 1) == ERR_CLOSED && tls_write(&s, "x", 1) == ERR_CLOSED);
		tls_release(&c);
		tls_release(&s);
	}
	sk = ck;				/* of the same name, not the same: nobody but a forger has such a one */
	sk.key[0].secret[7] ^= 1;
	pair(&c, &ck, &s, &sk);
	shake(&c, &s, 1 << 20, &ec, &es);
	if (!ok(es == ERR_KEY && ec == ERR_KEY && !c.ready && !s.ready))
		printf("# %d %d '%s' '%s'\n", es, ec, c.why, s.why);
	tls_release(&c);
	tls_release(&s);
}

/* --- peers that are made otherwise ------------------------------------------------------------------------------------------ */

static SSL_CTX *
stranger(bool server, int version)		/* trusts everybody; as a server it has a certificate */
{
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, k);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"node1", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_sign(x, k, EVP_sha256());
	SSL_CTX_use_certificate(c, x);
	SSL_CTX_use_PrivateKey(c, k);
	SSL_CTX_set_max_proto_version(c, version);
	SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	X509_free(x);
	EVP_PKEY_free(k);
	return c;
}

/* our side against the stranger's: our error, or 0 if it never came; *over: the stranger thinks that all is well */
static int
against(struct tls *t, bool server, int version, bool *over)
{
	SSL_CTX *c = stranger(!server, version);
	SSL *ssl = SSL_new(c);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	unsigned char part[4096];
	ssize_t k = 0;
	int n;

	SSL_set_bio(ssl, in, out);
	if (server)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	for (unsigned i = 0; i < 10 && k >= 0; i++) {
		SSL_do_handshake(ssl);
		if ((n = BIO_read(out, part, sizeof part)) > 0) {
			tls_feed(t, part, (size_t)n);
			k = tls_read(t, part, sizeof part);
		}
		BIO_write(in, t->out.data, (int)t->out.len);
		buf_drop(&t->out, t->out.len);
	}
	*over = SSL_is_init_finished(ssl) && !SSL_get_error(ssl, SSL_do_handshake(ssl));
	SSL_free(ssl);
	SSL_CTX_free(c);
	return (int)k;
}

static void
strangers(const struct key *a)
{
	static const int version[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	struct keys k = keys_of(1, a, NULL);
	struct tls_ctx *x = tls_ctx_new(&k);
	struct tls t;
	bool over;
	int e;

	for (unsigned i = 0; i < 2; i++)
		for (unsigned server = 0; server < 2; server++) {
			if (tls_open(&t, x, server) < 0)
				exit(1);
			e = against(&t, server, version[i], &over);
			if (!ok((e == ERR_KEY || e == ERR_PROTO) && !t.ready && !(server && over) && (i || e == ERR_KEY)))
				printf("# as %s, version %x: %d %s\n", server ? "server" : "client", version[i], e, t.why);
			tls_release(&t);
		}
	tls_ctx_free(x);
}

static void
rubbish(const struct key *a)
{
	static const char *const text[] = { "GET / HTTP/1.1\r\n\r\n", "rota1 accepts ffff-ffff\033[2J\n", "rota1 accepts", "rota1\n",
	    "rota1 accepts 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01 01\n" };
	struct keys k = keys_of(1, a, NULL);
	struct tls_ctx *x = tls_ctx_new(&k);
	unsigned char p[64];
	struct tls t;

	for (unsigned i = 0; i < 5; i++)
		for (unsigned server = 0; server < 2; server++) {
			ssize_t e;

			if (tls_open(&t, x, server) < 0)
				exit(1);
			tls_feed(&t, text[i], strlen(text[i]));
			e = tls_read(&t, p, sizeof p);
			if (!ok((e == ERR_PROTO || (!server && i == 2 && e == 0)) && !t.ready && t.out.len < 1000 && !strchr(t.why, '\033')))
				printf("# %u %u: %zd %s\n", i, server, e, t.why);
			tls_release(&t);
		}
	if (tls_open(&t, x, false) < 0)		/* a mirror */
		exit(1);
	{
		struct buf own = t.out;
		ssize_t e;

		t.out = (struct buf)BUF_INIT;
		tls_feed(&t, own.data, own.len);
		e = tls_read(&t, p, sizeof p);
		ok(e == ERR_PROTO && !t.ready);
		buf_release(&own);
	}
	tls_release(&t);
	tls_ctx_free(x);
}

/* one bit of what goes from c to s, or back, changes on its way: nobody gets anything but what was written */
static void
changed(const struct key *a)
{
	struct keys k = keys_of(1, a, NULL);
	unsigned caught = 0, rounds = 400;

	for (unsigned i = 0; i < rounds; i++) {
		unsigned when = rnd(4), ready = 0;
		struct buf got = BUF_INIT;
		struct tls c, s;
		bool done = false;
		int e = 0;

		pair(&c, &k, &s, &k);
		for (unsigned step = 0; step < 6 && e == 0; step++) {
			struct tls *from = step % 2 ? &s : &c, *to = step % 2 ? &c : &s;

			if (from->ready)
				tls_write(from, "hello", 5);
			if (step >= when && !done && from->out.len) {
				from->out.data[rnd((unsigned)from->out.len)] ^= (unsigned char)(1 << rnd(8));
				done = true;
			}
			got.len = 0;
			e = carry(from, to, 1 << 20, &got);
			if (got.len && (got.len != 5 || memcmp(got.data, "hello", 5) != 0))
				ready |= 2;
		}
		caught += done && e < 0 && !(ready & 2);
		buf_release(&got);
		tls_release(&c);
		tls_release(&s);
	}
	printf("# %u of %u changes were found at once\n", caught, rounds);
	ok(caught > rounds * 9 / 10);		/* the rest: bits of a record's length, which wait for more, and legacy fields */
}

int
main(void)
{
	struct keys none = { 0 };
	struct key a, b;

	if (key_new(&a) < 0 || key_new(&b) < 0)
		return 1;
	ok(tls_ctx_new(&none) == NULL);
	same(&a, &b);
	others(&a, &b);
	strangers(&a);
	rubbish(&a);
	changed(&a);
	return tap_done();
}
