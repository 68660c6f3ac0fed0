#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "os/fd.h"
#include "os/key.h"

#define WORD "rota-key-1:"
#define UNTIL "# until "
enum { BASE64 = 44, FILE_MAX = 64 << 10 };	/* BASE64: digits of KEY_BYTES */

/* --- keys ------------------------------------------------------------------------------------------------------------------- */

int
key_derive(const struct key *k, const char *label, unsigned char out[KEY_BYTES])
{
	char digest[] = "SHA256", info[64];
	int n = snprintf(info, sizeof info, "rota1 %s", label), good;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *c = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(size_t)k->secret, KEY_BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)n),
		OSSL_PARAM_construct_end(),
	};

	good = c && (size_t)n < sizeof info && EVP_KDF_derive(c, out, KEY_BYTES, p) > 0;
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
	return good ? 0 : -EIO;
}

static int
name(struct key *k)
{
	unsigned char b[KEY_BYTES];
	int e = key_derive(k, "id", b);

	if (e == 0)
		snprintf(k->id, sizeof k->id, "%02x%02x-%02x%02x", b[0], b[1], b[2], b[3]);
	return e;
}

int
key_new(struct key *k)
{
	return getrandom(k->secret, sizeof k->secret, 0) == KEY_BYTES ? name(k) : -errno;
}

void
keys_wipe(struct keys *k)
{
	OPENSSL_cleanse(k, sizeof *k);
}

/* --- the file --------------------------------------------------------------------------------------------------------------- */

static int
fail(int e, char *why, size_t n, const char *path, const char *text)
{
	snprintf(why, n, "key file '%s' %s", path, text);
	return e;
}

static int
wrong_line(char *why, size_t n, const char *path, unsigned line, const char *text)
{
	snprintf(why, n, "%s:%u: %s", path, line, text);
	return ERR_VALUE;
}

static uint32_t
until_of(const char *s, const char *end)	/* "# until 1764000000"; 0: that is not what it says */
{
	char text[40];
	unsigned n;

	snprintf(text, sizeof text, "%.*s", (int)(end - s), s);
	return (size_t)(end - s) < sizeof text && strncmp(text, UNTIL, strlen(UNTIL)) == 0 && num_uint(text + strlen(UNTIL), &n) == 0 ? n : 0;
}

/* [s, end) is a line without its end */
static int
parse_line(struct keys *k, const char *s, const char *end, const char **text)
{
	unsigned char out[BASE64 / 4 * 3];
	struct key *key = &k->key[k->n];
	const char *comment;
	uint32_t until = 0;
	int e;

	while (s < end && isspace((unsigned char)*s))
		s++;
	while (s < end && isspace((unsigned char)end[-1]))
		end--;
	if (s == end || *s == '#')
		return 0;
	*text = "expected # until and a number of seconds since 1970 behind the key";
	if ((comment = memchr(s, '#', (size_t)(end - s))) != NULL) {
		if ((until = until_of(comment, end)) == 0)
			return ERR_VALUE;
		for (end = comment; isspace((unsigned char)end[-1]);)
			end--;
	}
	*text = "expected " WORD "BASE64 or a comment";
	if ((size_t)(end - s) < strlen(WORD) || memcmp(s, WORD, strlen(WORD)) != 0)
		return ERR_VALUE;
	s += strlen(WORD);
	*text = "expected 32 bytes in base64, which are 44 characters";
	if (end - s != BASE64 || end[-1] != '=' || end[-2] == '=' || EVP_DecodeBlock(out, (const unsigned char *)s, BASE64) != sizeof out)
		return ERR_VALUE;
	*text = "more than 8 keys";
	if (k->n == KEYS_MAX)
		return ERR_VALUE;
	memcpy(key->secret, out, KEY_BYTES);
	OPENSSL_cleanse(out, sizeof out);
	*text = "the library has no HKDF";
	if ((e = name(key)) < 0)
		return e;
	*text = "the same key twice";
	for (unsigned i = 0; i < k->n; i++)
		if (CRYPTO_memcmp(k->key[i].secret, key->secret, KEY_BYTES) == 0)
			return ERR_VALUE;
	if (until && until <= clock_wall_ns() / CLOCK_SEC) {
		OPENSSL_cleanse(key, sizeof *key);
		return 0;
	}
	k->until[k->n] = until;
	k->n++;
	return 0;
}

static int
parse(struct keys *k, const char *s, size_t len, const char *path, char *why, size_t n)
{
	const char *end = s + len, *text = "";
	unsigned line = 0;

	for (const char *next; s < end; s = next) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));

		next = nl ? nl + 1 : end;
		line++;
		if (parse_line(k, s, nl ? nl : end, &text) < 0)
			return wrong_line(why, n, path, line, text);
	}
	return k->n ? 0 : fail(ERR_VALUE, why, n, path, "has no key in it");
}

static int
check(int fd, const char *path, char *why, size_t n)
{
	struct stat st;
	char text[80];

	if (fstat(fd, &st) < 0)
		return fail(-errno, why, n, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(ERR_VALUE, why, n, path, "is no regular file");
	if (st.st_uid != geteuid()) {
		snprintf(text, sizeof text, "belongs to uid %u", (unsigned)st.st_uid);
		return fail(-EPERM, why, n, path, text);
	}
	if (st.st_mode & 077) {
		snprintf(text, sizeof text, "can be read by others (mode %04o); chmod 600 it", (unsigned)st.st_mode & 07777);
		return fail(-EACCES, why, n, path, text);
	}
	return st.st_size <= FILE_MAX ? 0 : fail(ERR_VALUE, why, n, path, "is longer than 64 KiB");
}

int
keys_read(struct keys *k, const char *path, char *why, size_t n)
{
	static const struct keys none;
	char text[FILE_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), e;
	size_t len = 0;
	ssize_t r = 1;

	*k = none;
	if (fd < 0) {
		e = -errno;
		snprintf(why, n, "cannot open key file '%s': %s", path, strerror(-e));
		return e;
	}
	if ((e = check(fd, path, why, n)) == 0) {
		while (len < sizeof text && (r = read(fd, text + len, sizeof text - len)) > 0)
			len += (size_t)r;
		e = r < 0 ? fail(-errno, why, n, path, strerror(errno)) : parse(k, text, len, path, why, n);
	}
	OPENSSL_cleanse(text, len);
	close(fd);
	if (e < 0)
		keys_wipe(k);
	return e;
}

int
key_file_changed(struct key_file *f, struct keys *k)
{
	struct stat st;
	uint64_t changed;
	char why[256];

	if (stat(f->path, &st) < 0)
		return 0;
	changed = (uint64_t)st.st_mtim.tv_sec * CLOCK_SEC + (uint64_t)st.st_mtim.tv_nsec;
	if (changed == f->changed && st.st_ino == f->inode && (f->until == 0 || f->until > clock_wall_ns() / CLOCK_SEC))
		return 0;
	f->changed = changed;
	f->inode = st.st_ino;
	f->until = 0;
	if (keys_read(k, f->path, why, sizeof why) < 0)
		return 0;
	for (unsigned i = 0; i < k->n; i++)
		if (k->until[i] && (f->until == 0 || k->until[i] < f->until))
			f->until = k->until[i];
	return 1;
}

static int
make_directories(const char *path)	/* all above it */
{
	char dir[4096];
	size_t n = strlen(path);

	if (n >= sizeof dir)
		return -ENAMETOOLONG;
	memcpy(dir, path, n + 1);
	for (char *p = dir + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int
keys_write(const struct keys *k, const char *path, int new, char *why, size_t n)
{
	char tmp[4096], line[sizeof WORD + BASE64 + 40];
	int fd, e, len;

	snprintf(why, n, "cannot write key file '%s'", path);
	if ((e = make_directories(path)) < 0)
		goto out;
	if ((size_t)snprintf(tmp, sizeof tmp, "%s.%d", path, (int)getpid()) >= sizeof tmp) {
		e = -ENAMETOOLONG;
		goto out;
	}
	unlink(tmp);
	if ((fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0) {
		e = -errno;
		goto out;
	}
	for (unsigned i = 0; i < k->n && e == 0; i++) {
		len = snprintf(line, sizeof line, "%s", WORD);
		len += EVP_EncodeBlock((unsigned char *)line + len, k->key[i].secret, KEY_BYTES);
		len += k->until[i] ? snprintf(line + len, sizeof line - (size_t)len, " " UNTIL "%u\n", (unsigned)k->until[i]) :
		    snprintf(line + len, sizeof line - (size_t)len, "\n");
		e = fd_write_all(fd, line, (size_t)len);
	}
	OPENSSL_cleanse(line, sizeof line);
	if (e == 0 && fsync(fd) < 0)
		e = -errno;
	close(fd);
	if (e == 0 && (new ? link(tmp, path) : rename(tmp, path)) < 0)
		e = -errno;
	if (e < 0 || new)
		unlink(tmp);
out:
	if (e < 0)
		snprintf(why + strlen(why), n - strlen(why), ": %s", err_str(e));
	return e < 0 ? e : 0;
}
