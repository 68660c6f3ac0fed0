/*
 * put - bytes become one object that holds one string and is given to the node.  A regular file is read in place; what
 * has no known size is collected first.  Whatever its length, the string lies out of band in the arena: only what lies
 * there can be given away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/die.h"
#include "base/err.h"
#include "base/num.h"
#include "os/dir.h"
#include "robj.h"
#include "wire/mp.h"

enum { PIECE = 1 << 20, OOB_BODY = 13 };

static const struct opt opts[] = {
	{ OPT_TTL, "ttl", "TIME", "forget it after TIME" },
	{ OPT_NAME, "name", "NAME", "a name for it" },
	COMMON_OPTS,
	{ 0 }
};

static struct client *cl;

/* reads n bytes in pieces, so that a signal ends it soon; fewer: -ENODATA */
static int
read_in(int fd, unsigned char *p, size_t n)
{
	while (n) {
		ssize_t k = read(fd, p, n < PIECE ? n : PIECE);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -ENODATA;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int
read_all(int fd, struct buf *b)
{
	for (;;) {
		ssize_t k;
		int e = buf_reserve(b, PIECE);

		if (e < 0)
			return e;
		k = read(fd, b->data + b->len, b->cap - b->len);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : 0;
		b->len += (size_t)k;
	}
}

/* an object of one string of n bytes; they go to *to */
static int
create(size_t n, struct rec **r, unsigned char **to)
{
	uint64_t size = n;
	unsigned char head[OOB_BODY + MP_MAX_HEAD], body[OOB_BODY] = { 0 }, *end;
	struct obj o;
	int e;

	if (n) {
		le_put64(body + 4, n);
		end = mp_w_ext(head, VAL_OOB, body, sizeof body);
	} else {
		end = mp_w_str(head, "", 0);
	}
	if ((e = client_create(cl, &size, n > 0, (size_t)(end - head), &o, r)) < 0)
		return e;
	memcpy(o.head, head, (size_t)(end - head));
	*to = n ? obj_buf(client_arena(cl), &o, 0, NULL) : NULL;
	return 0;
}

static void
full(int e, const char *what)
{
	if (e == ERR_FULL && *client_full(cl))
		warn(0, "cannot put '%s': %s", what, client_full(cl));
	else
		warn(e, "cannot put '%s'", what);
}

/* 0 and a sealed object; else the exit status, and the reason was told */
static int
make(int fd, const char *what, struct rec **r)
{
	struct buf b = BUF_INIT;
	struct stat st;
	off_t at = lseek(fd, 0, SEEK_CUR);
	unsigned char *to;
	int e;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		warn(-EISDIR, "cannot read '%s'", what);
		return 1;
	}
	if (at >= 0 && S_ISREG(st.st_mode) && st.st_size > at) {
		if ((e = create((size_t)(st.st_size - at), r, &to)) < 0)
			goto store;
		if ((e = read_in(fd, to, (size_t)(st.st_size - at))) == 0)
			goto seal;
		client_abort(cl, *r);
		goto input;
	}
	if ((e = read_all(fd, &b)) < 0)
		goto input;
	if ((e = create(b.len, r, &to)) < 0)
		goto store;
	if (b.len)
		arena_copy(to, b.data, b.len);
seal:
	buf_release(&b);
	client_seal(cl, *r, 1, 0);
	return 0;
store:
	buf_release(&b);
	full(e, what);
	return 125;
input:
	buf_release(&b);
	if (e == -ENODATA)
		warn(0, "cannot put '%s': it became shorter while it was read", what);
	else
		warn(e, "cannot read '%s'", what);
	return e == -ENOMEM ? 125 : 1;
}

static int
put(int fd, const char *what, const char *name, uint64_t ttl)
{
	char id[ID_TEXT], why[512];
	struct rec *r;
	int e = make(fd, what, &r);

	if (e != 0)
		return e;
	if ((e = client_keep(cl, r, name, ttl)) < 0) {
		if (e == -EEXIST && name)
			warn(0, "cannot put '%s': an object '%s' exists; remove it with 'robj rm %s'", what, name, name);
		else
			full(e, what);
		client_release(cl, r);
		return e == -EEXIST || e == -ENAMETOOLONG ? 1 : 125;
	}
	puts(id_format(id, client_id(cl, r)));
	if (fflush(stdout) || ferror(stdout)) {		/* nobody would ever know its id */
		e = -errno;
		client_remove(cl, client_id(cl, r), why, sizeof why);
		die(125, e, "cannot write to stdout");
	}
	if (common.verbose)
		warn(0, "'%s': %llu bytes kept until %s", what, (unsigned long long)client_size(r),
		    ttl ? "their time is over" : "'robj rm'");
	client_release(cl, r);
	return 0;
}

static int
on_node(void *arg, struct span row)
{
	static const char local[] = "/" DIR_LOCAL;

	*(bool *)arg = memmem(row.p, row.n, local, sizeof local - 1) != NULL;
	return 0;
}

static void
warn_short(void)				/* of a node that ends by itself */
{
	char why[256];
	bool lasting = false;

	if (client_list(cl, "node", on_node, &lasting, why, sizeof why) == 0 && !lasting)
		warn(0, "this node ends with the last program that uses it, and its objects too; 'rota up' starts one that stays");
}

int
cmd_put(int argc, char *argv[])
{
	struct opt_state o = { .opts = opts, .help = help, .verb = "put" };
	const char *name = NULL;
	int64_t ttl = 0;
	int c, fd, e, status = 0;

	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case OPT_TTL:
			if (num_duration(o.arg, &ttl) < 0)
				opt_bad("--ttl", o.arg, "a time, as 90, 10m or 1h");
			break;
		case OPT_NAME:
			if (*o.arg == '\0' || strlen(o.arg) > 255)
				opt_bad("--name", o.arg, "1 to 255 bytes");
			name = o.arg;
			break;
		default: common_opt(c, o.arg);
		}
	argc -= o.index, argv += o.index;
	if (name && argc > 1)
		die(2, 0, "option '--name' is for one object, and %d files were given", argc);
	if (argc == 0 && isatty(STDIN_FILENO) && !common.quiet)
		warn(0, "reading the object from the terminal; end with Ctrl-D (or: robj put FILE)");
	cl = join(true);
	if (!common.quiet)
		warn_short();
	if (argc == 0)
		status = put(STDIN_FILENO, "stdin", name, (uint64_t)ttl);
	for (; *argv; argv++) {
		if (strcmp(*argv, "-") == 0) {
			e = put(STDIN_FILENO, "stdin", name, (uint64_t)ttl);
		} else if ((fd = open(*argv, O_RDONLY | O_CLOEXEC)) < 0) {
			warn(-errno, "cannot read '%s'", *argv);
			e = 1;
		} else {
			e = put(fd, *argv, name, (uint64_t)ttl);
			close(fd);
		}
		if (e > status)
			status = e;
	}
	client_close(cl);
	return status;
}
