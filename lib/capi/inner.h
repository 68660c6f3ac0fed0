/*
 * inner - what the files of lib/capi share: the context, encoding and reading of values.  Nobody else includes it.
 *
 * A process has one client, so it has one context that rota_init gives; the context of a worker's tasks is run.c's.
 */
#ifndef CAPI_INNER_H
#define CAPI_INNER_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/map.h"
#include "capi/rota.h"
#include "client/client.h"
#include "client/lock.h"
#include "wire/mp.h"

struct crun;

struct rota_ctx {
	struct client *c;
	unsigned users;			/* of rota_init */
	struct lock lock;		/* of methods */
	struct map methods;		/* hash of (name, retries) -> struct method * */
	struct crun *run;		/* in a worker: the running task's; else NULL */
};

struct method {				/* of any actor, by name: made at its first call */
	struct method *next;		/* same hash */
	struct fn *fn;
	int retries;
	unsigned lane;
	char name[];
};

/* ctx.c */
#define CAPI_WHY 512
char	*capi_why(void);		/* this thread's line, CAPI_WHY bytes */
int	capi_say(int e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));	/* sets it; e */
int	capi_failed(struct rota_ctx *x, int e);		/* what the runtime said about e; e */
extern struct client *capi_client;			/* the process's, for the arena */
int	capi_room(struct rota_ctx *x);		/* a submit answered -EAGAIN: waits until there is room */
uint64_t capi_deadline(int64_t timeout);

static inline struct rec *
rec_of(struct rota_ref *r)
{
	return (struct rec *)(void *)r;
}

static inline struct rota_ref *
ref_of(struct rec *r)
{
	return (struct rota_ref *)(void *)r;
}

/* --- encoding (enc.c) ------------------------------------------------------------------------------------------ */
#define CAPI_SEGS 64			/* more out-of-band pieces than that: all lie in the head */

struct cenc {
	struct rota_ctx *x;
	struct buf b;
	struct seg seg[CAPI_SEGS];
	unsigned nseg, nvals;
	unsigned flags;			/* PAYLOAD_* */
	bool top;			/* a reference at top level stands for its value */
	bool whole;			/* nothing out of band */
	bool fill;			/* rota_create: buffers without elements are segments */
};

int	cenc_values(struct cenc *e, const struct rota_value *v, size_t n);	/* 0, ROTA_EVALUE with rota_why, -ENOMEM */
int	cenc_value(struct cenc *e, const struct rota_value *v, unsigned depth);
void	cenc_payload(const struct cenc *e, struct payload *p);
static inline void
cenc_release(struct cenc *e)
{
	buf_release(&e->b);
}

/*
 * The straight path: n plain values that fit a record, without any allocation.  p has CENC_SMALL bytes.  How many
 * bytes; -1: use cenc_values.
 */
#define CENC_SMALL (REC_INLINE + MP_MAX_SCALAR)
static inline int
cenc_small(unsigned char *p, const struct rota_value *v, size_t n)
{
	unsigned char *q = p, *end = p + REC_INLINE;

	for (; n > 0; n--, v++) {
		switch (v->type) {
		case ROTA_NIL: q = mp_w_nil(q); break;
		case ROTA_BOOL: q = mp_w_bool(q, v->i != 0); break;
		case ROTA_INT: q = mp_w_int(q, v->i); break;
		case ROTA_FLOAT: q = mp_w_float(q, v->d); break;
		case ROTA_STRING:
			if (!v->s || v->n >= (size_t)(end - q))
				return -1;
			q = mp_w_str(q, v->s, v->n);
			break;
		default: return -1;
		}
		if (q > end)
			return -1;
	}
	return (int)(q - p);
}

/* --- reading (read.c) -------------------------------------------------------------------------------------------- */
enum { FORM_OWN, FORM_REF, FORM_ARGS, FORM_CUT };		/* rota_value.form: made here; encoded, of a reference; of a task's arguments; part of a buffer */

/*
 * Where the out-of-band buffers of encoded values are: a record, or the view of a task's arguments (CREAD_VIEW).
 * NULL: there are none.
 */
#define CREAD_VIEW 1u
bool	cread_is_slice(const struct rota_value *v);
/* v, a slice, becomes what it stands for, which lives as long as *hold, that is the caller's, or the reference that v is from */
int	cread_slice(struct rota_ctx *x, struct rota_value *v, bool args, struct rec **hold);
static inline const void *
cread_view(const struct obj_view *v)
{
	return (const char *)v + CREAD_VIEW;
}

/* the straight path: a small integer or a number that is the whole payload; n bytes of a record's REC_INLINE */
static inline bool
cread_plain(const unsigned char *p, unsigned n, struct rota_value *v)
{
	uint64_t be;

	if (n == 1 && (*p < 0x80 || *p >= 0xe0)) {
		*v = rota_int((int8_t)*p);
		return true;
	}
	if (*p < 0xcb || *p > 0xd3 || n < 2)	/* floats and integers */
		return false;
	memcpy(&be, p + 1, sizeof be);		/* what lies behind is the record's, and shifted out */
	be = be64toh(be);
	switch (*p << 4 | (n - 1)) {
	case 0xcc1: *v = rota_int((int64_t)(be >> 56)); return true;
	case 0xcd2: *v = rota_int((int64_t)(be >> 48)); return true;
	case 0xce4: *v = rota_int((int64_t)(be >> 32)); return true;
	case 0xd01: *v = rota_int((int64_t)be >> 56); return true;
	case 0xd12: *v = rota_int((int64_t)be >> 48); return true;
	case 0xd24: *v = rota_int((int64_t)be >> 32); return true;
	case 0xd38: *v = rota_int((int64_t)be); return true;
	case 0xcb8:
		*v = rota_float(0);
		memcpy(&v->d, &be, sizeof be);
		return true;
	}
	return false;
}

int	cread_value(struct mp *m, struct rota_value *v, unsigned char form, const void *x);	/* the next one: 0 or ROTA_EPROTO */

#endif
