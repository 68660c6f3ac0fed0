/* view_watch: a screen that is drawn again and again, or lines of what changes */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "base/err.h"
#include "client/view.h"

#define DRAW_NS 1000000000
#define LOOK_NS 250000000

static volatile sig_atomic_t came;

static void
on_signal(int sig)
{
	if (came) {				/* the second one: no waiting */
		signal(sig, SIG_DFL);
		raise(sig);
	}
	came = sig;
}

static void
catch_signals(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_NODEFER }, old;

	for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)	/* nohup */
			sigaction(sigs[i], &sa, NULL);
}

static void
pause_for(long ns)				/* or until a signal came */
{
	struct timespec t = { ns / 1000000000, ns % 1000000000 };
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (!came)
		ppoll(NULL, 0, &t, &old);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int
flushed(FILE *f)
{
	return fflush(f) || ferror(f) ? -errno : 0;
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
	return flushed(f);
}

/* the table of all rows as on the terminal that f is now; the caller frees it */
static int
page(const struct view *v, FILE *f, char **text, char *why, size_t n)
{
	struct table now, t;
	size_t len = 0;
	FILE *mem = open_memstream(text, &len);
	int e;

	if (!mem)
		return -ENOMEM;
	table_init(&now, v->kind->cols, f);
	view_begin(v, &t, mem, why, n);
	t.tty = true;
	t.width = now.width;
	e = view_print(v, &t, why, n);
	if (table_end(&t) < 0 || fclose(mem) != 0)
		e = e < 0 ? e : -ENOMEM;
	return e;
}

static int
on_terminal(const struct view *v, FILE *f, char *why, size_t n)
{
	int e = 0;

	fputs("\033[?1049h\033[?25l", f);		/* the screen beside the scrolled one, no cursor */
	while (!came && e == 0) {
		char *text = NULL;

		if ((e = page(v, f, &text, why, n)) == 0)
			e = draw(f, text);
		free(text);
		if (e == 0)
			pause_for(DRAW_NS);
	}
	fputs("\033[?25h\033[?1049l", f);
	fflush(f);
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
column(const struct listing *l, const char *name)	/* ncol: there is none */
{
	unsigned c = 0;

	while (c < l->ncol && (!name || strcmp(l->cols[c].name, name) != 0))
		c++;
	return c;
}

/* the row of l that is row i of other, or l->len */
static size_t
find(const struct list_kind *kind, const struct listing *l, const struct listing *other, size_t i)
{
	unsigned key = column(other, kind->key[0]), next = column(other, kind->key[1]);
	size_t k = 0;

	if (other->cell[i * other->ncol + key].none)
		while (k < l->len && !(same(other, i, l, k, key) && (next == l->ncol || same(other, i, l, k, next))))
			k++;
	else
		while (k < l->len && !same(other, i, l, k, key))
			k++;
	return k;
}

static void
print_row(struct listing *l, size_t i, struct table *t)
{
	struct listing one = *l;

	one.cell = &l->cell[i * l->ncol];
	one.len = 1;
	listing_print(&one, t);
}

static void
differences(const struct list_kind *kind, struct listing *old, struct listing *new, struct table *t)
{
	unsigned state = column(new, "state");

	for (size_t i = 0; i < new->len; i++) {
		size_t k = find(kind, old, new, i);

		if (k == old->len || (state < new->ncol && !same(new, i, old, k, state)))
			print_row(new, i, t);
	}
	for (size_t k = 0; k < old->len && state < new->ncol; k++) {
		if (find(kind, new, old, k) < new->len)
			continue;
		old->cell[k * old->ncol + state] = (struct listing_cell){ .off = old->text.len, .len = 4 };
		if (buf_add(&old->text, "gone", 4) == 0)
			print_row(old, k, t);
	}
}

static int
in_pipe(const struct view *v, struct table *t, char *why, size_t n)
{
	struct listing old = { 0 }, new;
	int e = 0;

	t->show = false;			/* a line an event */
	while (!came && e == 0) {
		if ((e = view_read(v, &new, why, n)) < 0)
			break;
		differences(v->kind, &old, &new, t);
		e = flushed(t->f);
		listing_free(&old);
		old = new;
		if (e == 0)
			pause_for(LOOK_NS);
	}
	listing_free(&old);
	return e;
}

int
view_watch(const struct view *v, struct table *t, char *why, size_t n)
{
	int e;

	catch_signals();
	*why = '\0';
	e = t->tty && !t->json ? on_terminal(v, t->f, why, n) : in_pipe(v, t, why, n);
	if (e < 0 && !*why)
		snprintf(why, n, "cannot write to stdout: %s", err_str(e));
	return came ? came : e;
}
