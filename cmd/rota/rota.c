/*
 * rota - the front door: starts, lists and stops this user's lasting node; alone it says what the suite is and what runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/die.h"
#include "base/err.h"
#include "base/opt.h"
#include "client/client.h"
#include "node/gcs.h"
#include "node/node.h"
#include "os/dir.h"
#include "os/fd.h"
#include "os/proc.h"
#include "os/sig.h"
#include "os/sock.h"
#include "rota.h"

enum { ARGS = 64, END_MS = 20000 };

const char rota_help[] =
"usage: rota                 what the suite is and what runs here\n"
"       rota up              start this machine's lasting node\n"
"       rota up HOST...|'node[1-4]'|cluster.lua|--local N   start a cluster\n"
"       rota down            end the node; with -A NAME the cluster\n"
"       rota ls              nodes of this machine; with -A NAME the cluster's\n"
"       rota exec -A NAME -- CMD...       run it on every host\n"
"       rota add|rm -A NAME HOST...       grow and shrink a cluster\n"
"       rota run HOST... -- CMD...        up, CMD on the first one, down\n"
"       rota scale -A NAME [--want N -c CPUS]  autoscaler; keep room\n"
"       rota drain [--undo] [NODE...]     nothing new; then the node ends\n"
"       rota key [--rotate] [NAME]        keys of clusters\n"
"       rota doctor [HOST...] | env | help [WORD]   checks, variables, pages\n"
"up:     -c CPUS -g GPUS -m MEM -R NAME=N --store SIZE: what a node offers\n"
"        --name NAME   -j N hosts at once   --print a cluster.lua   --dry-run\n"
"down:   --force although work runs    --purge forget all state too\n"
"ls, doctor: -J JSON lines   -o COL,...   --header    ls: -r  -w keep watching\n"
"        -q  -v  -h  -V  quiet, verbose, help, version\n"
"Examples:\n"
"        rota up -c 4 && ls *.log | rmap gzip\n"
"        rota up 'node[1-4]' && rota exec -A node1 -- uptime\n"
"        rota down --force\n"
"See man rota; man 5 rota-cluster; man 7 rota for the suite.\n";

const struct opt up_opts[] = {
	{ 'c', "cpus", "CPUS", "CPUs offered" },
	{ 'g', "gpus", "GPUS", "GPUs offered" },
	{ 'm', "memory", "MEM", "memory offered" },
	{ 'R', "resource", "NAME=N", "custom resource offered" },
	{ OPT_STORE, "store", "SIZE", "size of the object store" },
	{ OPT_NAME, "name", "NAME", "of the cluster" },
	{ OPT_LOCAL, "local", "N", "nodes, all on this machine" },
	{ 'j', "jobs", "N", "hosts at once" },
	{ OPT_PRINT, "print", NULL, "a cluster.lua to edit" },
	{ OPT_DRY, "dry-run", NULL, "say what would be started" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};
const struct opt down_opts[] = {
	{ 'A', "address", "NAME", "a cluster" },
	{ OPT_FORCE, "force", NULL, "although work runs" },
	{ OPT_PURGE, "purge", NULL, "forget all state" },
	{ 'j', "jobs", "N", "hosts at once" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};
const struct opt change_opts[] = {
	{ 'A', "address", "NAME", "which cluster" },
	{ 'c', "cpus", "CPUS", "CPUs offered" },
	{ 'g', "gpus", "GPUS", "GPUs offered" },
	{ 'm', "memory", "MEM", "memory offered" },
	{ 'R', "resource", "NAME=N", "custom resource offered" },
	{ OPT_STORE, "store", "SIZE", "size of the object store" },
	{ OPT_FORCE, "force", NULL, "although work runs" },
	{ OPT_PURGE, "purge", NULL, "forget all state" },
	{ 'j', "jobs", "N", "hosts at once" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};
const struct opt exec_opts[] = {
	{ 'A', "address", "NAME", "which cluster" },
	{ 'j', "jobs", "N", "hosts at once" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};
const struct opt key_opts[] = {
	{ 'A', "address", "NAME", "which cluster" },
	{ OPT_ROTATE, "rotate", NULL, "a new key, offered from now on" },
	{ OPT_GRACE, "grace", "DUR", "so long old ones are accepted (1h)" },
	{ 'j', "jobs", "N", "hosts at once" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};
const struct opt scale_opts[] = {
	{ 'A', "address", "NAME", "which cluster" },
	{ OPT_WANT, "want", "N", "keep room for so many units; 0: no more" },
	{ 'c', "cpus", "CPUS", "CPUs of a unit" },
	{ 'g', "gpus", "GPUS", "GPUs of a unit" },
	{ 'm', "memory", "MEM", "memory of a unit" },
	{ 'R', "resource", "NAME=N", "custom resource of a unit" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};
static const struct opt no_opts[] = {
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};
static const char *const verbs[] = { "up", "down", "ls", "exec", "add", "rm", "run", "scale", "drain", "key", "doctor", "env", "help", NULL };

static bool quiet, verbose;

/* --- up ------------------------------------------------------------------------------------------------------------------ */

/* until we end: several up and down at once are one after the other */
static void
one_at_a_time(void)
{
	char path[512];
	int dir = dir_open(path, sizeof path);

	if (dir < 0)
		die(125, 0, "%s", dir_why());
	if (flock(dir, LOCK_EX) < 0)
		die(125, -errno, "cannot lock '%s'", path);
}

void
beside(char *path, size_t n, const char *program)
{
	char self[512], *slash;
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

	if (len < 0)
		die(125, -errno, "cannot find myself");
	self[len] = '\0';
	if ((slash = strrchr(self, '/')) != NULL)
		slash[1] = '\0';
	snprintf(path, n, "%s%s", self, program);
	if (access(path, X_OK) < 0)
		snprintf(path, n, "%s../sbin/%s", self, program);
}

/* Starts rlet -l in a session of its own and waits until it serves. */
static void
start(char **args, unsigned nargs)
{
	char path[600], fd[16], c;
	char *argv[ARGS + 6];
	int p[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), pid, status;
	unsigned n = 0;
	struct proc_spawn s = PROC_SPAWN_INIT;

	beside(path, sizeof path, "rlet");
	if (null < 0 || pipe2(p, O_CLOEXEC) < 0 || fcntl(p[1], F_SETFD, 0) < 0)
		die(125, -errno, "cannot make a pipe");
	snprintf(fd, sizeof fd, "%d", p[1]);
	argv[n++] = path;
	argv[n++] = (char *)"-l";
	argv[n++] = (char *)"--ready-fd";
	argv[n++] = fd;
	argv[n++] = (char *)"--detached";
	for (unsigned i = 0; i < nargs; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	s.argv = argv;
	s.in = s.out = null;
	if ((pid = proc_spawn(&s)) < 0)
		die(125, pid, "cannot start '%s'", path);
	close(p[1]);
	if (read(p[0], &c, 1) != 1)	/* rlet said why */
		exit(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 2 ? 2 : 125);
	close(p[0]);
	close(null);
}

static void
print_start(FILE *f, char **args, unsigned n)
{
	fputs("rlet -l", f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, " %s", args[i]);
	fputs("\n", f);
}

static int
would(bool start_it, char **args, unsigned n)	/* --dry-run */
{
	if (!start_it) {
		puts("a node runs already: nothing to start");
		return 0;
	}
	print_start(stdout, args, n);
	return 0;
}

static int
cmd_up(int argc, char *argv[])
{
	struct opt_state o = { .opts = up_opts, .help = rota_help, .verb = "up" };
	static const char *const flag[] = { ['c'] = "-c", ['g'] = "-g", ['m'] = "-m", ['R'] = "-R" };
	char *args[ARGS], why[1024];
	unsigned n = 0;
	struct listing l = { 0 };
	bool dry = false;
	int c, e = cluster_up(argc, argv);

	if (e >= 0)
		return e;
	while ((c = opt_next(&o, argc, argv)) != -1) {
		if (n + 2 > ARGS)
			die(2, 0, "too many options");
		switch (c) {
		case 'c': case 'g': case 'm': case 'R':
			args[n++] = (char *)flag[c];
			args[n++] = (char *)o.arg;
			break;
		case OPT_STORE:
			args[n++] = (char *)"--store";
			args[n++] = (char *)o.arg;
			break;
		case OPT_DRY: dry = true; break;
		case 'q': quiet = true; break;
		case 'v': verbose = true; break;
		}
	}
	if (!dry)
		one_at_a_time();
	e = ask("local", &l, NULL, why, sizeof why);
	if (dry && (e == 0 || e == ERR_NO_CLUSTER))
		return would(e == ERR_NO_CLUSTER, args, n);
	if (e == 0 && n && !quiet)
		warn(0, "a node runs already: its resources stay as they are");
	if (e == ERR_NO_CLUSTER) {
		if (verbose)
			print_start(stderr, args, n);
		start(args, n);
		e = ask("local", &l, NULL, why, sizeof why);
	}
	if (e < 0 || l.len == 0)
		die(125, 0, "%s", e < 0 ? why : "the node says nothing of itself");
	printf("%.*s\t1 nodes\t%g cpus\t%g gpus\n", (int)listing_at(&l, 0, "name")->len,
	    (const char *)l.text.data + listing_at(&l, 0, "name")->off, listing_at(&l, 0, "cpus")->f, listing_at(&l, 0, "gpus")->f);
	return 0;
}

/* --- down ------------------------------------------------------------------------------------------------------------------ */

static int
wait_end(int pidfd)			/* 0, or -ETIMEDOUT */
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int e = pidfd < 0 ? 1 : poll(&p, 1, END_MS);

	if (pidfd >= 0)
		close(pidfd);
	return e == 1 ? 0 : -ETIMEDOUT;
}

static int
parent_of(pid_t pid, char name[16])	/* 0: there is none */
{
	char path[64];
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(f, "%*d (%15[^)]) %*c %d", name, &parent) != 2)
		parent = 0;
	fclose(f);
	return parent;
}

/* a descriptor of the daemon's parent, if that is its keeper, which ends a little later and holds the lock until then; -1 */
static int
keeper_of(pid_t pid)
{
	char daemon[16], name[16];
	pid_t parent = parent_of(pid, daemon);

	return parent > 1 && parent_of(parent, name) && strcmp(name, daemon) == 0 ? proc_pidfd(parent) : -1;
}

static void
end_store(void)				/* the control store, known by its socket */
{
	char path[512];
	int dir = dir_open(path, sizeof path), fd, pidfd;
	pid_t pid;
	uid_t uid;

	if (dir < 0)
		die(125, 0, "%s", dir_why());
	if ((fd = sock_connect(dir, NODE_GCS)) >= 0) {
		if (sock_peer(fd, &pid, &uid) == 0 && uid == geteuid() && (pidfd = proc_pidfd(pid)) >= 0) {
			kill(pid, SIGTERM);
			close(fd);
			if (wait_end(pidfd) < 0)
				die(125, 0, "the control store (process %d) does not end", (int)pid);
		}
	}
	close(dir);
}

static void
purge(void)
{
	static const char *const file[] = { "gcs.db", "gcs.db-lock", "gcs.lock" };
	char path[1024], why[1500];
	int dir, e;

	if ((dir = gcs_dir(NULL, path, sizeof path, why, sizeof why)) < 0)
		die(125, 0, "%s", why);
	for (size_t i = 0; i < sizeof file / sizeof *file; i++)
		if (unlinkat(dir, file[i], 0) < 0 && errno != ENOENT)
			die(125, -errno, "cannot remove '%s/%s'", path, file[i]);
	if ((e = node_purge(dir)) < 0)
		die(125, e, "cannot remove '%s/log'", path);
	rmdir(path);			/* others may keep something there */
	close(dir);
}

static int
cmd_down(int argc, char *argv[])
{
	struct opt_state o = { .opts = down_opts, .help = rota_help, .verb = "down" };
	bool force = false, all = false;
	struct listing l = { 0 };
	struct client *c = NULL;
	char why[1024];
	int ch, e, daemon, keeper;
	pid_t pid;

	if ((e = cluster_down(argc, argv)) >= 0)
		return e;
	while ((ch = opt_next(&o, argc, argv)) != -1)
		switch (ch) {
		case OPT_FORCE: force = true; break;
		case OPT_PURGE: all = true; break;
		case 'q': quiet = true; break;
		case 'v': verbose = true; break;
		}
	if (o.index < argc)
		die(2, 0, "unexpected operand '%s'; see rota -h", argv[o.index]);
	one_at_a_time();
	if ((e = ask("local", &l, &c, why, sizeof why)) == 0) {
		pid = l.len ? (pid_t)listing_at(&l, 0, "pid")->u : -1;
		daemon = proc_pidfd(pid);
		keeper = keeper_of(pid);
		if (verbose)
			warn(0, "ending the node, process %d", (int)pid);
		e = client_stop_node(c, force, why, sizeof why);
		client_close(c);
		if (e == -EBUSY)
			die(1, 0, "%s", why);
		if (e < 0)
			die(125, 0, "%s", why);
		if (wait_end(daemon) < 0 || wait_end(keeper) < 0)
			die(125, 0, "the node (process %d) does not end", (int)pid);
	} else if (e != ERR_NO_CLUSTER)
		die(125, 0, "%s", why);
	else if (!quiet)
		warn(0, "no lasting node runs here");
	end_store();
	node_sweep();
	if (all)
		purge();
	return 0;
}

/* --- the suite ----------------------------------------------------------------------------------------------------------------- */

static void
print_node(const struct listing *l, size_t i)
{
	const struct listing_cell *name = listing_at(l, i, "name"), *at = listing_at(l, i, "address");
	double programs = listing_at(l, i, "drivers")->f;
	bool lasting = at->len > strlen(DIR_LOCAL) &&
	    memcmp(l->text.data + at->off + at->len - strlen(DIR_LOCAL), DIR_LOCAL, strlen(DIR_LOCAL)) == 0;

	printf("  %.*s: %s, process %d, %g cpus, %g program%s\n", (int)name->len, (const char *)l->text.data + name->off,
	    lasting ? "lasting node" : "private node", (int)listing_at(l, i, "pid")->u, listing_at(l, i, "cpus")->f, programs,
	    programs > 1 || programs < 1 ? "s" : "");
}

static int
suite(void)
{
	static const char text[] =
	"rota runs functions, programs and actors on all CPUs, through shared memory.\n"
	"  rota    this program: up, down, ls, exec, add, rm, run, scale, drain, key, doctor, env, help\n"
	"  rlua    Lua with rota ready: rlua FILE\n"
	"  rmap    xargs over the node: ls *.log | rmap gzip\n"
	"  robj    the object store from the shell: put, get, cat, ls, rm\n"
	"  rstat   what is there and what it does\n"
	"  rlet    the node daemon; started by itself\n"
	"  rgcs    the control store daemon; started by itself\n";
	struct listing l;

	ask_all(&l);
	fputs(text, stdout);
	puts("running here:");
	for (size_t i = 0; i < l.len; i++)
		print_node(&l, i);
	if (l.len == 0)
		puts("  nothing; programs start a node of their own, 'rota up' a lasting one");
	puts("man 7 rota");
	return 0;
}

int
main(int argc, char *argv[])
{
	static int (*const run[])(int, char **) = {
		cmd_up, cmd_down, cmd_ls, cluster_verb, cluster_verb, cluster_verb, cluster_verb, cluster_verb, cmd_drain, cluster_verb, cmd_doctor, cmd_env, cmd_help
	};
	struct opt_state o = { .opts = no_opts, .help = rota_help, .verbs = verbs };
	int c, e = -1;

	progname = "rota";
	fd_standard();
	sig_filesize();
	while ((c = opt_next(&o, argc, argv)) != -1)
		quiet |= c == 'q', verbose |= c == 'v';
	argc -= o.index, argv += o.index;
	if (argc && strcmp(argv[0], "status") == 0)
		argv[0] = (char *)"ls";
	if (argc && (strcmp(argv[0], "start") == 0 || strcmp(argv[0], "stop") == 0))
		die(2, 0, "no verb '%s'; did you mean '%s'? see rota -h", argv[0], strcmp(argv[0], "stop") ? "up" : "down");
	if (argc == 0)
		e = suite();
	else if (strcmp(argv[0], "reach") == 0)
		e = cmd_reach(argc, argv);
	else if (strcmp(argv[0], "follow") == 0)
		e = cmd_follow();
	else if (strcmp(argv[0], "scaler") == 0)
		e = cluster_scaler(argc, argv);
	for (int i = 0; e < 0 && verbs[i]; i++)
		if (strcmp(argv[0], verbs[i]) == 0)
			e = run[i](argc, argv);
	if (e < 0)
		opt_unknown("verb", argv[0], verbs);
	if (fflush(stdout) || ferror(stdout))
		die(125, -errno, "cannot write to stdout");
	return e;
}
