/* env - rota env: variables with which a shell finds this suite and its node; rota help: pages that speak of a word. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/die.h"
#include "os/dir.h"
#include "os/fd.h"
#include "rota.h"

const struct opt env_opts[] = {
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

/* text as one word of a shell */
static void
quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	putchar('\'');
}

/* export NAME='first':"${NAME-}", so that what was there stays; els: what stands for none, as "-" or ":-;" */
static void
ahead(const char *name, const char *first, const char *sep, const char *els)
{
	printf("export %s=", name);
	quoted(first);
	printf("\"%s${%s%s}\"\n", sep, name, els);
}

static void
export(const char *name, const char *value)
{
	printf("export %s=", name);
	quoted(value);
	putchar('\n');
}

void
prefix(char *path, size_t n)
{
	char self[PATH_MAX], *slash;

	beside(self, sizeof self, "rota");
	for (int i = 0; i < 2; i++)
		if ((slash = strrchr(self, '/')) != NULL)
			*slash = '\0';
	snprintf(path, n, "%s", self);
}

/* where pages lie: in place man, installed share/man */
static void
pages(char *path, size_t n, const char *root)
{
	snprintf(path, n, "%s/share/man", root);
	if (access(path, R_OK) < 0)
		snprintf(path, n, "%s/man", root);
}

/* modules for any lua5.4, and librota for pkg-config: where those of the system are they need no word */
static void
modules(const char *root)
{
	char path[2 * PATH_MAX + 64];

	if (strcmp(root, "/usr") == 0)
		return;
	snprintf(path, sizeof path, "%s/lib/pkgconfig", root);
	ahead("PKG_CONFIG_PATH", path, ":", "-");
	if (strcmp(root, "/usr/local") == 0)
		return;
	snprintf(path, sizeof path, "%s/share/lua/5.4/?.lua;%s/share/lua/5.4/?/init.lua", root, root);
	ahead("LUA_PATH", path, ";", ":-;");
	snprintf(path, sizeof path, "%s/lib/lua/5.4/rota.so", root);
	snprintf(path, sizeof path, access(path, R_OK) == 0 ? "%s/lib/lua/5.4/?.so" : "%s/lua/?.so", root);
	ahead("LUA_CPATH", path, ";", ":-;");
}

int
cmd_env(int argc, char *argv[])
{
	struct opt_state o = { .opts = env_opts, .help = rota_help, .verb = "env" };
	static const char *const ours[] = { "ROTA_ADDRESS", "ROTA_NAMESPACE", "ROTA_STORE", "ROTA_SPILL", "ROTA_KEY" };
	char root[PATH_MAX], path[PATH_MAX + 16];
	int dir;

	while (opt_next(&o, argc, argv) != -1)
		;
	if (o.index < argc)
		die(2, 0, "unexpected operand '%s'; see rota -h", argv[o.index]);
	prefix(root, sizeof root);
	snprintf(path, sizeof path, "%s/bin", root);
	ahead("PATH", path, ":", "-");
	pages(path, sizeof path, root);
	ahead("MANPATH", path, ":", "-");
	modules(root);
	if ((dir = dir_open(path, sizeof path)) < 0)
		warn(0, "%s", dir_why());
	else
		close(dir);
	export("ROTA_DIR", path);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (getenv(ours[i]) && *getenv(ours[i]))
			export(ours[i], getenv(ours[i]));
	return 0;
}

/* --- help ------------------------------------------------------------------------------------------------------------- */

/* a page in mdoc: its name and description, if it is ours, as it refers to rota(7), and word is in it */
static bool
page(const char *path, const char *file, const char *word)
{
	char line[1024], about[256] = "";
	bool found = strcasestr(file, word) != NULL, ours = strcmp(file, "rota.7") == 0;
	const char *dot = strrchr(file, '.');
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, ".Nd ", 4) == 0)
			snprintf(about, sizeof about, "%.200s", line + 4);
		found |= strcasestr(line, word) != NULL;
		ours |= strncmp(line, ".Xr rota 7", 10) == 0;
	}
	fclose(f);
	found &= ours;
	if (found && dot)
		printf("%.*s(%s)\t%s\n", (int)(dot - file), file, dot + 1, about);
	return found;
}

int
cmd_help(int argc, char *argv[])
{
	struct opt_state o = { .opts = env_opts, .help = rota_help, .verb = "help" };
	char root[PATH_MAX], man[PATH_MAX + 16], path[PATH_MAX + 512];
	unsigned n = 0;

	while (opt_next(&o, argc, argv) != -1)
		;
	if (o.index + 1 < argc)
		die(2, 0, "help takes one word; '%s' is one too many", argv[o.index + 1]);
	if (o.index == argc) {
		fputs(rota_help, stdout);
		return 0;
	}
	prefix(root, sizeof root);
	pages(man, sizeof man, root);
	for (const char *sect = "1378"; *sect; sect++) {
		struct dirent **list;
		int k;

		snprintf(path, sizeof path, "%s/man%c", man, *sect);
		if ((k = scandir(path, &list, NULL, alphasort)) < 0)
			continue;
		for (int i = 0; i < k; i++) {
			const char *file = list[i]->d_name;

			snprintf(path, sizeof path, "%s/man%c/%s", man, *sect, file);
			if (file[0] == 'r')
				n += page(path, file, argv[o.index]);
			free(list[i]);
		}
		free(list);
	}
	if (n == 0)
		warn(0, "no page speaks of '%s'", argv[o.index]);
	return n == 0;
}
