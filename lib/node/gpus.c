/*
 * gpus - which GPUs this machine has, without a library of theirs and without waking them: what the driver tells in
 * /proc, as far as a device file is there (in a container some may be missing).  CUDA_VISIBLE_DEVICES of the node,
 * if it is set, says which of them are ours, and by what names.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "node/inner.h"

static const char proc_gpus[] = "/proc/driver/nvidia/gpus";

/* is the device file of the GPU at this bus address there? */
static bool
is_ours(const char *bus)
{
	char path[300], line[256], dev[32];
	unsigned minor;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof path, "%s/%.200s/information", proc_gpus, bus);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	while (!found && fgets(line, sizeof line, f))
		if (sscanf(line, "Device Minor: %u", &minor) == 1) {
			snprintf(dev, sizeof dev, "/dev/nvidia%u", minor);
			found = access(dev, F_OK) == 0;
		}
	fclose(f);
	return found;
}

static unsigned
count(void)
{
	unsigned n = 0;
	struct dirent *d;
	DIR *dir = opendir(proc_gpus);

	if (dir == NULL)
		return 0;
	while ((d = readdir(dir)) != NULL && n < GPUS_MAX)
		n += d->d_name[0] != '.' && is_ours(d->d_name);
	closedir(dir);
	return n;
}

/* "0,3" or "GPU-8f…,GPU-17…"; -1 and what is after it are none, as CUDA has it */
static unsigned
listed(const char *list, const char *name[GPUS_MAX])
{
	char *copy = strdup(list), *save = NULL, *s;
	unsigned n = 0;

	for (s = copy ? strtok_r(copy, ", ", &save) : NULL; s && n < GPUS_MAX && strcmp(s, "-1") != 0 && strlen(s) < 48; s = strtok_r(NULL, ", ", &save))
		name[n++] = s;
	return n;
}

unsigned
gpus_find(const char *name[GPUS_MAX])
{
	static char number[GPUS_MAX][4];
	const char *list = getenv("CUDA_VISIBLE_DEVICES");
	unsigned n = 0, given = 0;

	for (unsigned i = 0; i < GPUS_MAX; i++) {
		snprintf(number[i], sizeof number[i], "%u", i);
		name[i] = number[i];
	}
	n = count();
	if (list)
		given = listed(list, name);
	return list && given < n ? given : n;
}
