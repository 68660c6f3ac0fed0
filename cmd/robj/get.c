/*
 * get, cat - kept objects on stdout.  Bytes are written from where they lie, nothing is copied; a pin holds them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/die.h"
#include "base/err.h"
#include "os/fd.h"
#include "robj.h"
#include "wire/mp.h"


static void
out(const void *p, size_t n)
{
	int e = n ? fd_write_all(STDOUT_FILENO, p, n) : 0;

	if (e < 0)
		die(125, e, "cannot write to stdout");
}

static bool
outside(struct client *cl, const struct value *v, uint32_t i, const unsigned char **p, uint64_t *n)
{
	return v->arena && obj_view_buf(client_arena(cl), &v->view, i, p, n) == 0;
}

/* the one value as bytes: of a string, of a buffer's elements */
bool
bytes_of(struct client *cl, const struct value *v, const unsigned char **p, uint64_t *n)
{
	struct mp m = mp_read(v->p, v->n);
	struct val_buffer b;
	struct mp_tok t;
	uint64_t all;

	if (v->nvals != 1 || mp_next(&m, &t) < 0)
		return false;
	if (t.kind == MP_STR || t.kind == MP_BIN) {
		*p = t.p;
		*n = t.n;
		return true;
	}
	if (t.kind != MP_EXT)
		return false;
	if (t.ext == VAL_OOB && t.n == 13 && outside(cl, v, le_get32(t.p), p, &all)) {
		*n = le_get64(t.p + 4);
		return *n <= all;
	}
	if (t.ext != VAL_BUFFER || val_buffer_get(&b, t.p, t.n) < 0)
		return false;
	*n = b.bytes;
	*p = b.p;
	return !b.oob || (outside(cl, v, b.index, p, &all) && b.bytes <= all);
}

static struct client *cl;
static bool cat;			/* bytes only */

static int
json(const struct value *v, struct buf *b)
{
	unsigned nbuf = v->arena ? v->view.nbuf : 0;
	struct val_oob *oob = calloc(nbuf + 1u, sizeof *oob);
	int e = oob ? 0 : -ENOMEM;

	for (unsigned i = 0; e == 0 && i < nbuf; i++) {
		uint64_t n;

		if (!outside(cl, v, i, &oob[i].p, &n))
			e = ERR_LOST;
		oob[i].n = n;
	}
	if (e == 0 && (e = val_to_json_oob(b, v->p, v->n, v->nvals, oob, nbuf)) == 0)
		e = buf_add(b, "\n", 1);
	free(oob);
	return e;
}

static int
show(const char *name, const struct value *v)
{
	const unsigned char *p;
	struct buf b = BUF_INIT;
	char text[1024];
	uint64_t n;
	int e;

	if (v->error) {
		if (val_error_text(v->p, v->n, text, sizeof text, NULL) < 0)
			snprintf(text, sizeof text, "it is an error");
		warn(0, "'%s' failed: %s", name, text);
		return 1;
	}
	if (bytes_of(cl, v, &p, &n)) {
		out(p, n);
		return 0;
	}
	if (cat) {
		warn(0, "'%s' is no string or buffer; see it with 'robj get %s'", name, name);
		return 1;
	}
	if ((e = json(v, &b)) < 0) {
		warn(e, "cannot show '%s'", name);
		buf_release(&b);
		return 1;
	}
	out(b.data, b.len);
	buf_release(&b);
	return 0;
}

static int
one(struct client *c, const char *name)
{
	struct value v;
	struct rec *r = NULL;
	struct id id;
	char why[512] = "";
	int e;

	cl = c;
	if ((e = client_lookup(cl, name, &r, &id, why, sizeof why)) < 0) {
		if (e == ERR_NO_CLUSTER)
			die(125, 0, "%s", client_lost(cl) ? client_lost(cl) : "the node is gone");
		warn(0, "%s", *why ? why : err_str(e));
		return 1;
	}
	if ((e = client_wait(cl, r, WAIT_FOREVER)) == 0)
		e = client_value(cl, r, &v);
	if (e == 0)
		e = show(name, &v);
	else {
		warn(e, "cannot read '%s'", name);
		e = 1;
	}
	client_release(cl, r);
	return e;
}

int
cmd_get(int argc, char *argv[])
{
	cat = strcmp(argv[0], "cat") == 0;
	return each_id(argc, argv, one);
}
