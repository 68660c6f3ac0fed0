/* os_key.c - key files are read and written whole or not at all; what others may read is refused; derived keys are RFC 5869's */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include "tap.h"
#include "base/err.h"
#include "os/key.h"

/* of 00 01 .. 1f; the derived ones were made by another implementation of HKDF-SHA256, without salt */
#define FIRST "rota-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
static const unsigned char tls[] = { 0x8d, 0x57, 0x64, 0xb6, 0x37, 0x15, 0xbb, 0xa3, 0xaf, 0xd7, 0xe7, 0xac, 0xad, 0x3c, 0xc6, 0x67,
	0x99, 0xda, 0xd0, 0xed, 0xbd, 0x61, 0x35, 0x4b, 0x2a, 0x29, 0x9d, 0x3a, 0xdb, 0x06, 0x39, 0x86 };
static char dir[] = "/tmp/rota-key.XXXXXX", path[64], why[256];

static int
read_text(const char *text, mode_t mode, struct keys *k)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path, mode) < 0)
		return -1;
	return keys_read(k, path, why, sizeof why);
}

static bool
refused(const char *text, const char *reason)
{
	struct keys k;
	int e = read_text(text, 0600, &k);

	if (e == ERR_VALUE && strstr(why, reason))
		return true;
	printf("# %d: %s\n", e, why);
	return false;
}

int
main(void)
{
	unsigned char out[KEY_BYTES];
	struct keys k, back;
	struct key a, b;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/a/b/c.key", dir);
	ok(keys_read(&k, path, why, sizeof why) == -ENOENT && strstr(why, path));

	ok(key_new(&a) == 0 && key_new(&b) == 0 && memcmp(a.secret, b.secret, KEY_BYTES) != 0 && strcmp(a.id, b.id) != 0);
	k = (struct keys){ .n = 2, .key = { a, b } };
	ok(keys_write(&k, path, 1, why, sizeof why) == 0);
	ok(keys_read(&back, path, why, sizeof why) == 0 && back.n == 2 && !memcmp(&back, &k, sizeof k));
	ok(keys_write(&k, path, 1, why, sizeof why) == -EEXIST && strstr(why, path));
	k.key[0] = b;
	k.n = 1;
	ok(keys_write(&k, path, 0, why, sizeof why) == 0 && keys_read(&back, path, why, sizeof why) == 0 && back.n == 1 &&
	    strcmp(back.key[0].id, b.id) == 0);

	ok(read_text("# a comment\n\n  " FIRST " \r\n", 0600, &k) == 0 && k.n == 1 && strcmp(k.key[0].id, "ff52-7b72") == 0);
	ok(key_derive(&k.key[0], "tls", out) == 0 && memcmp(out, tls, sizeof out) == 0);
	ok(read_text(FIRST, 0600, &k) == 0 && k.n == 1);		/* no newline at the end */
	ok(read_text(FIRST " # until 4000000000\n", 0600, &k) == 0 && k.n == 1 && k.until[0] == 4000000000u);
	ok(refused(FIRST " # until 1000000000\n", "has no key") && refused(FIRST " # till\n", ":1: expected # until"));
	{
		struct key_file f = { .path = path };

		ok(read_text(FIRST " # until 4000000000\n", 0600, &k) == 0 && key_file_changed(&f, &k) == 1 && k.n == 1 && key_file_changed(&f, &k) == 0);
		k.until[0] = 0;
		ok(keys_write(&k, path, 0, why, sizeof why) == 0 && key_file_changed(&f, &k) == 1 && k.until[0] == 0);
		ok(chmod(path, 0644) == 0 && utimes(path, (struct timeval[2]){ { 1, 0 }, { 1, 0 } }) == 0 && key_file_changed(&f, &k) == 0);
	}
	ok(read_text(FIRST "\n", 0640, &k) == -EACCES && strstr(why, "(mode 0640); chmod 600 it") && k.n == 0);
	ok(refused("", "has no key") && refused("# only this\n", "has no key"));
	ok(refused(FIRST "\n" FIRST "\n", ":2: the same key twice"));
	ok(refused("\nrota-key-2:AAEC\n", ":2: expected rota-key-1:BASE64"));
	ok(refused("rota-key-1:AAECAwQFBgcICQoLDA0ODw==\n", "32 bytes") && refused(FIRST "=\n", "32 bytes"));
	ok(refused("rota-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh!=\n", "32 bytes"));
	ok(chdir(dir) == 0 && keys_read(&k, dir, why, sizeof why) == ERR_VALUE && strstr(why, "no regular file"));
	ok(chmod(path, 0600) == 0 && (geteuid() || chown(path, 12345, 0) == 0));
	ok(geteuid() || (keys_read(&k, path, why, sizeof why) == -EPERM && strstr(why, "belongs to uid 12345")));
	unlink(path);
	rmdir("a/b"), rmdir("a");
	ok(rmdir(dir) == 0);			/* nothing is left beside it */
	return tap_done();
}
