/*
 * joblog.c - rmap's job log as a file that anybody may have written: it is read, or refused with a line
 */
#include "../fuzz.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>

static jmp_buf refused;
#define BASE_DIE_H
#define die(code, ...) longjmp(refused, code)
#define warn(...) ((void)0)

/* what a program that ends leaves to the kernel */
static FILE *opened;
static char *line_read;

static FILE *
note_open(int fd, const char *mode)
{
	return opened = fdopen(fd, mode);
}

static ssize_t
note_line(char **s, size_t *cap, FILE *f)
{
	ssize_t n = getline(s, cap, f);

	line_read = *s;
	return n;
}

#define fdopen note_open
#define getline note_line
#include "../../cmd/rmap/report.c"
#undef fdopen
#undef getline
#include "../../cmd/rmap/quote.c"

void
run_end(struct run *r, int sig)
{
	(void)r, (void)sig;
	abort();
}

void
out_write(struct run *r, int fd, const void *p, size_t n)
{
	(void)r, (void)fd, (void)p, (void)n;
}

void
fuzz_one(const unsigned char *p, size_t n)
{
	static struct options o;
	static char path[32];
	int fd = memfd_create("fuzz", 0);
	volatile int code;

	if (fd < 0 || pwrite(fd, heading, sizeof heading - 1, 0) < 0 || pwrite(fd, p, n, sizeof heading - 1) != (ssize_t)n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	o.joblog = path;
	o.resume = true;
	o.ok[0] = true;
	if ((code = setjmp(refused)) == 0) {
		log_read(&o);
		opened = NULL;
		for (size_t i = 0; i + 1 < nlogged; i++)
			fuzz_must(logged[i].seq < logged[i + 1].seq || (logged[i].seq == logged[i + 1].seq && logged[i].line < logged[i + 1].line));
		for (uint64_t seq = 0; seq < 4; seq++)
			report_has(&o, seq, "echo\0x y", 2);
	}
	fuzz_must(code == 0 || code == 2);
	if (code && opened) {
		fclose(opened);
		free(line_read);
	}
	for (size_t i = 0; i < nlogged; i++)
		free(logged[i].command);
	free(logged);
	logged = NULL;
	free(cut_line);
	cut_line = NULL;
	nlogged = 0;
	close(fd);
}

void
fuzz_seeds(void)
{
	static const char a[] = "1\tn\t1.5\t0.1\t0\t3\t0\t0\techo 'x y'\n3\tn\t1.5\t0.1\t0\t3\t2\t9\techo z\n2\tn\t1.5\t0.1\t0\t3\t0\t0\techo b\n";

	fuzz_seed(a, sizeof a - 1);
	fuzz_seed(a, 40);
}
