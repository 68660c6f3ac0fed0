/* environ - what commands find in their environment: the caller's variables, or none, and those of -E and --env-file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/die.h"
#include "base/opt.h"
#include "rmap.h"

extern char **environ;

static bool
named(const char *var, const char *name)	/* is var NAME or NAME=VALUE of that name? */
{
	size_t n = strcspn(name, "=");

	return strncmp(var, name, n) == 0 && (var[n] == '=' || var[n] == '\0');
}

static void
add(struct options *o, const char *s)
{
	if (!(o->env = realloc(o->env, (o->nenv + 1) * sizeof *o->env)))
		die(125, -ENOMEM, "cannot read the options");
	o->env[o->nenv++] = s;
}

void
environ_option(struct options *o, const char *s)
{
	if (strcmp(s, "none") == 0) {
		o->bare = true;
		return;
	}
	if (!*s || *s == '=')
		opt_bad("-E", s, "NAME, NAME=VALUE or none");
	add(o, s);
}

void
environ_file(struct options *o, const char *name)
{
	FILE *f = fopen(name, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		die(2, -errno, "cannot read '%s'", name);
	for (unsigned number = 1; errno = 0, (n = getline(&line, &cap, f)) > 0; number++) {
		if (line[n - 1] == '\n')
			line[--n] = '\0';
		if (n == 0 || *line == '#')
			continue;
		if (*line == '=' || strlen(line) < (size_t)n)
			die(2, 0, "%s:%u: expected NAME or NAME=VALUE", name, number);
		add(o, line);
		line = NULL;			/* stays with the options */
		cap = 0;
	}
	if (ferror(f))
		die(2, -errno, "cannot read '%s'", name);
	free(line);
	fclose(f);
}

/* of several options the last one of a name counts */
static const char *
given(const struct options *o, const char *var)
{
	for (unsigned i = o->nenv; i-- > 0;)
		if (named(var, o->env[i]))
			return o->env[i];
	return NULL;
}

void
environ_build(const struct options *o, struct buf *b)
{
	bool omp = false;

	for (char **v = environ; *v; v++) {
		const char *own = given(o, *v);

		if (own ? strchr(own, '=') != NULL : o->bare || named(*v, "ROTA_KEY"))
			continue;
		omp |= named(*v, "OMP_NUM_THREADS");
		buf_add(b, *v, strlen(*v) + 1);
	}
	for (unsigned i = 0; i < o->nenv; i++)
		if (strchr(o->env[i], '=') && given(o, o->env[i]) == o->env[i]) {
			omp |= named(o->env[i], "OMP_NUM_THREADS");
			buf_add(b, o->env[i], strlen(o->env[i]) + 1);
		}
	if (o->cpus_given && !omp) {
		buf_printf(b, "OMP_NUM_THREADS=%u", (unsigned)o->task.threads);
		buf_add(b, "", 1);
	}
}

const char *
environ_path(const struct buf *env)
{
	const char *p = (const char *)env->data, *end = p + env->len;

	for (; p < end; p += strlen(p) + 1)
		if (strncmp(p, "PATH=", 5) == 0)
			return p + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}
