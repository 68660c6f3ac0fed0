/* The worker's side of command.h: one command at a time, on the main thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "client/command.h"
#include "client/command_wire.h"
#include "client/serve.h"
#include "os/proc.h"

extern char **environ;

#define GRACE_S 2			/* from TERM to KILL */
#define INLINE_MAX 3900			/* output that fits a block of the slab with all around it */
#define MAP_MIN 65536			/* longer output is mapped, not read, on its way to the arena */
enum { OWN = 7 };			/* variables that we set */

struct how {				/* parsed function bytes, kept for the next task */
	uint64_t serial;		/* 0: none */
	uint32_t proc, unit;
	unsigned char *bytes;		/* a private copy: what is parsed does not change */
	const char **env;		/* OWN places first */
	int cwd, mask;
	uint64_t nofile, timeout;
	struct span live;		/* in bytes: where its output goes as it comes, or empty */
	char why[160];			/* why its commands cannot run, or "" */
};

struct stream {				/* a file in memory that a command writes to */
	int fd;
	bool mapped;
	unsigned char *p;		/* what is in it */
	size_t n, cap;
};

static struct worker {
	bool ready;
	int null, in;
	struct how how;
	struct stream out, err;
	const char **argv;
	size_t nargv;
	struct buf text;		/* the strings of argv */
	char own[OWN][96];
} w = { .in = -1, .null = -1 };

/* --- ending a command, from signal handlers ----------------------------------------------------------------- */

static volatile sig_atomic_t running;	/* its pid and group; STARTING; 0: none */
static volatile sig_atomic_t termed, late, early;	/* early: TERM came while it was STARTING */
#define STARTING (-1)

static void
on_term(int sig)
{
	int saved = errno;

	if (!running) {
		signal(sig, SIG_DFL);
		raise(sig);
	} else if (running == STARTING) {
		early = 1;
	} else if (!termed) {
		termed = 1;
		kill(-running, SIGTERM);
		alarm(GRACE_S);
	}
	errno = saved;
}

static void
on_alarm(int sig)
{
	int saved = errno;

	(void)sig;
	if (running > 0 && termed)
		kill(-running, SIGKILL);
	else if (running > 0) {
		late = 1;
		on_term(SIGTERM);
	}
	errno = saved;
}

static void
time_limit(uint64_t ns)
{
	struct itimerval t = { .it_value = { (time_t)(ns / 1000000000), (suseconds_t)(ns % 1000000000 / 1000) } };

	if (ns && !t.it_value.tv_sec && !t.it_value.tv_usec)
		t.it_value.tv_usec = 1;
	setitimer(ITIMER_REAL, &t, NULL);
}

/* --- set-up --------------------------------------------------------------------------------------------------- */

static int
prepare(void)
{
	struct sigaction term = { .sa_handler = on_term, .sa_flags = SA_RESTART }, alrm = term;

	if (w.ready)
		return 0;
	alrm.sa_handler = on_alarm;
	sigfillset(&term.sa_mask);
	sigfillset(&alrm.sa_mask);
	w.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	w.out.fd = memfd_create("rota-stdout", MFD_CLOEXEC);
	w.err.fd = memfd_create("rota-stderr", MFD_CLOEXEC);
	/* appending: a shell's "> /dev/stderr" opens the file anew, and what is written here must not leave holes then */
	if (fcntl(w.out.fd, F_SETFL, O_APPEND) < 0 || fcntl(w.err.fd, F_SETFL, O_APPEND) < 0)
		return -errno;
	w.out.cap = w.err.cap = MAP_MIN;
	w.out.p = malloc(MAP_MIN);
	w.err.p = malloc(MAP_MIN);
	if (w.null < 0 || w.out.fd < 0 || w.err.fd < 0)
		return -errno;
	if (!w.out.p || !w.err.p)
		return -ENOMEM;
	/* orphans of a command come to us, so that we know whether any are left */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || sigaction(SIGTERM, &term, NULL) < 0 || sigaction(SIGALRM, &alrm, NULL) < 0)
		return -errno;
	w.ready = true;
	return 0;
}

static void
forget(struct how *h)
{
	if (h->serial && h->cwd >= 0)
		close(h->cwd);
	command_live_forget();
	free(h->bytes);
	free(h->env);
	*h = (struct how){ .cwd = -1 };
}

static bool
ours(const char *v)			/* is set for every item */
{
	static const char *const name[] = { "ROTA_SEQ=", "ROTA_SLOT=", "ROTA_ATTEMPT=", "ROTA_TASK=", "ROTA_WORKER=",
	    "ROTA_JOB=", "ROTA_NODE=", "ROTA_KEY=" };

	if (strncmp(v, "ROTA_", 5) != 0)
		return false;
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		if (strncmp(v, name[i], strlen(name[i])) == 0)
			return true;
	return false;
}

static const char *
own(const char *name)			/* NAME=VALUE of this process, or NULL */
{
	size_t n = strlen(name);

	for (char **v = environ; *v; v++)
		if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
			return *v;
	return NULL;
}

/* What the node lets its GPUs be seen as, CUDA_VISIBLE_DEVICES=…; NULL: it has none and leaves that to the caller. */
static const char *
own_gpus(struct client *c)
{
	const char *v = own("CUDA_VISIBLE_DEVICES");

	return v && (v[strlen("CUDA_VISIBLE_DEVICES=")] == '\0' || serve_granted(c).devices) ? v : NULL;
}

/* env: the variables, each with its NUL */
static int
split_env(struct client *c, struct how *h, const char *env, size_t n)
{
	const char *gpus = own_gpus(c), *order = gpus ? own("CUDA_DEVICE_ORDER") : NULL;
	size_t count = OWN + 3, k = 0;

	if (n && env[n - 1])
		return ERR_PROTO;
	for (size_t i = 0; i < n; i++)
		count += env[i] == '\0';
	if (!(h->env = malloc(count * sizeof *h->env)))
		return -ENOMEM;
	for (; k < OWN; k++)
		h->env[k] = w.own[k];
	for (const char *s = env; s < env + n; s += strlen(s) + 1) {
		if (ours(s) || (gpus && strncmp(s, "CUDA_VISIBLE_DEVICES=", 21) == 0))
			continue;
		if (order && strncmp(s, "CUDA_DEVICE_ORDER=", 18) == 0)
			order = NULL;
		h->env[k++] = s;
	}
	if (gpus)
		h->env[k++] = gpus;
	if (order)
		h->env[k++] = order;
	h->env[k] = NULL;
	return 0;
}

static int
parse_how(struct client *c, struct how *h, size_t n)
{
	struct mp m = mp_read(h->bytes, n);
	struct span cwd, env;
	struct mp_tok live;
	uint64_t mask;
	char path[4096];
	int e;

	if (command_get_str(&m, NULL, NULL, &cwd) < 0 || command_get_uint(&m, &mask) < 0 ||
	    command_get_uint(&m, &h->nofile) < 0 || command_get_uint(&m, &h->timeout) < 0 ||
	    command_get_str(&m, NULL, NULL, &env) < 0 || mp_next(&m, &live) < 0 || cwd.n >= sizeof path)
		return ERR_PROTO;
	h->live = live.kind == MP_STR ? span_of(live.p, live.n) : (struct span){ NULL, 0 };
	h->mask = (int)(mask & 0777);
	if ((e = split_env(c, h, (const char *)env.p, env.n)) < 0)
		return e;
	memcpy(path, cwd.p, cwd.n);
	path[cwd.n] = '\0';
	if ((h->cwd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		snprintf(h->why, sizeof h->why, "cannot use directory '%.100s': %s", path, strerror(errno));
	return 0;
}

/* 0 with w.how for this task, or negative */
static int
know_how(struct client *c, const struct task_in *t)
{
	const unsigned char *p;
	struct how *h = &w.how;
	int e;

	if (h->serial && h->serial == t->fn.serial && h->proc == t->proc && h->unit == t->rec.fn)
		return 0;
	forget(h);
	if (!(p = serve_code(c, t)))
		return ERR_PROTO;
	if (!(h->bytes = malloc(t->fn.len + 1u)))
		return -ENOMEM;
	memcpy(h->bytes, p, t->fn.len);
	if ((e = parse_how(c, h, t->fn.len)) < 0) {
		forget(h);
		return e;
	}
	h->serial = t->fn.serial;
	h->proc = t->proc;
	h->unit = t->rec.fn;
	return 0;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static void
own_variables(const struct task_in *t, uint64_t seq, uint64_t slot, uint64_t tries)
{
	static const char *const copied[] = { "ROTA_WORKER", "ROTA_JOB", "ROTA_NODE" };
	struct id id = { t->owner.node, t->owner.proc, t->rec.seq };
	char text[ID_TEXT];

	snprintf(w.own[0], sizeof *w.own, "ROTA_SEQ=%llu", (unsigned long long)seq);
	snprintf(w.own[1], sizeof *w.own, "ROTA_SLOT=%llu", (unsigned long long)slot);
	snprintf(w.own[2], sizeof *w.own, "ROTA_ATTEMPT=%llu", (unsigned long long)tries + t->rec.attempt + 1);
	snprintf(w.own[3], sizeof *w.own, "ROTA_TASK=%s", id_format(text, id));
	for (int i = 0; i < 3 && !w.own[4 + i][0]; i++) {
		const char *v = getenv(copied[i]);

		snprintf(w.own[4 + i], sizeof *w.own, "%s=%s", copied[i], v ? v : "");
	}
}

/* arguments of t into w.argv, *seq and *block; 0 or ERR_PROTO */
static int
arguments(struct client *c, const struct task_in *t, uint64_t *seq, struct span *block)
{
	const struct arena *a = client_arena(c);
	const struct obj_view *v = t->arena ? &t->view : NULL;
	struct mp m = mp_read(t->args, t->n);
	struct mp_tok nil;
	uint64_t slot, tries;
	struct span s;
	size_t n = t->nvals, at = 0;

	if (n < 5 || command_get_uint(&m, seq) < 0 || command_get_uint(&m, &slot) < 0 || command_get_uint(&m, &tries) < 0)
		return ERR_PROTO;
	n -= 4;
	*block = (struct span){ NULL, 0 };
	if (m.p < m.end && *m.p == 0xc0 ? mp_next(&m, &nil) < 0 : command_get_str(&m, a, v, block) < 0)
		return ERR_PROTO;
	if (n + 1 > w.nargv) {
		const char **more = realloc(w.argv, (n + 1) * sizeof *more);

		if (!more)
			return -ENOMEM;
		w.argv = more;
		w.nargv = n + 1;
	}
	w.text.len = 0;
	if (buf_reserve(&w.text, t->n + n) < 0)		/* no string is longer than its encoding: it does not move */
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (command_get_str(&m, NULL, NULL, &s) < 0)
			return ERR_PROTO;
		w.argv[i] = (char *)w.text.data + at;
		memcpy(w.text.data + at, s.p, s.n);
		w.text.data[at + s.n] = '\0';
		at += s.n + 1;
	}
	w.argv[n] = NULL;
	own_variables(t, *seq, slot, tries);
	return 0;
}

static int
feed(struct span block)			/* a descriptor for the command's stdin */
{
	size_t at = 0;

	if (!block.p)
		return w.null;
	if (w.in < 0 && (w.in = memfd_create("rota-stdin", MFD_CLOEXEC)) < 0)
		return -errno;
	if (ftruncate(w.in, 0) < 0)
		return -errno;
	while (at < block.n) {
		ssize_t k = pwrite(w.in, block.p + at, block.n - at, (off_t)at);

		if (k < 0 && errno != EINTR)
			return -errno;
		at += k > 0 ? (size_t)k : 0;
	}
	return lseek(w.in, 0, SEEK_SET) < 0 ? -errno : w.in;
}

/* What a command left behind: our children now, since nobody else has any. */
static void
clean_up(void)
{
	char path[64];
	pid_t pid;
	FILE *f;
	int child;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
		if (pid > 0)
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
		if (!(f = fopen(path, "re")))
			return;
		while (fscanf(f, "%d", &child) == 1)
			kill(child, SIGKILL);
		fclose(f);
		waitpid(-1, NULL, 0);		/* theirs come to us as they end: look again */
	}
}

static void
await(pid_t pid, struct command_end *e)
{
	struct how *h = &w.how;
	bool timed = h->timeout != 0;
	siginfo_t si;
	int st;

	running = pid;
	if (timed)
		time_limit(h->timeout);
	if (early)
		on_term(SIGTERM);
	while (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	running = 0;			/* before its number is free for others */
	if (timed || termed)
		time_limit(0);
	waitpid(pid, &st, 0);
	e->status = WIFEXITED(st) ? WEXITSTATUS(st) : 0;
	e->sig = WIFSIGNALED(st) ? WTERMSIG(st) : 0;
	if ((e->late = late))
		e->status = 124;
	termed = late = early = 0;
	clean_up();
}

/* --- what it wrote ---------------------------------------------------------------------------------------------------- */

static int
collect(struct stream *s)		/* s->p and s->n: what is in the file */
{
	off_t n = lseek(s->fd, 0, SEEK_END);

	if (n < 0)
		return -errno;
	s->n = (size_t)n;
	s->mapped = s->n > s->cap;
	if (s->mapped) {
		void *p = mmap(NULL, s->n, PROT_READ, MAP_SHARED, s->fd, 0);

		if (p == MAP_FAILED) {
			s->n = 0;
			s->mapped = false;
			return -errno;
		}
		free(s->p);
		s->p = p;
		s->cap = 0;
		return 0;
	}
	if (s->n && pread(s->fd, s->p, s->n, 0) != n)
		return -EIO;
	return 0;
}

static void
empty(struct stream *s)			/* ready for the next command */
{
	if (s->mapped) {
		munmap(s->p, s->n);
		s->mapped = false;
		s->p = malloc(MAP_MIN);
		s->cap = s->p ? MAP_MIN : 0;
	}
	if (lseek(s->fd, 0, SEEK_END) > 0 && ftruncate(s->fd, 0) < 0)
		_exit(125);		/* cannot be; another worker takes over */
	s->n = 0;
}

static int
publish(struct client *c, struct task_in *t, const struct command_end *e)
{
	struct buf b = BUF_INIT;
	struct seg seg[2];
	struct payload p = { .nvals = 7, .seg = seg };
	bool oob = e->out.n + e->err.n > INLINE_MAX;
	int r;

	mp_put_uint(&b, (uint64_t)e->status);
	mp_put_uint(&b, (uint64_t)e->sig);
	mp_put_uint(&b, e->late | (unsigned)e->norun << 1);
	mp_put_uint(&b, e->start);
	mp_put_uint(&b, e->ns);
	for (int i = 0; i < 2; i++) {
		struct span s = i ? e->err : e->out;

		if (oob && s.n) {
			command_put_oob(&b, p.nseg, s.n);
			seg[p.nseg++] = (struct seg){ s.p, s.n };
		} else {
			mp_put_str(&b, s.p, s.n);
		}
	}
	p.p = b.data;
	p.n = b.len;
	r = serve_done(c, t, &p, 0, false);
	buf_release(&b);
	return r;
}

static void
fail(struct client *c, struct task_in *t, int code, const char *text)
{
	struct buf b = BUF_INIT;
	struct payload p;

	val_error(&b, code, text, t->fn.name, NULL, t->rec.attempt + 1u, NULL);
	p = (struct payload){ b.data, b.len, 1, PAYLOAD_ERROR, NULL, 0 };
	serve_done(c, t, &p, 0, false);
	buf_release(&b);
}

static int
start(const struct how *h, struct span block, uint64_t seq)
{
	struct proc_spawn s = PROC_SPAWN_INIT;
	int e;

	s.argv = (char *const *)w.argv;
	s.env = (char *const *)h->env;
	if ((s.in = feed(block)) < 0)
		return s.in;
	s.out = w.out.fd;
	s.err = w.err.fd;
	if (h->live.n && (e = command_live_open(h->live, seq, &s.out, &s.err)) < 0)
		return e;
	s.cwd = h->cwd;
	s.mask = h->mask;
	s.nofile = h->nofile;
	s.group = true;
	e = proc_spawn(&s);
	if (h->live.n) {
		close(s.out);
		close(s.err);
	}
	return e;
}

void
command_run(struct client *c, struct task_in *t)
{
	struct command_end end = { .start = clock_wall_ns() };
	char why[256];
	struct span block;
	uint64_t since, seq;
	int e;

	if ((e = prepare()) < 0 || (e = know_how(c, t)) < 0 || (e = arguments(c, t, &seq, &block)) < 0) {
		fail(c, t, e, err_str(e));
		return;
	}
	if (w.how.why[0]) {
		fail(c, t, ERR_ENV, w.how.why);
		return;
	}
	since = clock_ns();
	running = STARTING;
	if ((e = start(&w.how, block, seq)) > 0) {
		await(e, &end);
		e = collect(&w.out);
		if (e == 0)
			e = collect(&w.err);
		end.out = span_of(w.out.p, w.out.n);
		end.err = span_of(w.err.p, w.err.n);
	} else {
		running = early = 0;
		end.status = proc_status(e);
		end.norun = true;
		end.err = span_of(why, (size_t)snprintf(why, sizeof why, "cannot run '%.150s': %s\n", w.argv[0], err_str(e)));
		e = 0;
	}
	end.ns = clock_ns() - since;
	if (e == 0)
		e = publish(c, t, &end);
	if (e < 0)
		fail(c, t, e, e == ERR_FULL ? client_full(c) : err_str(e));
	empty(&w.out);
	empty(&w.err);
}
