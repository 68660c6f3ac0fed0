/*
 * heir_jobs - jobs outlive a daemon with their numbers.  What runs for a job is made again once its driver is back, whose
 * stderr the new workers write to; a job whose driver is gone goes on for what is detached of it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "node/inner.h"

struct note {				/* then cwd, namespace and environment */
	uint32_t number, driver;
	pid_t pid;
	bool over;
	char name[64];
	uint64_t born;
	size_t ncwd, nnamespace;
};

void
job_note(struct node *n, const struct njob *j)
{
	struct note t = { .number = j->number, .driver = j->driver, .pid = j->pid, .born = j->born,
	    .over = j->over, .nnamespace = j->namespace.len };
	struct buf b = BUF_INIT;
	char link[64], cwd[4096];
	ssize_t len = 0;

	memcpy(t.name, j->name, sizeof t.name);
	snprintf(link, sizeof link, "/proc/self/fd/%d", j->cwd);
	if (j->cwd >= 0 && (len = readlink(link, cwd, sizeof cwd)) > 0 && (size_t)len < sizeof cwd)
		t.ncwd = (size_t)len;
	if (buf_add(&b, &t, sizeof t) == 0 && buf_add(&b, cwd, t.ncwd) == 0 && buf_add(&b, j->namespace.data, j->namespace.len) == 0 &&
	    (j->env.len == 0 || buf_add(&b, j->env.data, j->env.len) == 0))
		estate_put(n, ESTATE_JOB, &t.number, sizeof t.number, span_buf(&b));
	buf_release(&b);
}

void
job_unnote(struct node *n, const struct njob *j)
{
	estate_del(n, ESTATE_JOB, &j->number, sizeof j->number);
}

struct njob *
job_driven(const struct node *n, uint32_t proc)
{
	struct map_iter it = MAP_ITER;

	while (map_next(&n->jobs, &it)) {
		struct njob *j = it.val;

		if (j->driver == proc && !j->over)
			return j;
	}
	return NULL;
}

bool
job_comes(const struct node *n, const struct njob *j)
{
	return !j->over && map_get(&n->awaited, j->driver);
}

/* --- of the daemon before --------------------------------------------------------------------------------------- */

static void
noted(void *node, struct span key, struct span val)
{
	struct node *n = node;
	struct njob *j;
	struct note t;
	char cwd[4097];

	(void)key;
	if (val.n < sizeof t)
		return;
	memcpy(&t, val.p, sizeof t);
	val = span_of(val.p + sizeof t, val.n - sizeof t);
	if (val.n < t.ncwd + t.nnamespace || t.ncwd >= sizeof cwd || (j = job_new(n, t.number)) == NULL)
		return;
	j->driver = t.driver;
	j->pid = t.pid;
	j->born = t.born;
	j->over = t.over;
	memcpy(j->name, t.name, sizeof j->name);
	memcpy(cwd, val.p, t.ncwd);
	cwd[t.ncwd] = '\0';
	if (t.ncwd)
		j->cwd = open(cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
	buf_add(&j->namespace, val.p + t.ncwd, t.nnamespace);
	buf_add(&j->env, val.p + t.ncwd + t.nnamespace, val.n - t.ncwd - t.nnamespace);
	job_note(n, j);
}

void
job_resume(struct node *n, struct njob *j)
{
	actors_step(n, &(struct actor_in){ .kind = ACTOR_IN_RESUME, .job = j->number,
	    .until = clock_ns() + HEIR_GRACE + ACTOR_GRACE });
	sets_step(n, &(struct set_in){ .kind = SET_IN_RESUME, .job = j->number, .until = clock_ns() + HEIR_GRACE });
}

void
job_late(struct node *n, struct njob *j)
{
	job_over(n, j);
	job_resume(n, j);
	job_unref(n, j);			/* the driver's */
}

void
jobs_inherit(struct node *n)
{
	struct map_iter it = MAP_ITER;

	estate_each(n, ESTATE_JOB, noted, n);
	groups_inherit(n);
	sets_inherit(n);
	actors_inherit(n);
	while (map_next(&n->jobs, &it)) {
		struct njob *j = it.val;

		if (!j->over && map_get(&n->awaited, j->driver))
			continue;
		j->over = false;		/* what should have ended with it may be here again */
		job_late(n, j);
	}
}
