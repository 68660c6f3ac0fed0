/*
 * rota.h - tasks, actors and shared objects from C.  The manual is rota(3); link with `pkg-config --libs rota`.
 *
 * A program joins a node with rota_init and gets a context; a C task is handed one.  Everything else is called with
 * that context.
 *
 * Errors: functions that can fail return 0 (or a count) or a negative code, one of ROTA_E… or -errno, and leave what they
 * would have written through pointers as it was.  rota_strerror has the code's text, rota_why a line that says more about
 * the last failure in this thread.  Beside what is said at each, all that ask the node may give ROTA_ENOCLUSTER, all that
 * make something -ENOMEM; a wait gives -ETIMEDOUT when its time is over and -EINTR when a signal handler ran in the thread:
 * neither is a failure, and rota_why does not speak of them.  In a task that is to end a wait gives ROTA_ECANCELLED or
 * ROTA_ETIMEOUT.
 *
 * Threads: any number may use the context of rota_init at the same time, and may wait at the same time.  A reference,
 * function or actor handle may be shared between threads as long as one of them keeps it; a builder, an iterator and a
 * wait set belong to one thread at a time.  The context of a task belongs to the thread that runs the task, until it
 * returns.  After fork the child must not use the context.
 *
 * Ownership: what a function gives through a struct rota_ref **, rota_fn **, rota_actor ** is the caller's, who gives it
 * up with rota_release, rota_fn_free, rota_actor_release.  A struct rota_value never owns anything.  What it points
 * to is borrowed: in a value that you make from you, for the call; in a value from rota_get from the reference, until
 * that is released; in arguments from the task, until it returns; in a value from rota_built from the builder.  Strings
 * and structs of options are copied.
 *
 * Units: times are nanoseconds, ROTA_FOREVER (or any below 0) without end, 0: do not wait.  Memory is bytes.  CPUs and
 * GPUs are counted in thousandths: 0.5 is half of one.
 */
#ifndef ROTA_H
#define ROTA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROTA_ABI 0			/* of librota.so.0 */

struct rota_ctx;			/* a process that has joined a node */
struct rota_ref;			/* a reference: to a result that is or will be there, to a stored object */
struct rota_fn;				/* a function as it is called: which, and with what options */
struct rota_actor;			/* a handle of an actor */
struct rota_waitset;			/* references that are waited for together */

/* --- errors: negative, never used for something else later ------------------------------------------------- */
enum rota_error {
	ROTA_ENOTFOUND = -1000,		/* no such name, key, element */
	ROTA_EPROTO = -1002,		/* malformed bytes */
	ROTA_ECLOSED = -1003,		/* the other end is closed */
	ROTA_ETASK = -1005,		/* the task raised an error, or returned one that is not in this list */
	ROTA_ETIMEOUT = -1006,		/* the time given is over; the task's own time was over */
	ROTA_ECANCELLED = -1007,	/* by rota_cancel, or because what submitted it was */
	ROTA_ECRASHED = -1008,		/* its worker died, more often than it is retried */
	ROTA_EACTOR = -1009,		/* the actor died */
	ROTA_EOOM = -1010,		/* it was ended because the machine ran out of memory */
	ROTA_ELOST = -1011,		/* the object's owner died, or the node lost it */
	ROTA_EINFEASIBLE = -1012,	/* no node can ever satisfy the request */
	ROTA_EENV = -1013,		/* the shared object or the symbol in it cannot be loaded, or the object has changed */
	ROTA_ENOCLUSTER = -1014,	/* no node is running, or it is gone */
	ROTA_EFULL = -1015,		/* the object store is full */
	ROTA_EVALUE = -1016,		/* the value cannot travel, or is of another kind than asked for */
	ROTA_EPENDING = -1018		/* as many calls of that actor are under way as it allows */
};
const char *rota_strerror(int code);	/* static text, never NULL */
const char *rota_why(void);		/* about this thread's last failure, a line without newline; "" if nothing is known */
const char *rota_version(void);		/* of the library, "0.2"; static */

/* --- values -------------------------------------------------------------------------------------------------- */
enum rota_type {
	ROTA_NIL, ROTA_BOOL, ROTA_INT, ROTA_FLOAT, ROTA_STRING, ROTA_ARRAY, ROTA_MAP,
	ROTA_BUFFER,			/* typed n-dimensional array, row by row */
	ROTA_REF, ROTA_ACTOR, ROTA_ERROR,
	ROTA_OTHER			/* what only Lua knows what to do with: functions, classes, shared tables */
};
enum rota_dtype {
	ROTA_U8 = 1, ROTA_I8, ROTA_U16, ROTA_I16, ROTA_U32, ROTA_I32, ROTA_U64, ROTA_I64, ROTA_F32, ROTA_F64, ROTA_F16,
	ROTA_BF16
};

struct rota_value {
	unsigned char type;		/* enum rota_type */
	unsigned char dtype, ndim;	/* BUFFER */
	unsigned char form;		/* private: 0 in values that you make */
	int32_t code;			/* ERROR: its code; else private */
	size_t n;			/* STRING, BUFFER: bytes; ERROR: of the message; ARRAY: elements; MAP: pairs */
	union {
		int64_t i;		/* INT; BOOL: 0 or 1 */
		double d;		/* FLOAT */
		const char *s;		/* STRING, ERROR: n bytes, not terminated */
		const void *p;		/* BUFFER: the elements, aligned to 64 if they come from the store */
		const struct rota_value *v;	/* ARRAY: n elements, MAP: 2n keys and values; only in values that you make */
		struct rota_ref *ref;	/* REF, ACTOR: only in values that you make; see rota_ref_of, rota_actor_of */
		struct rota_actor *actor;
	};
	const void *x;			/* BUFFER that you make: const uint64_t *, the shape; else private */
};

static inline struct rota_value
rota_make_(int type, size_t n)
{
	struct rota_value v;

	memset(&v, 0, sizeof v);
	v.type = (unsigned char)type;
	v.n = n;
	return v;
}

static inline struct rota_value
rota_nil(void)
{
	return rota_make_(ROTA_NIL, 0);
}

static inline struct rota_value
rota_bool(int b)
{
	struct rota_value v = rota_make_(ROTA_BOOL, 0);

	v.i = b != 0;
	return v;
}

static inline struct rota_value
rota_int(int64_t i)
{
	struct rota_value v = rota_make_(ROTA_INT, 0);

	v.i = i;
	return v;
}

static inline struct rota_value
rota_float(double d)
{
	struct rota_value v = rota_make_(ROTA_FLOAT, 0);

	v.d = d;
	return v;
}

static inline struct rota_value
rota_string(const void *s, size_t n)
{
	struct rota_value v = rota_make_(ROTA_STRING, n);

	v.s = (const char *)s;
	return v;
}

static inline struct rota_value
rota_text(const char *s)
{
	return rota_string(s, strlen(s));
}

static inline struct rota_value
rota_array(const struct rota_value *v, size_t n)
{
	struct rota_value a = rota_make_(ROTA_ARRAY, n);

	a.v = v;
	return a;
}

static inline struct rota_value
rota_map(const struct rota_value *v, size_t pairs)	/* key, value, key, value … */
{
	struct rota_value m = rota_make_(ROTA_MAP, pairs);

	m.v = v;
	return m;
}

size_t	rota_dtype_size(int dtype);			/* bytes of an element; 0: no such type */

/* p may be NULL for rota_create; at most 8 dimensions, more are refused where the value is used; shape is borrowed too */
static inline struct rota_value
rota_buffer(enum rota_dtype dtype, unsigned ndim, const uint64_t *shape, const void *p)
{
	struct rota_value b = rota_make_(ROTA_BUFFER, rota_dtype_size(dtype));

	b.dtype = (unsigned char)dtype;
	b.ndim = (unsigned char)ndim;
	for (unsigned k = 0; k < ndim; k++)
		b.n *= shape[k];
	b.p = p;
	b.x = shape;
	return b;
}

/*
 * As an argument by itself it stands for its (first) value, for which the task waits; inside an array or map it stays a
 * reference.  Either way the task keeps it: r may be released at once.
 */
static inline struct rota_value
rota_refv(struct rota_ref *r)
{
	struct rota_value v = rota_make_(ROTA_REF, 0);

	v.ref = r;
	return v;
}

static inline struct rota_value
rota_actorv(struct rota_actor *a)
{
	struct rota_value v = rota_make_(ROTA_ACTOR, 0);

	v.actor = a;
	return v;
}

/* Reading; 0; ROTA_EVALUE: it is something else.  Elements are read in place, those before them are passed over. */
int	rota_get_int(const struct rota_value *v, int64_t *i);		/* a whole float too */
int	rota_get_float(const struct rota_value *v, double *d);		/* an integer too, rounded above 2^53 */
uint64_t rota_shape(const struct rota_value *v, unsigned dim);		/* of a buffer; 0: no such dimension */
int	rota_at(const struct rota_value *array, size_t i, struct rota_value *out);	/* i from 0; ROTA_ENOTFOUND */
int	rota_field(const struct rota_value *map, const char *key, struct rota_value *out);	/* ROTA_ENOTFOUND */

struct rota_iter {			/* private */
	const unsigned char *p, *end;
	const struct rota_value *v;
	size_t left;
	const void *x;
	unsigned char form;
};
int	rota_iter(struct rota_iter *it, const struct rota_value *v);	/* of an array or map: 0, ROTA_EVALUE */
int	rota_next(struct rota_iter *it, struct rota_value *v);	/* 1 and *v: element, or key, then value …; 0: no more; ROTA_EPROTO */

/* what a REF or ACTOR that came in stands for: the caller's from now on; ROTA_EVALUE: v is something else */
int	rota_ref_of(struct rota_ctx *, const struct rota_value *v, struct rota_ref **r);
int	rota_actor_of(struct rota_ctx *, const struct rota_value *v, struct rota_actor **a);

/*
 * A builder makes one value piece by piece, without a tree of them in memory; it copies what it is given, large buffers too.
 * An array is opened with the number of its elements, a map with the number of its pairs; then they follow.  A failure of
 * a piece is told again by rota_built, so that it need be looked at only there.
 */
struct rota_builder;
struct rota_builder *rota_builder_new(struct rota_ctx *);		/* NULL: no memory */
int	rota_build(struct rota_builder *, const struct rota_value *v);
int	rota_build_array(struct rota_builder *, size_t n);
int	rota_build_map(struct rota_builder *, size_t pairs);
/* the value, until the builder is reset or freed; ROTA_EPROTO: it is not complete */
int	rota_built(struct rota_builder *, struct rota_value *v);
void	rota_builder_reset(struct rota_builder *);		/* empty again, without error; keeps its memory */
void	rota_builder_free(struct rota_builder *);		/* NULL is fine */

/* --- joining a node -------------------------------------------------------------------------------------------- */
struct rota_options {			/* all zero: the defaults */
	const char *address;		/* NULL: ROTA_ADDRESS, else this user's node, else one is started */
	const char *space;		/* namespace; NULL: ROTA_NAMESPACE, else the job's own */
	const char *name;		/* of the program, for listings */
	const char *store;		/* size of the object store of a node that is started: "1G" */
	unsigned cpus;			/* CPUs that such a node offers; 0: what there is */
	int attach;			/* not 0: only a node that is there; none is started */
};
/*
 * A process has one context: a further call gives the same, whatever its options, and has its own rota_close.  options may
 * be NULL.  ROTA_ENOCLUSTER: no node answers and none can be started; -EBUSY: a task has a context already; -errno.
 */
int	rota_init(struct rota_ctx **, const struct rota_options *);
/*
 * The last one leaves the node: tasks, actors (but detached ones) and objects of this program (but kept ones) end, and every
 * handle is invalid.  No other call may be under way or come later.  NULL, and the context of a task, are left alone.
 */
void	rota_close(struct rota_ctx *);

/* --- objects ----------------------------------------------------------------------------------------------------- */
#define ROTA_FOREVER INT64_C(-1)

/* Stores a copy of v.  ROTA_EVALUE: it cannot travel; ROTA_EFULL: no room for it came within the store's time to wait. */
int	rota_put(struct rota_ctx *, const struct rota_value *v, struct rota_ref **r);
/*
 * An object that is filled in place: v with each BUFFER whose p is NULL lying in the store, writable, at data[0 .. n) in
 * the order in which they come.  Then rota_seal: from now on it never changes and others can see it; or rota_abort,
 * which gives r up.  In between nothing else may be done with r.  ROTA_EVALUE: v has other than n such buffers (1 to 64), or
 * holds references; ROTA_EFULL.
 */
int	rota_create(struct rota_ctx *, const struct rota_value *v, void **data, size_t n, struct rota_ref **r);
int	rota_seal(struct rota_ctx *, struct rota_ref *r);		/* -EINVAL: it was sealed */
void	rota_abort(struct rota_ctx *, struct rota_ref *r);

/*
 * Waits until r is ready and reads its first value, nil if it has none.  0; the code of the error if the task failed, and
 * *v is that ERROR, with the message; ROTA_ELOST: it cannot be had any more; -ETIMEDOUT, -EINTR.
 */
int	rota_get(struct rota_ctx *, struct rota_ref *r, struct rota_value *v, int64_t timeout);
/* the same with all values of a Lua function that returned several: at most n into v; how many there are */
int	rota_get_all(struct rota_ctx *, struct rota_ref *r, struct rota_value *v, size_t n, int64_t timeout);
int	rota_ready(struct rota_ctx *, struct rota_ref *r);		/* 1: rota_get would not wait; 0 */
/* Waits until at least want of n references are ready: how many are; fewer: the time is over.  ready[i], unless NULL, tells which. */
int	rota_wait(struct rota_ctx *, struct rota_ref *const *r, size_t n, size_t want, int64_t timeout, unsigned char *ready);
void	rota_retain(struct rota_ctx *, struct rota_ref *r);		/* once more to be released */
void	rota_release(struct rota_ctx *, struct rota_ref *r);		/* NULL is fine */
void	rota_id(struct rota_ctx *, struct rota_ref *r, char id[33]);	/* 32 hexadecimal digits */
/*
 * A reference to a part of r's value, which is a string or a buffer: n bytes, or rows, from the given one on, 0 first; what lies
 * behind its end does not count.  Nothing is copied, and the part keeps the whole.  r need not be ready.
 */
int	rota_slice(struct rota_ctx *, struct rota_ref *r, uint64_t from, uint64_t n, struct rota_ref **part);
/*
 * A descriptor for programs, sendfile and mmap, read-only and the caller's: the bytes of r's string or buffer lie in its file at
 * *off .. *off + *n while r is held, other objects around them.  Either may be NULL.  The descriptor, or a negative code.
 */
int	rota_ref_fd(struct rota_ctx *, struct rota_ref *r, uint64_t *off, uint64_t *n);
/*
 * Waits until r is ready and gives it to the node, which keeps it under that name (NULL: none) for ttl ns (0: until it is
 * removed), also when this program has ended.  r stays the caller's.  -EINVAL: a value up to 4 KiB, which does not lie in the
 * store; -EEXIST: the name is another's, or the node has the object already.
 */
int	rota_keep(struct rota_ctx *, struct rota_ref *r, const char *name, uint64_t ttl);
/* What the node keeps: by name, by id, or by four or more digits that begin it.  ROTA_ENOTFOUND; -EINVAL: several ids begin so. */
int	rota_lookup(struct rota_ctx *, const char *id_or_name, struct rota_ref **r);

/* Members are waited for together at a cost that does not depend on their number.  tag is the caller's own number for one. */
struct rota_waitset *rota_waitset_new(struct rota_ctx *);		/* NULL: no memory */
int	rota_waitset_add(struct rota_ctx *, struct rota_waitset *, struct rota_ref *r, uint64_t tag);	/* retains r */
/* takes out a ready one, to be released by the caller; tag may be NULL.  0; -ETIMEDOUT, -EINTR; ROTA_ENOTFOUND: no members */
int	rota_waitset_next(struct rota_ctx *, struct rota_waitset *, int64_t timeout, struct rota_ref **r, uint64_t *tag);
void	rota_waitset_free(struct rota_ctx *, struct rota_waitset *);	/* and lets go of its members; NULL is fine */

/*
 * For programs that live in an event loop: a descriptor that is readable once a member of any wait set has become ready,
 * or the node is gone.  Then: rota_fd_clear, and rota_waitset_next with time 0 until there is nothing.  It is the library's,
 * the same at each call.  -EINVAL in a task; -errno.
 */
int	rota_fd(struct rota_ctx *);
void	rota_fd_clear(struct rota_ctx *);

/* --- tasks --------------------------------------------------------------------------------------------------------- */
struct rota_task_options {		/* rota_task_defaults, then what differs */
	double cpus, gpus;		/* 1, 0 */
	uint64_t memory;		/* bytes */
	int retries;			/* after a crash: 3; -1 without end */
	unsigned returns;		/* references that a submission makes, to 255; 0: one, which holds everything */
	int64_t timeout;		/* ns that it may run; 0: without end */
	int priority;			/* -128 to 127, the higher first; 0: as the task that submits it, or 0 */
	const char *name;		/* for listings and messages; NULL: the symbol */
};
void	rota_task_defaults(struct rota_task_options *);

/*
 * What a task looks like: an exported function of a shared object.  It sets *out (nil until then) and returns 0; or it
 * returns a negative code, best with rota_fail.  With the option returns above 1, *out is an array of as many elements.
 * What *out borrows from must last until it is encoded, after the return: arguments, rota_alloc, rota_defer, static memory.
 */
typedef int rota_task(struct rota_ctx *, const struct rota_value *args, size_t n, struct rota_value *out);

/*
 * Function symbol of the shared object at path, relative to the current directory.  Its contents are hashed now: a
 * file that is changed later is another function, and tasks of this one fail with ROTA_EENV, as they do where there is no
 * such symbol.  options may be NULL.  -errno: the file cannot be read; -EINVAL: it, the name or an option is none.
 */
int	rota_cfunc(struct rota_ctx *, const char *path, const char *symbol, const struct rota_task_options *, struct rota_fn **);
void	rota_fn_free(struct rota_ctx *, struct rota_fn *);	/* its tasks go on; NULL is fine */
/*
 * r has room for one reference, or for as many as fn returns.  A task that fails says so in its result.  Waits while
 * this program has as many tasks under way as it may.  ROTA_EVALUE: an argument cannot travel; ROTA_EFULL: no room for it.
 */
int	rota_submit(struct rota_ctx *, struct rota_fn *, const struct rota_value *args, size_t n, struct rota_ref **r);

/*
 * Ends the task that makes r, and what it submitted: one that has not started never does; one that runs is told.
 * how: 0, or ROTA_FORCE: what has not ended after 0.1 s loses its worker; ROTA_ALONE: what it submitted goes on.
 * 1: it ends; 0: it had ended; ROTA_EVALUE: no task of ours makes r.
 */
#define ROTA_FORCE 1u
#define ROTA_ALONE 2u
int	rota_cancel(struct rota_ctx *, struct rota_ref *r, unsigned how);

/*
 * Inside a task: is it to end?  ROTA_ECANCELLED, ROTA_ETIMEOUT, or 0.  A signal tells it, so that what waits in a
 * system call gets EINTR; rota_get and its like give that code then.  Whatever such a task returns but 0, that is its error.
 */
int	rota_cancelled(struct rota_ctx *);
/* The message of the error; returns code, ROTA_ETASK in place of one that is not negative: return rota_fail(ctx, …); */
int	rota_fail(struct rota_ctx *, int code, const char *fmt, ...)
#ifdef __GNUC__
	__attribute__((format(printf, 3, 4)))
#endif
	;
/* These are a task's; elsewhere they give NULL, "" and 0 and do nothing. */
void	*rota_alloc(struct rota_ctx *, size_t n);		/* freed when the task has ended; aligned as malloc's; NULL: no memory */
void	rota_defer(struct rota_ctx *, struct rota_ref *r);	/* released when the task has ended: *out may borrow from it */
const char *rota_task_name(struct rota_ctx *);			/* until the task returns */
unsigned rota_attempt(struct rota_ctx *);			/* 1: the first */

/* --- actors ---------------------------------------------------------------------------------------------------------- */
/*
 * A class is an exported array of methods, ended by { NULL, NULL }.  "new" is the constructor: it keeps what the actor is
 * with rota_set_self.  Methods run one after the other in the actor's own process, which ends with it: nothing is called
 * to free what self points to.
 */
struct rota_method {
	const char *name;
	rota_task *f;
};
void	rota_set_self(struct rota_ctx *, void *self);	/* in a method: not looked at, never freed */
void	*rota_self(struct rota_ctx *);			/* what was set; NULL: nothing, or this is no actor */

struct rota_actor_options {		/* rota_actor_defaults, then what differs */
	double cpus, gpus;		/* 0, 0: for as long as it lives */
	uint64_t memory;		/* bytes */
	int restarts;			/* after a crash: 0; -1 without end */
	int retries;			/* of calls that had started when it died: 0; -1 without end */
	const char *name;		/* for rota_find; NULL: none */
	int detached;			/* lives on when this program ends */
};
void	rota_actor_defaults(struct rota_actor_options *);
/*
 * Class symbol of the shared object at path, which is loaded here too, to learn the methods' names.  It comes back before the
 * actor is constructed: rota_actor_wait, or the first call, tells of a failure.  A reference that is an argument by itself is
 * waited for.  options may be NULL.  As rota_cfunc; ROTA_EENV: it cannot be loaded; -EEXIST: the name is another actor's.
 */
int	rota_actor_new(struct rota_ctx *, const char *path, const char *symbol, const struct rota_value *args, size_t n,
	    const struct rota_actor_options *, struct rota_actor **);
/* The actor of that name in a namespace (NULL: ours).  ROTA_ENOTFOUND. */
int	rota_find(struct rota_ctx *, const char *space, const char *name, struct rota_actor **);
/*
 * Calls from one thread run in order.  The actor may be written in Lua.  As rota_submit; ROTA_ENOTFOUND: it has no such
 * method; ROTA_EPENDING: it takes no more now.  A call that does not come to its end says ROTA_EACTOR in its result.
 */
int	rota_call(struct rota_ctx *, struct rota_actor *, const char *method, const struct rota_value *args, size_t n,
	    struct rota_ref **r);
int	rota_actor_wait(struct rota_ctx *, struct rota_actor *, int64_t timeout);	/* until it is up; ROTA_EACTOR: it is dead */
int	rota_stop(struct rota_ctx *, struct rota_actor *);	/* after the calls made before; the handle is still to be released */
int	rota_kill(struct rota_ctx *, struct rota_actor *, int restart);	/* at once; restart: it comes back if it may */
void	rota_actor_release(struct rota_ctx *, struct rota_actor *);	/* the last handle given up ends it, unless detached */

#ifdef __cplusplus
}
#endif
#endif
