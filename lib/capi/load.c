#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/err.h"
#include "capi/cfn.h"
#include "capi/load.h"

struct lib {
	struct lib *next;
	struct hash128 hash;
	void *handle;
	char path[];
};

/* the contents as a file of no other name: the loader takes it for a new one */
static void *
load_copy(int fd, const char *path)
{
	char name[64], buf[65536];
	const char *slash = strrchr(path, '/');
	int m = memfd_create(slash ? slash + 1 : path, MFD_CLOEXEC);	/* stays open: its number is its name */
	ssize_t k = 0;

	if (m < 0)
		return NULL;
	lseek(fd, 0, SEEK_SET);
	while ((k = read(fd, buf, sizeof buf)) > 0)
		if (write(m, buf, (size_t)k) != k)
			break;
	snprintf(name, sizeof name, "/proc/self/fd/%d", m);
	return k == 0 ? dlopen(name, RTLD_NOW|RTLD_LOCAL) : NULL;
}

static struct lib *
lib_load(struct lib **libs, const struct cfn *f, char *why, size_t n)
{
	struct lib *l;
	struct hash128 h;
	bool named = false;
	int fd, e;

	for (l = *libs; l; l = l->next)
		if (strcmp(l->path, f->path) == 0) {
			if (hash128_eq(l->hash, f->hash))
				return l;
			named = true;
		}
	if ((fd = open(f->path, O_RDONLY|O_CLOEXEC)) < 0) {
		snprintf(why, n, "cannot open '%s': %s", f->path, err_str(-errno));
		return NULL;
	}
	e = cfn_hash(fd, &h);
	if (e < 0 || !hash128_eq(h, f->hash)) {
		snprintf(why, n, "'%s' has changed since '%s' in it was named: name it again", f->path, f->symbol);
	} else if ((l = malloc(sizeof *l + strlen(f->path) + 1))) {
		if ((l->handle = named ? load_copy(fd, f->path) : dlopen(f->path, RTLD_NOW|RTLD_LOCAL))) {
			l->hash = h;
			strcpy(l->path, f->path);
			l->next = *libs;
			*libs = l;
			close(fd);
			return l;
		}
		snprintf(why, n, "cannot load it: %s", dlerror());
		free(l);
	}
	close(fd);
	return NULL;
}

void *
load_symbol(struct lib **libs, const unsigned char *code, size_t len, char *why, size_t n)
{
	struct cfn f;
	struct lib *l;
	void *p;

	if (cfn_get(&f, code, len) < 0) {
		snprintf(why, n, "the function's bytes make no sense");
		return NULL;
	}
	if (!(l = lib_load(libs, &f, why, n)))
		return NULL;
	if (!(p = dlsym(l->handle, f.symbol)))
		snprintf(why, n, "'%s' has no symbol '%s'", f.path, f.symbol);
	return p;
}
