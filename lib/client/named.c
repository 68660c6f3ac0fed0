#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/named.h"

static FILE *
open_in(const char *variable, const char *below_home, const char *file)
{
	const char *dir = getenv(variable), *home = getenv("HOME");
	char path[PATH_MAX];
	int len;

	if (dir && *dir)
		len = snprintf(path, sizeof path, "%s/rota/%s", dir, file);
	else
		len = snprintf(path, sizeof path, "%s/%s/rota/%s", home ? home : "", below_home, file);
	return len < (int)sizeof path ? fopen(path, "re") : NULL;
}

/* the word that rota up wrote on a host that it made part of a cluster */
static bool
is_here(const char *name)
{
	FILE *f = open_in("XDG_STATE_HOME", ".local/state", "cluster");
	char word[80];
	bool is = f && fscanf(f, "%79s", word) == 1 && strcmp(word, name) == 0;

	if (f)
		fclose(f);
	return is;
}

int
named_find(const char *name, char *path, size_t n)
{
	static const char key[] = "address\tunix:";
	char line[PATH_MAX + 32];
	int e = -EHOSTUNREACH;
	FILE *f;

	for (const char *s = name; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' && (s == name || (*s != '.' && *s != '-')))
			return -EINVAL;
	if (*name == '\0' || strlen(name) > 64)
		return -EINVAL;
	*path = '\0';
	if (is_here(name))
		return 0;
	if ((f = open_in("XDG_CONFIG_HOME", ".config", name)) == NULL)
		return -ENOENT;
	while (e < 0 && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, key, sizeof key - 1) == 0 && strlen(line + sizeof key - 1) < n) {
			strcpy(path, line + sizeof key - 1);
			e = 0;
		}
	}
	fclose(f);
	return e;
}
