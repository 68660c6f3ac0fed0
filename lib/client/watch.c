#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "base/clock.h"
#include "base/err.h"
#include "client/watch.h"

#define DRAW_NS UINT64_C(1000000000)
#define LOOK_NS UINT64_C(250000000)

static volatile sig_atomic_t came;
static struct client *watched;

static void
on_signal(int sig)
{
	came = sig;
	client_poke(watched);
}

static void
catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal }, old;

	for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(sigs[i], &sa, NULL);
}

static int
pause_for(uint64_t ns)			/* 0, or ERR_NO_CLUSTER */
{
	uint64_t until = clock_ns() + ns;

	while (!came && !client_lost(watched) && client_nap(watched, until) == -EINTR)
		;
	return !came && client_lost(watched) ? ERR_NO_CLUSTER : 0;
}

static int
flush(FILE *f)
{
	return fflush(f) ? -errno : ferror(f) ? -EIO : 0;
}

/* --- a terminal ------------------------------------------------------------------------------------------------------ */

/* text from the top of the screen, as many lines as there are rows */
static int
draw(FILE *f, const char *text)
{
	struct winsize ws;
	unsigned rows = ioctl(fileno(f), TIOCGWINSZ, &ws) == 0 && ws.ws_row ? ws.ws_row : 24;

	fputs("\033[H", f);
	for (const char *end; *text && rows > 1 && (end = strchr(text, '\n')); text = end + 1, rows--)
		fprintf(f, "%.*s\033[K\n", (int)(end - text), text);
	fputs("\033[J", f);
	return flush(f);
}

static void
print_screen(const struct watch *w, FILE *f, unsigned width)
{
	struct listing l;
	struct table t;

	w->open(&t, f, w->arg);
	t.tty = true;
	t.width = width;
	if (w->print) {
		w->print(watched, &t, w->arg);
	} else {
		w->read(watched, &l, w->arg);
		listing_print(&l, &t);
		listing_free(&l);
	}
	table_end(&t);
}

static int
on_terminal(const struct watch *w, unsigned width)
{
	int e = 0;

	fputs("\033[?1049h\033[?25l", w->f);		/* the screen beside the scrolled one, no cursor */
	while (!came && e == 0) {
		char *text = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&text, &n);

		if (!f) {
			e = -errno;
			break;
		}
		print_screen(w, f, width);
		fclose(f);
		if ((e = draw(w->f, text)) == 0)
			e = pause_for(DRAW_NS);
		free(text);
	}
	fputs("\033[?25h\033[?1049l", w->f);
	fflush(w->f);
	return e;
}

/* --- a pipe ---------------------------------------------------------------------------------------------------------- */

static bool
same(const struct listing *a, size_t i, const struct listing *b, size_t k, unsigned col)
{
	const struct listing_cell *x = &a->cell[i * a->ncol + col], *y = &b->cell[k * b->ncol + col];

	if (x->none || y->none)
		return x->none == y->none;
	if (a->cols[col].kind != TABLE_STRING)
		return x->u == y->u;
	return x->len == y->len && memcmp(a->text.data + x->off, b->text.data + y->off, x->len) == 0;
}

static unsigned
state_column(const struct listing *l)
{
	unsigned c = 0;

	while (c < l->ncol && strcmp(l->cols[c].name, "state") != 0)
		c++;
	return c;
}

static void
print_row(struct listing *l, size_t i, struct table *t)
{
	struct listing one = *l;

	one.cell = &l->cell[i * l->ncol];
	one.len = 1;
	listing_print(&one, t);
}

/* both are sorted by the first column */
static void
differences(struct listing *old, struct listing *new, struct table *t)
{
	unsigned state = state_column(new);

	for (size_t i = 0; i < new->len; i++) {
		size_t k = 0;

		while (k < old->len && !same(new, i, old, k, 0))
			k++;
		if (k == old->len || (state < new->ncol && !same(new, i, old, k, state)))
			print_row(new, i, t);
	}
	for (size_t k = 0; k < old->len; k++) {
		size_t i = 0;

		while (i < new->len && !same(new, i, old, k, 0))
			i++;
		if (i < new->len || state == new->ncol)
			continue;
		old->cell[k * old->ncol + state] = (struct listing_cell){ .off = old->text.len, .len = 4 };
		if (buf_add(&old->text, "gone", 4) == 0)
			print_row(old, k, t);
	}
}

static int
in_pipe(const struct watch *w, struct table *t)
{
	struct listing old = { 0 }, new;
	int e = 0;

	while (!came && e == 0) {
		w->read(watched, &new, w->arg);
		differences(&old, &new, t);
		if (old.cols)
			listing_free(&old);
		old = new;
		if ((e = flush(w->f)) == 0)
			e = pause_for(LOOK_NS);
	}
	if (old.cols)
		listing_free(&old);
	return e;
}

int
watch(struct client *c, const struct watch *w, struct table *t)
{
	int e;

	watched = c;
	catch_signals();
	e = t->tty && !t->json ? on_terminal(w, t->width) : in_pipe(w, t);
	return e < 0 ? e : came;
}
