/*
 * key.c - what users write of clusters: key files (the first byte even), and names of hosts (odd)
 */
#include "../fuzz.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/err.h"
#include "os/key.h"
#include "os/tcp.h"

static void
file(const unsigned char *p, size_t n)
{
	char path[64], why[300] = "";
	struct keys k, again;
	int fd = memfd_create("key", MFD_CLOEXEC), e;

	fuzz_must(fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, p, n) == (ssize_t)n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	e = keys_read(&k, path, why, sizeof why);
	fuzz_must(e == 0 || e == ERR_VALUE);
	if (e < 0) {
		fuzz_must(k.n == 0 && strstr(why, path) && !strchr(why, '\n'));
		close(fd);
		return;
	}
	fuzz_must(k.n > 0 && k.n <= KEYS_MAX);
	for (unsigned i = 0; i < k.n; i++)
		fuzz_must(strlen(k.key[i].id) == KEY_ID - 1 && k.key[i].id[4] == '-');
	fuzz_must(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 && fchmod(fd, 0640) == 0);
	e = keys_read(&again, path, why, sizeof why);
	fuzz_must(e == -EACCES && again.n == 0);
	close(fd);
}

static void
host(const unsigned char *p, size_t n)
{
	char *s = malloc(n + 1);
	struct tcp_name t, was = { "h", "1" };

	fuzz_must(s != NULL);
	memcpy(s, p, n);
	s[n] = '\0';
	t = was;
	if (tcp_parse(&t, s) < 0)
		fuzz_must(memcmp(&t, &was, sizeof t) == 0);
	else
		fuzz_must(memchr(t.host, 0, sizeof t.host) && memchr(t.port, 0, sizeof t.port) && t.port[0] &&
		    strspn(t.port, "0123456789") == strlen(t.port));
	free(s);
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	if (n > 0 && *p & 1)
		host(p + 1, n - 1);
	else if (n > 0)
		file(p + 1, n - 1);
}

void
fuzz_seeds(void)
{
	static const char *const s[] = {
		"0# lab\nrota-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\nrota-key-1:BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
		"0rota-key-1:AAEC\n", "0rota-key-2:", "0", "1node1:7411", "1[fe80::1%eth0]:7411", "1:7411", "1*", "1::1", "1a:99999", "1[", "1a:",
	};

	for (size_t i = 0; i < sizeof s / sizeof *s; i++)
		fuzz_seed(s[i], strlen(s[i]));
}
