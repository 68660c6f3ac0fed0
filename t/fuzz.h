/*
 * fuzz.h - what t/fuzz/NAME.c is made of: one function that takes any bytes, and seeds from which a search begins.
 *
 *	void fuzz_one(const unsigned char *p, size_t n);	must return, whatever the bytes; fuzz_must() what must hold
 *	void fuzz_seeds(void);					calls fuzz_seed() with some good inputs
 *
 * With FUZZ defined this is a libFuzzer target (make fuzz T=NAME).  Otherwise it is a test: it runs the seeds, and the
 * inputs of t/corpus/NAME, what searches found worth keeping, and of t/corpus/NAME.kept, each a fault once.  These are
 * text: a line an input, bytes that do not print as \xNN, '#' begins a comment.
 *	NAME.t unpack DIR	writes every input as a file
 *	NAME.t pack DIR		prints the files of DIR as such lines
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"

void	fuzz_one(const unsigned char *p, size_t n);
void	fuzz_seeds(void);

#define fuzz_must(x) do { \
	if (!(x)) { \
		fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #x); \
		abort(); \
	} \
} while (0)

/* --- the bytes as a program: what there is no more of is 0 --- */

struct fuzz {
	const unsigned char *p;
	size_t n;
};

static inline uint64_t
fuzz_int(struct fuzz *f, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && f->n > 0; i++, f->p++, f->n--)
		v |= (uint64_t)*f->p << 8 * i;
	return v;
}

static inline const unsigned char *
fuzz_bytes(struct fuzz *f, size_t most, size_t *n)	/* the next ones, at most so many */
{
	const unsigned char *p = f->p;

	*n = most < f->n ? most : f->n;
	f->p += *n;
	f->n -= *n;
	return p;
}

/* a copy of its own, so that one byte too far is seen; free it.  Never NULL. */
static inline unsigned char *
fuzz_copy(const void *p, size_t n)
{
	unsigned char *q = malloc(n + !n);

	if (!q)
		abort();
	if (n)
		memcpy(q, p, n);
	return q;
}

#ifdef FUZZ

int	LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	fuzz_one(p, n);
	return 0;
}

static inline void
fuzz_seed(const void *p, size_t n)
{
	(void)p, (void)n;
}

#else

static void (*fuzz_with)(const unsigned char *p, size_t n);
static unsigned long fuzz_count;
static const char *fuzz_dir;

static inline void
fuzz_seed(const void *p, size_t n)
{
	unsigned char *q = fuzz_copy(p, n);

	fuzz_count++;
	fuzz_with(q, n);
	free(q);
}

static inline void
fuzz_write(const unsigned char *p, size_t n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%05lu", fuzz_dir, fuzz_count);
	if (!(f = fopen(path, "w")) || fwrite(p, 1, n, f) != n || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static inline void
fuzz_line(char *s)
{
	static const char hex[] = "0123456789abcdef";
	struct buf b = BUF_INIT;

	for (; *s && *s != '\n'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '\\' && s[1] == 'x' && s[2] && s[3]) {
			const char *hi = strchr(hex, s[2]), *lo = strchr(hex, s[3]);

			fuzz_must(hi && lo);
			c = (unsigned char)((hi - hex) << 4 | (lo - hex));
			s += 3;
		}
		fuzz_must(buf_add(&b, &c, 1) == 0);
	}
	fuzz_seed(b.data ? (const void *)b.data : "", b.len);
	buf_release(&b);
}

static inline void
fuzz_file(const char *name, const char *end)
{
	char path[4096], *line = NULL;
	size_t cap = 0;
	FILE *f;

	snprintf(path, sizeof path, "t/corpus/%s%s", name, end);
	if (!(f = fopen(path, "r")))
		return;
	while (getline(&line, &cap, f) > 0)
		if (*line != '#')
			fuzz_line(line);
	free(line);
	fclose(f);
}

static inline int
fuzz_pack(const char *dir)
{
	struct dirent **v;
	int n = scandir(dir, &v, NULL, alphasort), c;
	char path[4096];

	for (int i = 0; i < n; i++) {
		FILE *f;

		snprintf(path, sizeof path, "%s/%s", dir, v[i]->d_name);
		if (v[i]->d_name[0] == '.' || !(f = fopen(path, "r")))
			continue;
		for (bool first = true; (c = getc(f)) != EOF; first = false)
			if (c < ' ' || c > '~' || c == '\\' || (first && c == '#'))
				printf("\\x%02x", (unsigned)c);
			else
				putchar(c);
		putchar('\n');
		fclose(f);
	}
	for (int i = 0; i < n; i++)
		free(v[i]);
	if (n >= 0)
		free(v);
	return n < 0 || fflush(stdout) != 0;
}

int
main(int argc, char *argv[])
{
	const char *name = strrchr(__BASE_FILE__, '/');
	char target[64];

	name = name ? name + 1 : __BASE_FILE__;
	snprintf(target, sizeof target, "%.*s", (int)strcspn(name, "."), name);
	if (argc == 3 && strcmp(argv[1], "pack") == 0)
		return fuzz_pack(argv[2]);
	fuzz_with = fuzz_one;
	if (argc == 3 && strcmp(argv[1], "unpack") == 0)
		fuzz_dir = argv[2], fuzz_with = fuzz_write;
	fuzz_seeds();
	fuzz_file(target, "");
	fuzz_file(target, ".kept");
	if (!fuzz_dir)
		printf("ok 1 - %s: %lu inputs\n1..1\n", target, fuzz_count);
	return 0;
}

#endif
#endif
