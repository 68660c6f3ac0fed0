/* run - keeps jobs under way and takes in what comes back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/err.h"
#include "rmap.h"

#define UNLIMITED 4096u			/* jobs under way with -j 0: more would only fill memory */

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static unsigned
slot_take(struct run *r)
{
	while (r->low < r->nslot && r->slot[r->low])
		r->low++;
	if (r->low == r->nslot) {
		unsigned n = r->nslot ? 2 * r->nslot : 64;
		uint8_t *v = realloc(r->slot, n);

		if (!v)
			die(125, -ENOMEM, "cannot start an item");
		memset(v + r->nslot, 0, n - r->nslot);
		r->slot = v;
		r->nslot = n;
	}
	r->slot[r->low] = 1;
	return r->low + 1;
}

static void
slot_give(struct run *r, unsigned slot)
{
	r->slot[slot - 1] = 0;
	if (slot - 1 < r->low)
		r->low = slot - 1;
}

struct job *
run_job(struct run *r, uint64_t first)
{
	struct job *j = calloc(1, sizeof *j);

	if (!j)
		die(125, -ENOMEM, "cannot start an item");
	j->seq = ++r->seq;
	j->first = first;
	j->slot = slot_take(r);
	if (r->o->keep)
		list_add_tail(&r->order, &j->link);
	return j;
}

int
run_submit(struct run *r, struct job *j, const struct payload *p)
{
	struct rec *rec;
	int e;

	while ((e = client_submit(r->c, r->fn, p, &rec)) == -EAGAIN && (e = client_room(r->c, WAIT_FOREVER)) == 0)
		;
	if (e == 0) {
		e = waitset_add(r->c, r->set, rec, (uint64_t)(uintptr_t)j);
		client_release(r->c, rec);
	}
	if (e == ERR_FULL)
		die(125, 0, "%s", client_full(r->c));
	if (e == ERR_NO_CLUSTER)
		die(125, 0, "the node is gone: %s", client_lost(r->c));
	if (e < 0)
		die(125, e, "cannot start item %llu", (unsigned long long)j->seq);
	r->under++;
	return 1;
}

static void
job_free(struct run *r, struct job *j)
{
	if (j->rec)
		client_release(r->c, j->rec);
	free(j->label);
	free(j->tag);
	free(j->argv);
	free(j->in);
	free(j);
}

void
run_drop(struct run *r, struct job *j)
{
	slot_give(r, j->slot);
	if (r->o->keep)
		list_del(&j->link);
	job_free(r, j);
}

/* again and again: one may have been about to start */
static void
halt_items(struct run *r)
{
	end_items(r);
	r->next_term = clock_ns() + AGAIN_NS;
}

void
run_halt(struct run *r, int status, bool now)
{
	r->stopping = true;
	r->halt_status = status;
	if (now && r->under) {
		r->halt_now = true;
		halt_items(r);
	}
}

static void
job_write(struct run *r, struct job *j)
{
	if (r->o->lua_name)
		lines_write(r, j);
	else
		commands_write(r, j);
	job_free(r, j);
}

static void
job_done(struct run *r, struct job *j, struct rec *rec)
{
	j->rec = rec;
	r->under--;
	if (!r->o->lua_name && !commands_done(r, j))
		return;
	slot_give(r, j->slot);
	j->done = true;
	if (!r->o->keep) {
		job_write(r, j);
		return;
	}
	r->held += client_size(rec);
	while (!list_empty(&r->order)) {
		j = list_entry(list_first(&r->order), struct job, link);
		if (!j->done)
			break;
		list_del(&j->link);
		r->held -= client_size(j->rec);
		job_write(r, j);
	}
}

void
run_failed(struct run *r, const struct job *j, uint64_t line, const char *how)
{
	char label[80] = "";
	const char *kind = r->o->pipe ? "block" : r->o->has_args ? "item" : "line";

	r->failed++;
	if (r->first[0] && line >= r->first_seq)
		return;
	r->first_seq = line;
	if (j && j->label && !r->o->pipe) {
		snprintf(label, sizeof label, " '%.64s'", j->label);
		for (char *s = label; *s; s++)
			if ((unsigned char)*s < 0x20 || *s == 0x7f)
				*s = '?';
	}
	snprintf(r->first, sizeof r->first, "%s %llu%s: %s", kind, (unsigned long long)line, label, how);
}

/* --- the loop ------------------------------------------------------------------------------------------------------- */

static void
start_more(struct run *r)
{
	while (!r->input_end && !r->stopping && r->under < r->limit) {
		int k;

		if (r->next_start && clock_ns() < r->next_start)
			return;
		if (r->under && r->held > client_welcome(r->c)->arena / 4)
			return;			/* the first one is slow: what the others wrote must not fill the store */
		k = r->o->lua_name ? lines_next(r) : commands_next(r);

		if (k == -EAGAIN)
			return;
		if (k < 0)
			die(125, k, "cannot read items");
		r->input_end = k == 0;
	}
}

static int
next_done(struct run *r, struct rec **rec, uint64_t *tag)
{
	uint64_t until;
	int e;

	if (r->under && (e = waitset_next(r->c, r->set, 1, rec, tag)) != -ETIMEDOUT)
		return e;
	out_flush(r);				/* what there is to show is shown before we sleep */
	progress_draw(r);
	if (r->halt_now && clock_ns() >= r->next_term)
		halt_items(r);
	until = progress_next();
	if (r->halt_now && r->next_term < until)
		until = r->next_term;
	if (!r->input_end && !r->stopping && r->under < r->limit && r->next_start && r->next_start < until)
		until = r->next_start;
	return r->under ? waitset_next(r->c, r->set, until, rec, tag) : client_nap(r->c, until);
}

static void
summary(const struct run *r)
{
	if (r->failed == 0 || (r->o->quiet && isatty(STDERR_FILENO)))
		return;
	fprintf(stderr, "%s: %llu of %llu failed; first: %s\n", progname, (unsigned long long)r->failed,
	    (unsigned long long)r->done, r->first);
}

static void
set_limit(struct run *r)
{
	const struct options *o = r->o;
	uint64_t cpus = client_cpus(r->c);

	r->limit = o->jobs;
	if (o->percent)
		r->limit = cpus * o->percent / 100000;
	if (o->jobs_given && !o->percent && o->jobs == 0)
		r->limit = UNLIMITED;
	else if (!o->jobs_given)
		r->limit = o->task.cpus ? cpus / o->task.cpus : UNLIMITED;
	if (r->limit == 0)
		r->limit = 1;
}

static void
wake(void *c)
{
	client_poke(c);
}

/* --dry-run: what would be run, without a node */
int
run_dry(struct run *r)
{
	int e;

	list_init(&r->order);
	report_open(r->o);
	if ((e = items_open(&r->items, r->o, NULL, NULL)) < 0)
		die(r->o->file ? 2 : 125, e, "cannot read '%s'", r->o->file ? r->o->file : "stdin");
	while ((e = commands_next(r)) > 0)
		;
	if (e < 0)
		die(125, e, "cannot read items");
	if (fflush(stdout) || ferror(stdout))
		die(125, -errno, "cannot write to stdout");
	return 0;
}

int
run_all(struct run *r)
{
	uint64_t tag;
	struct rec *rec;
	int e;

	list_init(&r->order);
	set_limit(r);
	if (!(r->set = waitset_new(r->c)))
		die(125, -ENOMEM, "cannot start");
	if ((e = items_open(&r->items, r->o, wake, r->c)) < 0)
		die(r->o->file ? 2 : 125, e, "cannot read '%s'", r->o->file ? r->o->file : "stdin");
	if ((e = r->o->lua_name ? lines_start(r) : commands_start(r)) < 0)
		die(125, e, "cannot start");
	report_open(r->o);
	end_prepare(r->c);
	progress_start(r->o);
	for (;;) {
		start_more(r);
		if (r->under == 0 && (r->input_end || r->stopping))
			break;
		e = next_done(r, &rec, &tag);
		if (run_signal)
			run_end(r, run_signal);
		if (client_lost(r->c))		/* each item would say it */
			die(125, 0, "the node is gone: %s", client_lost(r->c));
		if (e == 0)
			job_done(r, (struct job *)(uintptr_t)tag, rec);
		else if (e == ERR_NO_CLUSTER)
			die(125, 0, "the node is gone: %s", client_lost(r->c));
		else if (e != -EINTR && e != -ETIMEDOUT)
			die(125, e, "cannot wait for items");
	}
	live_finish();
	out_flush(r);
	progress_erase();
	summary(r);
	client_close(r->c);
	if (r->stopping && r->halt_status >= 0)
		return r->halt_status;
	return r->failed == 0 ? 0 : r->failed == r->timed_out ? 124 : 1;
}
