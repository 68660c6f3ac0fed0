/* rgcs - control store daemon: nodes, jobs, actors, placement groups and keys, kept on disk.  rlet -l and 'rota up' start it. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/die.h"
#include "base/num.h"
#include "base/opt.h"
#include "node/gcs.h"
#include "os/fd.h"
#include "os/notify.h"
#include "os/sig.h"
#include "keeper.h"

enum { OPT_READY = 256, OPT_DIR, OPT_DETACHED, OPT_LISTEN, OPT_KEY, OPT_DEAD, OPT_ONCE, OPT_HISTORY, OPT_TABLES };

#define DEAD_MIN INT64_C(300000000)
#define DEAD_MAX INT64_C(3600000000000)

static const char help[] =
"usage: rgcs [options]       keep the state of a cluster\n"
"  --dir DIR        where (XDG_STATE_HOME/rota, else ~/.local/state/rota)\n"
"  --listen HOST:PORT  let nodes of other machines join there (port 7411)\n"
"  --key FILE       the cluster's key, made if it is not there (ROTA_KEY)\n"
"  --dead-after DUR a node not heard of for so long is given up (3s)\n"
"  --tables SIZE    in memory, of actors and jobs that there are (1G)\n"
"  --history SIZE   on disk, of each list of what is over (16M; 0: none)\n"
"  --no-restart     with --listen: when it dies, do not start it again\n"
"  --ready-fd N     write a newline to descriptor N when ready\n"
"  --detached       let go of stderr then\n"
"  -q  -v  -h  -V   quiet, verbose, help, version\n"
"It ends on TERM and INT.  'rota up' starts it together with a node.\n"
"Examples:\n"
"  rgcs --dir /var/lib/rota &\n"
"  rgcs --ready-fd 3 3>ready\n"
"See man rgcs.\n";

static const struct opt opts[] = {
	{ OPT_DIR, "dir", "DIR", "where state is kept" },
	{ OPT_LISTEN, "listen", "HOST:PORT", "let nodes of other machines join there" },
	{ OPT_KEY, "key", "FILE", "the cluster's key" },
	{ OPT_DEAD, "dead-after", "DUR", "give up a node not heard of for so long" },
	{ OPT_TABLES, "tables", "SIZE", "of actors and jobs, in memory" },
	{ OPT_HISTORY, "history", "SIZE", "of each list of what is over, on disk" },
	{ OPT_ONCE, "no-restart", NULL, "when it dies, do not start it again" },
	{ OPT_READY, "ready-fd", "N", "newline when ready" },
	{ OPT_DETACHED, "detached", NULL, "let go of stderr when ready" },
	{ 'q', "quiet", NULL, "no notices" },
	{ 'v', "verbose", NULL, "say what is being done" },
	{ 0 }
};

static void
notice(int e, const char *text)
{
	warn(e, "%s", text);
}

/* the state is mapped: of a file that was cut, or a disk that fails, there is no other word than the signal */
static void
on_bus(int sig)
{
	static const char text[] = "rgcs: cannot read gcs.db: the file was cut, or its disk fails\n";

	(void)sig;
	(void)!write(2, text, sizeof text - 1);
	_exit(125);
}

int
main(int argc, char *argv[])
{
	struct opt_state o = { .opts = opts, .help = help };
	struct gcs_opts go = { .log = notice, .history = GCS_PAST_BYTES, .kept = -1, .keeper = -1 };
	struct gcs *g;
	char why[1500];
	unsigned fd;
	int64_t dead;
	int c, e, ready = -1;
	bool detached = false, verbose = false, once = false;

	progname = "rgcs";
	fd_standard();
	sig_filesize();
	notify_take();
	prctl(PR_SET_DUMPABLE, 0);
	while ((c = opt_next(&o, argc, argv)) != -1)
		switch (c) {
		case OPT_DIR: go.dir = o.arg; break;
		case OPT_LISTEN: go.listen = o.arg; break;
		case OPT_KEY: go.key = o.arg; break;
		case OPT_DEAD:
			if (num_duration(o.arg, &dead) < 0 || dead < DEAD_MIN || dead > DEAD_MAX)
				opt_bad("--dead-after", o.arg, "a time, 0.3s to 1h");
			go.dead = (uint64_t)dead;
			break;
		case OPT_READY:
			if (num_uint(o.arg, &fd) < 0)
				opt_bad("--ready-fd", o.arg, "a descriptor");
			ready = (int)fd;
			break;
		case OPT_TABLES:
			if (num_size(o.arg, &go.tables) < 0 || go.tables == 0)
				opt_bad("--tables", o.arg, "a size");
			break;
		case OPT_HISTORY:
			if (num_size(o.arg, &go.history) < 0)
				opt_bad("--history", o.arg, "a size");
			break;
		case OPT_ONCE: once = true; break;
		case 'q': go.log = NULL; break;
		case OPT_DETACHED: detached = true; break;
		case 'v': verbose = true; break;
		}
	if (argc > o.index)
		die(2, 0, "unexpected operand '%s'; see rgcs -h", argv[o.index]);
	if (go.key == NULL && getenv("ROTA_KEY") && *getenv("ROTA_KEY"))
		go.key = getenv("ROTA_KEY");
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGBUS, on_bus);
	setsid();
	once |= go.listen == NULL;		/* the node that started it does so again */
	if (!once && (e = keeper_start(&go, &ready, detached)) < 0)
		die(125, e, "cannot start");
	if ((e = gcs_new(&g, &go, why, sizeof why)) < 0)
		die(125, 0, "%s", why);
	if (verbose)
		warn(0, "process %d serves", (int)getpid());
	(void)!chdir("/");
	keeper_let_go(detached);
	if (once)
		notify_ready();
	e = gcs_run(g, ready);
	gcs_free(g);
	return e < 0 ? 125 : 0;
}
