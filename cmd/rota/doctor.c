/* doctor - rota doctor: what of this machine rota needs and wants, a line a check: ok, note or bad. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/die.h"
#include "base/num.h"
#include "base/opt.h"
#include "base/table.h"
#include "os/dir.h"
#include "os/proc.h"
#include "os/sock.h"
#include "rota.h"

enum { OPT_HEADER = 256, WANT_FILES = 4096, CLOCK_LOOKS = 10000 };
#define MIB (UINT64_C(1) << 20)

const struct opt doctor_opts[] = {
	{ 'J', "json", NULL, "JSON lines" },
	{ 'o', "columns", "COL,...", "columns" },
	{ OPT_HEADER, "header", NULL, "a heading in a pipe too" },
	{ 'A', "address", "NAME", "the hosts of a cluster" },
	{ 'j', "jobs", "N", "hosts at once" },
	{ 'q', "quiet", NULL, "only what is not ok" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

static const struct table_col cols[] = {
	{ "state", TABLE_STRING }, { "check", TABLE_STRING }, { "text", TABLE_STRING }, { 0 }
};

static struct {
	struct table t;
	bool quiet;
	unsigned bad;
} d;

enum state { OK, NOTE, BAD };

static void __attribute__((format(printf, 3, 4)))
say(enum state s, const char *check, const char *fmt, ...)
{
	static const char *const word[] = { "ok", "note", "bad" };
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	d.bad += s == BAD;
	if (d.quiet && s == OK)
		return;
	table_str(&d.t, word[s]);
	table_str(&d.t, check);
	table_str(&d.t, text);
	table_row(&d.t);
}

/* the first line of a file, "" if there is none */
static const char *
line_of(const char *path)
{
	static char line[512];
	FILE *f = fopen(path, "re");

	line[0] = '\0';
	if (f) {
		if (!fgets(line, sizeof line, f))
			line[0] = '\0';
		fclose(f);
	}
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* --- kernel ---------------------------------------------------------------------------------------------------------- */

static void
kernel(void)
{
	struct utsname u;
	int major = 0, minor = 0;

	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	say(major > 5 || (major == 5 && minor >= 10) ? OK : BAD, "kernel", "%s %s, wanted: 5.10 or later", u.sysname, u.release);
}

static void
sealed_memory(void)
{
	int fd = memfd_create("rota-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, 4096) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) < 0)
		say(BAD, "memfd", "memory files that can be sealed: %s", strerror(errno));
	else
		say(OK, "memfd", "memory files can be sealed");
	if (fd >= 0)
		close(fd);
}

static void
process_handles(void)
{
	int fd = proc_pidfd(getpid());

	if (fd < 0)
		say(BAD, "pidfd", "%s", strerror(-fd));
	else
		say(OK, "pidfd", "processes can be watched");
	if (fd >= 0)
		close(fd);
}

static void
huge_pages(void)
{
	const char *shmem = line_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
	bool userns = strcmp(line_of("/proc/sys/kernel/unprivileged_userns_clone"), "0") != 0;

	if (strstr(shmem, "[always]") || strstr(shmem, "[advise]") || strstr(shmem, "[within_size]"))
		say(OK, "huge-pages", "shared memory may have them: %s", shmem);
	else if (geteuid() == 0 || userns)
		say(OK, "huge-pages", "through a tmpfs of our own");
	else
		say(NOTE, "huge-pages", "none: neither shmem_enabled nor user namespaces allow them; large puts are slower");
}

static void
clocks(void)
{
	uint64_t t0 = clock_ns();
	unsigned ns;

	for (int i = 0; i < CLOCK_LOOKS; i++)
		clock_ns();
	ns = (unsigned)((clock_ns() - t0) / CLOCK_LOOKS);
	say(ns < 200 ? OK : NOTE, "clock", "%s, %u ns a look%s",
	    line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"), ns,
	    ns < 200 ? "" : "; each task looks twice: prefer tsc");
}

/* --- what there is of everything -------------------------------------------------------------------------------------- */

static void
cpus(void)
{
	long all = sysconf(_SC_NPROCESSORS_ONLN);
	int ours = proc_cpus();

	if (ours < all)
		say(NOTE, "cpus", "%d of %ld: the affinity or the cgroup allows no more", ours, all);
	else
		say(OK, "cpus", "%d", ours);
}

static void
memory(void)
{
	struct sysinfo s;
	uint64_t all, limit;
	char a[16];

	sysinfo(&s);
	all = (uint64_t)s.totalram * s.mem_unit;
	if (num_u64(line_of("/sys/fs/cgroup/memory.max"), &limit) == 0 && limit < all)
		say(NOTE, "memory", "%s, the cgroup's limit", num_fmt_size(a, limit));
	else
		say(all < 512 * MIB ? NOTE : OK, "memory", "%s", num_fmt_size(a, all));
}

static void
limit(const char *check, int which, const char *of, rlim_t want)
{
	struct rlimit l;

	getrlimit(which, &l);
	if (l.rlim_max == RLIM_INFINITY)
		say(OK, check, "no limit on %s", of);
	else
		say(l.rlim_max < want ? NOTE : OK, check, "at most %llu %s%s", (unsigned long long)l.rlim_max, of,
		    l.rlim_max < want ? "; each worker takes some: raise the hard limit (ulimit -H)" : "");
}

static void
gpus(void)
{
	const char *nv = line_of("/proc/driver/nvidia/version");

	if (*nv)
		say(OK, "gpu", "%.200s", nv);
	else
		say(OK, "gpu", "no NVIDIA driver: none is offered");
}

/* --- places -------------------------------------------------------------------------------------------------------------- */

static void
runtime_dir(void)
{
	char path[4096];
	int dir = dir_open(path, sizeof path), fd;
	unsigned stale = 0;
	DIR *list;

	if (dir < 0) {
		say(BAD, "rota-dir", "%s", dir_why());
		return;
	}
	if ((list = fdopendir(dir)) == NULL)
		return;
	for (struct dirent *e; (e = readdir(list)) != NULL;) {
		size_t n = strlen(e->d_name);

		if (n < 6 || strcmp(e->d_name + n - 5, ".sock") != 0)
			continue;
		if ((fd = sock_connect(dirfd(list), e->d_name)) >= 0)
			close(fd);
		else
			stale += fd == -ECONNREFUSED;
	}
	closedir(list);
	if (stale)
		say(NOTE, "rota-dir", "'%s': %u socket%s of killed nodes; the next node takes their places", path, stale,
		    stale == 1 ? "" : "s");
	else
		say(OK, "rota-dir", "'%s'", path);
}

/* the file system under path, or under the nearest directory above that exists */
static int
below(const char *path, struct statfs *s, char *at, size_t n)
{
	snprintf(at, n, "%s", path);
	while (statfs(at, s) < 0) {
		char *slash = strrchr(at, '/');

		if (!slash || slash == at)
			return statfs("/", s);
		*slash = '\0';
	}
	return 0;
}

static void
state_dir(void)
{
	enum { NFS = 0x6969, CIFS = 0xff534d42, SMB2 = 0xfe534d42u };
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char path[4000], at[4000];
	struct statfs s;

	if (xdg && *xdg)
		snprintf(path, sizeof path, "%s/rota", xdg);
	else
		snprintf(path, sizeof path, "%s/.local/state/rota", home ? home : "");
	if (below(path, &s, at, sizeof at) < 0)
		say(BAD, "state", "'%s': %s", path, strerror(errno));
	else if (s.f_type == NFS || (unsigned)s.f_type == CIFS || (unsigned)s.f_type == SMB2)
		say(BAD, "state", "'%s' is on a network file system, which LMDB cannot use; set XDG_STATE_HOME", path);
	else if (access(at, W_OK) < 0)
		say(BAD, "state", "'%s': %s", at, strerror(errno));
	else
		say(OK, "state", "'%s'", path);
}

static void
spill_dir(void)
{
	const char *set = getenv("ROTA_SPILL");
	char dir[4000] = "", path[4096], at[4096], size[16];
	struct statfs s;
	uint64_t left;
	int fd = dir_open(dir, sizeof dir);

	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof path, "%s%s", set && *set ? set : dir, set && *set ? "" : "/spill");
	if (below(path, &s, at, sizeof at) < 0) {
		say(BAD, "spill", "'%s': %s", path, strerror(errno));
		return;
	}
	left = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize;
	say(left < 1024 * MIB ? NOTE : OK, "spill", "%s free under '%s'%s", num_fmt_size(size, left), path,
	    left < 1024 * MIB ? "; ROTA_SPILL names another place" : "");
}

static void
logout(void)
{
	const char *group = line_of("/proc/self/cgroup");
	char path[256];

	if (!strstr(group, "session-")) {
		say(OK, "linger", "no session of a login: nothing ends us at logout");
		return;
	}
	snprintf(path, sizeof path, "/var/lib/systemd/linger/%s", getenv("USER") ? getenv("USER") : "");
	if (access(path, F_OK) == 0)
		say(OK, "linger", "on: a lasting node outlives this session");
	else
		say(NOTE, "linger", "off: a node ends at logout; to keep it: loginctl enable-linger");
}

static void
keys(void)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
	char path[4000];
	unsigned n = 0;
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof path, "%s%s", xdg && *xdg ? xdg : home ? home : "", xdg && *xdg ? "/rota" : "/.config/rota");
	if ((dir = opendir(path)) == NULL) {
		say(OK, "keys", "none in '%s'", path);
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		size_t len = strlen(e->d_name);

		if (len < 5 || strcmp(e->d_name + len - 4, ".key") != 0 || fstatat(dirfd(dir), e->d_name, &st, 0) < 0)
			continue;
		n++;
		if (st.st_mode & 077)
			say(BAD, "keys", "'%s/%s' can be read by others (mode %04o); chmod 600 it", path, e->d_name, st.st_mode & 07777);
		else if (st.st_uid != geteuid())
			say(BAD, "keys", "'%s/%s' belongs to uid %u", path, e->d_name, st.st_uid);
	}
	closedir(dir);
	say(OK, "keys", "%u in '%s'", n, path);
}

static void
ports(void)
{
	static const struct { in_port_t port; const char *of; } want[] = {
		{ 7411, "rgcs" }, { 7412, "rlet" }, { 8265, "rdash" }, { 8000, "rserve" },
	};
	char taken[128] = "";

	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(want[i].port),
		    .sin_addr = { htonl(INADDR_LOOPBACK) } };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
		size_t n = strlen(taken);

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
		if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno == EADDRINUSE)
			snprintf(taken + n, sizeof taken - n, "%s%u (%s)", n ? ", " : "", want[i].port, want[i].of);
		if (fd >= 0)
			close(fd);
	}
	if (*taken)
		say(NOTE, "ports", "taken: %s; --listen names another", taken);
	else
		say(OK, "ports", "7411 7412 8265 8000 are free");
}

/* --- the suite itself ---------------------------------------------------------------------------------------------------- */

static void
programs(void)
{
	static const char *const name[] = { "rlet", "rgcs", "rlua", "rmap" };
	char path[600];

	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		beside(path, sizeof path, name[i]);
		if (access(path, X_OK) < 0) {
			say(BAD, "programs", "cannot run '%s': %s", path, strerror(errno));
			return;
		}
	}
	say(OK, "programs", "the suite lies beside '%s'", path);
}

static void
variables(void)
{
	const char *key = getenv("ROTA_KEY"), *size = getenv("ROTA_STORE");
	uint64_t bytes;

	if (key && *key && !strchr(key, '/') && access(key, F_OK) < 0)
		say(BAD, "variables", "ROTA_KEY is the name of a file, not the key itself");
	else if (size && *size && num_size(size, &bytes) < 0)
		say(BAD, "variables", "ROTA_STORE: cannot use '%s' as a size", size);
	else
		say(OK, "variables", "ROTA_ADDRESS is %s", getenv("ROTA_ADDRESS") ? getenv("ROTA_ADDRESS") : "not set");
}

int
cmd_doctor(int argc, char *argv[])
{
	static void (*const check[])(void) = { kernel, sealed_memory, process_handles, huge_pages, clocks, cpus, memory, gpus,
	    runtime_dir, state_dir, spill_dir, logout, keys, ports, programs, variables };
	struct opt_state o = { .opts = doctor_opts, .help = rota_help, .verb = "doctor" };
	const char *columns = NULL;
	char why[256];
	int c, e;

	if ((e = cluster_doctor(argc, argv)) >= 0)
		return e;
	table_init(&d.t, cols, stdout);
	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case 'J': d.t.json = true; break;
		case 'o': columns = o.arg; break;
		case OPT_HEADER: d.t.header = true; break;
		case 'q': d.quiet = true; break;
		}
	if (columns && (e = table_select(&d.t, columns, why, sizeof why)) != 0) {
		if (e < 0)
			die(2, 0, "%s", why);
		return 0;
	}
	for (size_t i = 0; i < sizeof check / sizeof *check; i++)
		check[i]();
	limit("files", RLIMIT_NOFILE, "open files", WANT_FILES);
	limit("processes", RLIMIT_NPROC, "processes", WANT_FILES);
	if ((e = table_end(&d.t)) < 0)
		die(125, e, "cannot write to stdout");
	return d.bad > 0;
}
