/*
 * watch - rstat -w: a terminal is redrawn each second, a pipe gets a line for each row that comes, changes its state or
 * goes (its state is "gone" then).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "rstat.h"

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

static void
pause_for(uint64_t ns)
{
	uint64_t until = clock_ns() + ns;

	while (!came && !client_lost(watched) && client_nap(watched, until) == -EINTR)
		;
	if (!came && client_lost(watched))
		die(125, 0, "%s", client_lost(watched));
}

/* --- a terminal ------------------------------------------------------------------------------------------------------ */

/* text from the top of the screen, as many lines as there are rows */
static void
draw(const char *text)
{
	struct winsize ws;
	unsigned rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row ? ws.ws_row : 24;

	fputs("\033[H", stdout);
	for (const char *end; *text && rows > 1 && (end = strchr(text, '\n')); text = end + 1, rows--)
		fprintf(stdout, "%.*s\033[K\n", (int)(end - text), text);
	fputs("\033[J", stdout);
	if (fflush(stdout) || ferror(stdout))
		die(125, -errno, "cannot write to stdout");
}

static void
on_terminal(void (*print)(struct client *c, FILE *f, void *arg), void *arg)
{
	fputs("\033[?1049h\033[?25l", stdout);		/* the screen beside the scrolled one, no cursor */
	while (!came) {
		char *text = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&text, &n);

		if (!f)
			die(125, -errno, "cannot draw");
		print(watched, f, arg);
		fclose(f);
		draw(text);
		free(text);
		pause_for(DRAW_NS);
	}
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
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

static void
in_pipe(void (*read)(struct client *c, struct listing *l, void *arg), void *arg, struct table *t)
{
	struct listing old = { 0 }, new;

	while (!came) {
		read(watched, &new, arg);
		differences(&old, &new, t);
		if (fflush(stdout) || ferror(stdout))
			die(125, -errno, "cannot write to stdout");
		if (old.cols)
			listing_free(&old);
		old = new;
		pause_for(LOOK_NS);
	}
	listing_free(&old);
}

void
watch(struct client *c, const struct watch *w, struct table *t)
{
	watched = c;
	catch_signals();
	if (t->tty && !t->json)
		on_terminal(w->print, w->arg);
	else
		in_pipe(w->read, w->arg, t);
	signal(came, SIG_DFL);
	raise(came);
}
