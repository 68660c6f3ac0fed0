/*
 * rlet - node daemon: leases workers of this machine to drivers, keeps its objects and actors.
 * -p: this user's ephemeral node, ends a second after its last client.  -l: lasting, joins the control store rgcs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/die.h"
#include "base/num.h"
#include "base/opt.h"
#include "core/gpus.h"
#include "core/labels.h"
#include "core/pressure.h"
#include "node/node.h"
#include "os/dir.h"
#include "os/fd.h"
#include "os/notify.h"
#include "os/sig.h"
#include "keeper.h"

enum { OPT_READY = 256, OPT_SOCKET, OPT_OWN, OPT_STORE, OPT_DETACHED, OPT_THRESHOLD, OPT_INTERVAL, OPT_JOIN, OPT_KEY, OPT_LISTEN, OPT_LABEL, OPT_NAME, RESOURCES = 13 };

static const char help[] =
"usage: rlet -p [options]    a node that ends with its last client\n"
"       rlet -l [options]    a lasting node of this user\n"
"  -c CPUS -g GPUS -m MEM -R NAME=N   what the node offers (all it has)\n"
"  --join HOST[:PORT]  -l: of the cluster whose control store is there\n"
"  --listen HOST[:PORT]  -l: where nodes of other machines reach this one\n"
"  --key FILE       with --join and --listen: the cluster's key (ROTA_KEY)\n"
"  --label NAME=VALUE  for tasks to choose nodes by; repeatable\n"
"  --name NAME      the node's name (the host's)\n"
"  --store SIZE     size of the object store (30 % of memory)\n"
"  --memory-threshold PERCENT   above it a worker is stopped (95; 0: never)\n"
"  --memory-interval TIME       between looks while it is near (50ms)\n"
"  --ready-fd N     write a newline to descriptor N when ready\n"
"  --detached       let go of stderr then; always so with -p\n"
"  --socket NAME    name of the socket in the user's directory\n"
"  --own PID        -p: end with process PID\n"
"  -q  -v  -h  -V   quiet, verbose, help, version\n"
"Programs start 'rlet -p' themselves; 'rota up' starts 'rlet -l'.\n"
"Examples:\n"
"  rlet -l -c 4 -R ssd=1 --store 2G &\n"
"  rlet -p --socket lab.sock --ready-fd 3 3>ready\n"
"See man rlet.\n";

static const struct opt opts[] = {
	{ 'p', "private", NULL, "a node that ends with its last client" },
	{ 'l', "lasting", NULL, "a lasting node of this user" },
	{ 'c', "cpus", "CPUS", "CPUs offered" },
	{ 'g', "gpus", "GPUS", "GPUs offered" },
	{ 'm', "memory", "MEM", "memory offered" },
	{ 'R', "resource", "NAME=N", "custom resource offered" },
	{ OPT_JOIN, "join", "HOST", "of the cluster whose control store is there" },
	{ OPT_LISTEN, "listen", "HOST:PORT", "where nodes of other machines reach this one" },
	{ OPT_KEY, "key", "FILE", "the cluster's key" },
	{ OPT_LABEL, "label", "NAME=VALUE", "for tasks to choose nodes by" },
	{ OPT_NAME, "name", "NAME", "the node's name" },
	{ OPT_STORE, "store", "SIZE", "size of the object store" },
	{ OPT_THRESHOLD, "memory-threshold", "PERCENT", "stop a worker above this; 0: never" },
	{ OPT_INTERVAL, "memory-interval", "TIME", "look so often then" },
	{ OPT_READY, "ready-fd", "N", "newline when ready" },
	{ OPT_DETACHED, "detached", NULL, "let go of stderr when ready" },
	{ OPT_SOCKET, "socket", "NAME", "name of the socket" },
	{ OPT_OWN, "own", "PID", "end with this process" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

static void
notice(int e, const char *text)
{
	warn(e, "%s", text);
}

/* N CPUs, also 0.5, in thousandths */
static uint64_t
thousandths(const char *option, const char *s)
{
	char *end;
	double d = strtod(s, &end);

	if (end == s || *end || !(d >= 0 && d <= 1e6))
		opt_bad(option, s, "a number");
	return (uint64_t)(d * 1000 + 0.5);
}

static uint64_t
interval(const char *s)
{
	int64_t ns;

	if (num_duration(s, &ns) < 0 || ns < 1000000 || ns > INT64_C(3600000000000))
		opt_bad("--memory-interval", s, "a time, 1ms to 1h");
	return (uint64_t)ns;
}

static int
descriptor(const char *s)
{
	unsigned n;

	if (num_uint(s, &n) < 0 || n > 1 << 20)
		opt_bad("--ready-fd", s, "a descriptor");
	return (int)n;
}

/* Descriptors that whoever started us happened to have open: a pipe's reader would wait for our end too. */
static void
only_ours(int ready)
{
	if (ready > 3)
		close_range(3, (unsigned)ready - 1, 0);
	close_range(ready >= 3 ? (unsigned)ready + 1 : 3, ~0u, 0);
	if (ready >= 3)
		fcntl(ready, F_SETFD, FD_CLOEXEC);
}

static void
hint_linger(void)		/* a session that ends takes its processes along */
{
	char line[512], path[600];
	const char *user = getenv("USER");
	bool session = false;
	FILE *f = fopen("/proc/self/cgroup", "re");

	while (f && user && fgets(line, sizeof line, f))
		session |= strstr(line, "/session-") != NULL;
	if (f)
		fclose(f);
	snprintf(path, sizeof path, "/var/lib/systemd/linger/%.400s", user ? user : "");
	if (session && access(path, F_OK) < 0)
		warn(0, "this session ends at logout; to keep the node: loginctl enable-linger");
}

int
main(int argc, char *argv[])
{
	struct opt_state o = { .opts = opts, .help = help };
	struct node_opts no = { .log = notice, .gpus = -1, .threshold = PRESSURE_PERCENT, .interval = PRESSURE_INTERVAL,
	    .heir = NODE_HEIR_NONE, .keeper = -1 };
	const char *res[RESOURCES + 1] = { NULL }, *label[LABELS_MAX + 1] = { NULL }, *env = getenv("ROTA_STORE");
	struct node *node;
	bool private = false, verbose = false;
	int c, e, ready = -1;
	unsigned nres = 0, nlabel = 0, own;
	char why[512];

	progname = "rlet";
	fd_standard();
	sig_filesize();
	notify_take();
	prctl(PR_SET_DUMPABLE, 0);
	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case 'p': private = true; break;
		case 'l': no.lasting = true; break;
		case 'c': no.cpus = thousandths("-c", o.arg); break;
		case 'g':
			if (num_uint(o.arg, &own) < 0 || own > GPUS_MAX)
				opt_bad("-g", o.arg, "a number of GPUs, at most 64");
			no.gpus = (int)own;
			break;
		case 'm': if (num_size(o.arg, &no.memory) < 0) opt_bad("-m", o.arg, "a size"); break;
		case 'R':
			if (nres == RESOURCES)
				die(2, 0, "at most %d custom resources", RESOURCES);
			res[nres++] = o.arg;
			break;
		case OPT_JOIN: no.join = o.arg; break;
		case OPT_KEY: no.key = o.arg; break;
		case OPT_LISTEN: no.listen = o.arg; break;
		case OPT_LABEL:
			if (nlabel == LABELS_MAX)
				die(2, 0, "at most %u labels", LABELS_MAX);
			label[nlabel++] = o.arg;
			break;
		case OPT_NAME: no.name = o.arg; break;
		case OPT_STORE: if (num_size(o.arg, &no.store) < 0) opt_bad("--store", o.arg, "a size"); break;
		case OPT_THRESHOLD:
			if (num_uint(o.arg, &no.threshold) < 0 || no.threshold > 100)
				opt_bad("--memory-threshold", o.arg, "a percentage, 0 to 100");
			break;
		case OPT_INTERVAL: no.interval = interval(o.arg); break;
		case OPT_READY: ready = descriptor(o.arg); break;
		case OPT_DETACHED: no.detached = true; break;
		case OPT_SOCKET: no.socket = o.arg; break;
		case OPT_OWN:
			if (num_uint(o.arg, &own) < 0)
				opt_bad("--own", o.arg, "a process id");
			no.own = (pid_t)own;
			break;
		case 'q': no.log = NULL; break;
		case 'v': verbose = true; break;
		}
	if (argc > o.index)
		die(2, 0, "unexpected operand '%s'; see rlet -h", argv[o.index]);
	if (private == no.lasting)
		die(2, 0, "one of -p and -l is needed; see rlet -h");
	if (no.key == NULL && getenv("ROTA_KEY") && *getenv("ROTA_KEY"))
		no.key = getenv("ROTA_KEY");
	if (no.join && private)
		die(2, 0, "--join is for a lasting node, -l");
	if (no.join && no.key == NULL)
		die(2, 0, "--join needs the cluster's key: name its file with --key or ROTA_KEY");
	if (no.listen && private)
		die(2, 0, "--listen is for a lasting node, -l");
	if (no.listen && no.key == NULL)
		die(2, 0, "no key, no listener: --listen needs the cluster's key: name its file with --key or ROTA_KEY");
	if (no.socket && (!*no.socket || strchr(no.socket, '/')))
		die(2, 0, "the socket is a name in the user's directory, not a path: '%s'", no.socket);
	if (env && *env && no.store == 0 && num_size(env, &no.store) < 0)
		die(2, 0, "ROTA_STORE is '%s': expected a size", env);
	if (no.socket == NULL)
		no.socket = no.lasting ? DIR_LOCAL : DIR_SHARED;
	no.resources = res;
	no.labels = label;

	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	only_ours(ready);
	setsid();			/* fails if whoever started us made us lead a group: as good */
	no.detached |= private;
	if ((e = keeper_start(&no, &ready)) < 0)
		die(125, e, "cannot start");
	e = node_new(&node, &no, why, sizeof why);
	if (e == -ESTALE || e == -EINTR)
		return e == -ESTALE ? KEEPER_ANEW : 0;
	if (e < 0)
		die(e == -EINVAL ? 2 : 125, 0, "%s", why);	/* 2: an option says what cannot be */
	if (no.lasting)
		hint_linger();
	if (verbose)
		warn(0, "process %d serves at '%s'", (int)getpid(), no.socket);
	keeper_let_go(no.detached);
	e = node_run(node, ready);
	node_free(node);
	return e == -ESTALE ? KEEPER_ANEW : e < 0 ? 125 : 0;
}
